"""The same loops compiled ahead of time, compiled at run time and plain: identical to the bit."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from histories import SEEDS, made_up
from hypothesis import given, settings

from agent.core import kernels
from agent.core.kernels import analogues, arithmetic, build, counting, cutting, filling, quality
from agent.core.kernels.arrays import AnyArray
from agent.core.kernels.table import fingerprint

ROOT = Path(__file__).parents[2]

Runner = Callable[..., int]
Case = tuple[str, tuple[AnyArray, ...]]


@pytest.fixture(scope="module")
def ahead_of_time(
    needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Runner]:
    """The compiled extension: the one in use, or one compiled for this test."""
    if kernels.MODE == "aot":
        from agent.core.kernels import _compiled  # type: ignore[attr-defined]

        return lambda name: getattr(_compiled, name)
    needs("c-compiler")
    folder = tmp_path_factory.mktemp("compiled")
    assert build.build(folder) is None
    (file,) = folder.glob("_compiled*")
    spec = importlib.util.spec_from_file_location("_compiled", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.source_fingerprint() == fingerprint()
    return lambda name: getattr(module, name)


@pytest.fixture(scope="module")
def at_run_time() -> Callable[[str], Runner]:
    """The kernels as numba compiles them in a worker."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import numba

        compiled = {
            name: numba.njit([kernel.signature])(kernel.function)
            for name, kernel in kernels.KERNELS.items()
        }
    return lambda name: compiled[name]


def cases(seed: int) -> list[Case]:
    """One call of every kernel on made-up readings."""
    rng = np.random.default_rng(seed)
    times, registers, _ = made_up(seed)
    size = len(times)
    grid = np.arange(int(times[0]) - 900_000, int(times[-1]) + 900_000, 900_000)
    windows = len(grid) - 1
    accumulated = np.cumsum(rng.uniform(0, 3, size))
    segments = np.cumsum(rng.integers(0, 8, size) == 0).astype(np.int64)
    longest = np.array([300_000], np.int64)
    stop = int(rng.integers(0, size + 1))

    def outputs() -> tuple[AnyArray, ...]:
        return np.zeros(size, np.uint8), np.zeros(size), np.zeros(size, np.int64)

    return [
        (
            "classify_counter",
            (
                times,
                registers,
                np.array([0.1, 1e6, rng.choice([600.0, np.inf]), 0.8, rng.choice([0.0, 2**-23])]),
                np.zeros(3),
                np.array([0, 0, 0, 0, stop]),
                *outputs(),
            ),
        ),
        (
            "integrate_rate",
            (
                times,
                registers % 700,
                np.array([300_000.0, 600.0]),
                np.zeros(2),
                np.array([0, 0, 0, stop]),
                *outputs(),
            ),
        ),
        (
            "place_boundaries",
            (
                times,
                accumulated,
                segments,
                grid,
                longest,
                np.zeros(windows + 1, np.int64),
                np.zeros(windows + 1, np.uint8),
                np.zeros(windows + 1),
            ),
        ),
        ("covered_ms", (times, segments, grid, longest, np.zeros(windows, np.int64))),
        (
            "step_means",
            (times, registers, grid[:-1], grid[1:], np.zeros(windows), np.zeros(windows, np.int64)),
        ),
        ("emissions", (registers, rng.uniform(0, 2, size), np.zeros(size))),
        *filling_cases(rng),
        *quality_cases(rng),
    ]


def filling_cases(rng: np.random.Generator) -> list[Case]:
    """The kernels that fill gaps, on a series of two columns with holes."""
    values = np.where(rng.random(400) < 0.3, np.nan, rng.uniform(0, 9, 400))
    features = 12
    firsts = rng.integers(-20, 20, features)
    candidates = np.arange(20, 300, 3)
    return [
        (
            "block_distances",
            (
                np.cumsum(rng.uniform(0, 3, 800)),
                rng.choice([0, 400], features),
                firsts,
                firsts + rng.integers(1, 20, features),
                rng.uniform(0, 2, features),
                rng.uniform(0, 50, features),
                candidates,
                np.zeros(len(candidates)),
            ),
        ),
        (
            "fill_lines",
            (values, np.array([2]), np.zeros(400), np.zeros(400, np.uint8)),
        ),
        ("exponential_means", (values, np.array([0.3]), np.zeros(400))),
    ]


def quality_cases(rng: np.random.Generator) -> list[Case]:
    """The kernels that doubt readings, on a noisy level with steps, spikes and holes."""
    values = np.round(rng.normal(100, 2, 300) + 50 * (np.arange(300) > 150), 1)
    odd = rng.random(300)
    values = np.where(odd < 0.05, values * 5, np.where(odd > 0.97, np.nan, values))
    return [
        (
            "hampel",
            (
                values,
                np.array([5.0, 4.0, 1.0]),
                np.zeros(12),
                np.zeros(300, np.uint8),
                np.zeros(300),
            ),
        ),
        (
            "find_spikes",
            (
                values,
                np.array([8.0, 1.0, 0.2, 2.0, 5.0]),
                np.zeros(11),
                np.zeros(11),
                np.zeros(2, np.int64),
                np.zeros(300, np.uint8),
            ),
        ),
    ]


def copied(arrays: tuple[AnyArray, ...]) -> tuple[AnyArray, ...]:
    return tuple(np.ascontiguousarray(array).copy() for array in arrays)


def assert_same(runner: Callable[[str], Runner], seed: int) -> None:
    for name, arrays in cases(seed):
        plain, other = copied(arrays), copied(arrays)
        assert kernels.run_plain(name, *plain) == runner(name)(*other)
        for mine, theirs in zip(plain, other, strict=True):
            assert mine.tobytes() == theirs.tobytes(), name


@settings(max_examples=60)
@given(seed=SEEDS)
def test_ahead_of_time_equals_plain(ahead_of_time: Callable[[str], Runner], seed: int) -> None:
    assert_same(ahead_of_time, seed)


@settings(max_examples=60)
@given(seed=SEEDS)
def test_at_run_time_equals_plain(at_run_time: Callable[[str], Runner], seed: int) -> None:
    assert_same(at_run_time, seed)


def test_every_kernel_has_a_case() -> None:
    assert {name for name, _ in cases(0)} == set(kernels.KERNELS)


@pytest.mark.parametrize("module", [analogues, arithmetic, counting, cutting, filling, quality])
def test_kernels_are_loops_only(module: object) -> None:
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert {function.name for function in functions} <= set(kernels.KERNELS)
    for function in functions:
        for node in ast.walk(function):
            assert not isinstance(node, ast.Import | ast.ImportFrom | ast.MatMult)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert node.value.id == "math"


def test_the_resident_process_never_imports_numba() -> None:
    code = (
        "import sys, numpy\n"
        "import agent.core.windows, agent.core.counters, agent.pipeline.bulk\n"
        "from agent.core import kernels\n"
        "kernels.run('emissions', *(numpy.ones(3) for _ in range(3)))\n"
        "assert not {'numba', 'llvmlite'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.ones(2), np.ones(2)), "takes 3 arrays, not 2"),
        ((np.ones(4)[::2], np.ones(2), np.ones(2)), "argument 0 must be a contiguous vector"),
        ((np.ones(2), np.ones(2, np.float32), np.ones(2)), "argument 1 must be a contiguous"),
        ((np.ones(2), np.ones(2), np.frombuffer(bytes(16))), "argument 2 is filled, but is read"),
    ],
)
def test_arrays_that_compiled_code_would_misread_are_refused(
    arrays: tuple[AnyArray, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        kernels.run("emissions", *arrays)


def test_a_failed_compile_says_so_in_one_line_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "/does/not/exist")
    monkeypatch.setenv("PATH", "")
    assert build.main([str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert output.startswith("kernels: not compiled, plain Python instead (")
    assert output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_amount_stays_missing() -> None:
    result = np.zeros(3)
    kernels.run("emissions", np.array([1.0, np.nan, 3.0]), np.full(3, 0.5), result)
    assert result[0] == 0.5
    assert np.isnan(result[1])
    assert result[2] == 1.5
