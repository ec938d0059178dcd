"""Compiled, as plain Python and by whole arrays: a gap is filled with the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from plants import PER_DAY, plant

from agent.core import kernels
from agent.core.gaps import analogue
from agent.core.gaps.fill import Filler
from agent.core.gaps.filled import Gap, Rules


def test_distances_are_the_same_by_kernel_and_by_whole_arrays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(7)
    features = 30
    firsts = rng.integers(-40, 40, features)
    arguments = (
        np.cumsum(rng.uniform(0, 3, 3000)),
        rng.choice([0, 1000, 2000], features),
        firsts,
        firsts + rng.integers(1, 60, features),
        rng.uniform(0, 2, features),
        rng.uniform(0, 90, features),
        np.arange(50, 850, 2),
    )
    by_kernel, by_arrays = np.empty(400), np.empty(400)
    kernels.run_plain("block_distances", *arguments, by_kernel)
    monkeypatch.setattr(kernels, "MODE", "python")
    analogue.measure(*arguments, by_arrays)
    assert by_kernel.tobytes() == by_arrays.tobytes()


def test_a_gap_is_filled_the_same_without_the_compiled_extension(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gap = Gap(first=12 * PER_DAY, end=12 * PER_DAY + 20)
    series = plant(14, 5, gap=(gap.first, gap.end))
    compiled = Filler(series, Rules()).fill(gap)
    monkeypatch.setattr(kernels, "_compiled", None)
    monkeypatch.setattr(kernels, "MODE", "python")
    plain = Filler(series, Rules()).fill(gap)
    assert plain.values.tobytes() == compiled.values.tobytes()
    assert plain.lower.tobytes() == compiled.lower.tobytes()
