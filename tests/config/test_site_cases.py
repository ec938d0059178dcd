"""Every folder of cases/: a site file, and each line that checking it must print."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.faults import render_faults
from agent.config.load import load_site, read_site
from agent.core.errors import ConfigError

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())
ANY_END = "…"  # where the wording is the TOML parser's own


def _expected(case: Path) -> list[str]:
    return (case / "expected.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_prints_exactly_its_lines(case: Path) -> None:
    _, faults = read_site(case / "site.toml")
    printed = render_faults(faults).replace(f"{case}/", "").splitlines()
    expected = _expected(case)
    assert len(printed) == len(expected)
    for line, wanted in zip(printed, expected, strict=True):
        if wanted.endswith(ANY_END):
            assert line.startswith(wanted.removesuffix(ANY_END))
        else:
            assert line == wanted


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_a_case_without_faults_is_loaded(case: Path) -> None:
    faulty = [line for line in _expected(case) if not line.startswith("warning: ")]
    if faulty:
        with pytest.raises(ConfigError) as caught:
            load_site(case / "site.toml")
        assert len(caught.value.faults) == len(faulty)
        assert str(caught.value).count("\n") == len(faulty) - 1
    else:
        assert load_site(case / "site.toml").gateway.id == "gw-01"
