"""Made-up meter histories with a known truth, for property tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from agent.core.gaps.load import LoadSeries
from agent.core.model import StreamKind, StreamSpec, Window
from agent.core.streamstate import StreamState
from agent.core.windows import Closing, close_windows

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def counter(**changes: object) -> StreamSpec:
    """An electricity meter with 0.1 kWh resolution that can draw 600 kW."""
    fields: dict[str, object] = {
        "id": "em-1.energy",
        "kind": StreamKind.COUNTER,
        "quantity": "energy",
        "unit": "kWh",
        "resolution": 0.1,
        "modulus": None,
        "max_rate_per_h": 600.0,
        "period_ms": MINUTE_MS,
        "load": None,
    }
    return StreamSpec(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass
class Ledger:
    """Keeps the current windows as a store would, over any number of closings."""

    spec: StreamSpec
    length_ms: int = 15 * MINUTE_MS
    max_gap_ms: int = 5 * MINUTE_MS
    loads: LoadSeries | None = None
    state: StreamState | None = None
    current: dict[int, Window] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)

    def close(self, times: np.ndarray, values: np.ndarray, until_ms: int) -> Closing:
        """One call with what a store would load: readings after the state's resume time."""
        if self.state is not None:
            later = times > self.state.resume_ms
            times, values = times[later], values[later]
        closing = close_windows(
            self.spec,
            self.state,
            times,
            values,
            until_ms=until_ms,
            length_ms=self.length_ms,
            loads=self.loads,
            max_gap_ms=self.max_gap_ms,
        )
        starts = [window.start_ms for window in closing.windows]
        assert len(set(starts)) == len(starts)
        assert closing.superseding == {start for start in starts if start in self.current}
        for window in closing.windows:
            self.current[window.start_ms] = window
            self.revisions[window.start_ms] = self.revisions.get(window.start_ms, -1) + 1
        if closing.state is not None:
            self.state = StreamState.from_json(closing.state.to_json())
            assert self.state == closing.state
        self.closings.append(closing)
        return closing

    @property
    def amounts(self) -> list[tuple[int, float | None, str]]:
        return [(at, w.value, w.provenance.value) for at, w in sorted(self.current.items())]

    @property
    def total(self) -> float:
        return round(sum(w.value or 0.0 for w in self.current.values()), 6)

    @property
    def codes(self) -> list[str]:
        return [event.code for closing in self.closings for event in closing.events]


def made_up(
    seed: int, *, faults: bool = True, count: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, registers as read, and the true accumulated amount at each time."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, count))
    steps = rng.choice(STEPS_MS, size)
    times = START_MS + int(rng.integers(0, HOUR_MS)) + np.cumsum(steps)
    truth = np.cumsum(600.0 * rng.uniform(0, 0.99, size) * steps / HOUR_MS)
    truth -= truth[0]
    register = rng.uniform(0, 900_000) + truth
    offset = 0.0
    read = []
    for value in register:
        fault = rng.choice(FAULTS) if faults else "none"
        if fault == "reset":
            offset = value
        elif fault == "replaced":
            offset = value - rng.uniform(0, 900_000)
        elif fault == "near-modulus":
            offset = value - 999_990.0
        shown = np.floor(((value - offset) % 1_000_000) * 10 + 1e-6) / 10
        if fault == "zero":
            shown = 0.0
        elif fault == "spike":
            shown = rng.uniform(-1e7, 1e7)
        elif fault == "nan":
            shown = np.nan
        elif fault == "jitter":
            shown -= 0.1
        elif fault == "step":
            shown += rng.uniform(0, 50)
        read.append(shown)
    return times, np.array(read), truth


STEPS_MS = np.array([1_000, 30_000, 60_000, 60_000, 61_007, 240_000, 600_000, 4_000_000, 9_000_000])
ODD = ("reset", "replaced", "near-modulus", "zero", "spike", "nan", "jitter", "step")
FAULTS = ("none",) * 16 + ODD
SEEDS = st.integers(0, 2**32 - 1)
