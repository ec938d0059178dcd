"""Shared by the tests of the sync formats: the golden folder and the independent verifier."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


def load_script(path: Path) -> ModuleType:
    """A script as a module, without making its folder importable."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def facts() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(golden("facts.json"))
    return value
