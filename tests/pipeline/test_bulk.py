"""Bulk work: in this process where kernels are compiled, else in a worker that ends by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.core import kernels
from agent.core.kernels.arrays import AnyArray
from agent.pipeline import bulk, jit_worker

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def counter(rows: int) -> tuple[AnyArray, ...]:
    registers = np.floor(np.arange(rows) * 1.2) / 10
    registers[rows // 2] = 0.0
    return (
        1_767_225_600_000 + np.arange(rows) * 1000,
        registers,
        np.array([0.1, 0.0, 600.0, 0.9, 0.0]),
        np.zeros(3),
        np.array([0, 0, 0, 0, rows]),
        np.zeros(rows, np.uint8),
        np.zeros(rows),
        np.zeros(rows, np.int64),
    )


def test_a_worker_gives_the_same_to_the_bit_and_fills_the_callers_arrays() -> None:
    here, there = counter(5_000), counter(5_000)
    count = kernels.run_plain("classify_counter", *here)
    assert bulk.run_in_worker("classify_counter", *there) == count == 5_000
    for mine, theirs in zip(here, there, strict=True):
        assert mine.tobytes() == theirs.tobytes()


def test_only_much_work_without_compiled_kernels_goes_to_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []

    def pretend(name: str, *arrays: AnyArray) -> None:
        sent.append(name)

    monkeypatch.setattr(bulk, "run_in_worker", pretend)
    monkeypatch.setattr(kernels, "MODE", "python")
    few, many = np.ones(10), np.ones(bulk.SMALL_ROWS)
    assert bulk.run("emissions", few, few, np.empty(10)) == 10
    assert sent == []
    result = np.empty(bulk.SMALL_ROWS)
    assert bulk.run("emissions", many, many, result) == bulk.SMALL_ROWS
    assert sent == ["emissions"]
    assert result.sum() == bulk.SMALL_ROWS
    monkeypatch.setattr(kernels, "MODE", "aot")
    assert bulk.run("emissions", many, many, result) == bulk.SMALL_ROWS
    assert sent == ["emissions"]


def test_a_worker_that_fails_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = np.ones(3)
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    assert bulk.run_in_worker("emissions", ones, ones, np.empty(3)) is None
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert bulk.run_in_worker("emissions", ones, ones, np.empty(3)) is None


def test_the_worker_never_unpickles() -> None:
    import io

    stream = io.BytesIO()
    np.save(stream, np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match="pickle"):
        jit_worker.read_arrays(stream.getvalue(), 1)
    done = subprocess.run(
        [sys.executable, "-m", "agent.pipeline.jit_worker", "emissions"],
        input=stream.getvalue(),
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == b""
