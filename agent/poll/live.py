"""The latest sample of every point, and what each bus and meter is doing: for page and API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.model import Event, Quality, Sample
from agent.core.ports import BusStatistics

Emit = Callable[[Sequence[Sample]], None]
Report = Callable[[Event], None]


@dataclass(slots=True)
class MeterStatus:
    """How one meter answers."""

    id: str
    answered: bool = False
    dead: bool = False
    failures: int = 0  # in a row
    good: int = 0
    attempts_since_first_answer: int = 0
    first_answer_ms: int | None = None
    last_answer_ms: int | None = None
    next_attempt_ns: int = 0
    last_error: str = ""
    pushed: bool = False  # told of changes: silence is not staleness


@dataclass(slots=True)
class BusStatus:
    """How one bus runs."""

    id: str
    driver: str
    state: str = "starting"
    lost: bool = False  # told as lost, and nothing has answered since
    last_error: str = ""
    last_hint: str = ""
    statistics: BusStatistics | None = None
    meters: dict[str, MeterStatus] = field(default_factory=dict)
    started_ns: int = 0
    busy_before_ns: int = 0  # the driver's busy time when this session began

    @property
    def answering(self) -> int:
        """Meters whose last attempt succeeded."""
        return sum(1 for meter in self.meters.values() if meter.answered and not meter.failures)


class LiveValues:
    """The newest sample per point."""

    def __init__(self) -> None:
        self._samples: dict[str, Sample] = {}
        self._good: dict[str, Sample] = {}

    def update(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            self._samples[sample.point] = sample
            if sample.quality == Quality.GOOD:
                self._good[sample.point] = sample

    def get(self, point: str) -> Sample | None:
        return self._samples.get(point)

    def last_good(self, point: str) -> Sample | None:
        """The newest sample that can be trusted."""
        return self._good.get(point)

    @property
    def samples(self) -> Mapping[str, Sample]:
        return self._samples
