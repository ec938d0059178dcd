"""Every worked example in the documentation of the accounting functions."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import agent.core.carbon

MODULES = [module.name for module in pkgutil.iter_modules(agent.core.carbon.__path__)]
FORMULAS = [
    *("fuel", "electricity", "heat", "carbon_balance", "reaction", "coke_burn", "carbonate", "n2o"),
    *("recovery", "flare", "waste", "transport", "cems"),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"agent.core.carbon.{name}"))
    assert results.failed == 0


@pytest.mark.parametrize("name", FORMULAS)
def test_every_accounting_function_tells_formula_source_and_example(name: str) -> None:
    module = importlib.import_module(f"agent.core.carbon.{name}")
    functions = [
        function
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not function.__name__.startswith("_")
    ]
    emitting = [one for one in functions if "tco2" in one.__name__ or "_t" in one.__name__]
    assert emitting
    for function in emitting:
        text = function.__doc__ or ""
        assert "``" in text, function.__name__
        assert ">>>" in text, function.__name__
    assert any("Source:" in (one.__doc__ or "") for one in emitting)
