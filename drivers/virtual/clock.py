"""The plant's clock: UTC milliseconds that a test may drive by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone


class PlantClock:
    """UTC milliseconds of the plant.

    ``source`` returns UTC milliseconds (default: the computer's clock). With ``start_ms`` the
    plant begins at that time and runs on at the source's pace.
    """

    def __init__(
        self, *, source: Callable[[], float] | None = None, start_ms: float | None = None
    ) -> None:
        self._real = source is None
        self._source = source if source is not None else _computer_ms
        begun_ms = self._source()
        self._shift_ms = 0.0 if start_ms is None else start_ms - begun_ms
        self.start_ms = begun_ms + self._shift_ms

    def now_ms(self) -> float:
        return self._source() + self._shift_ms

    def at_ms(self, monotonic_s: float) -> float:
        """Plant time of a recent moment of the monotonic clock.

        A slave samples when its frame ends, not when the thread that plays it happens to wake.
        A clock driven by hand stands still in between.
        """
        late_s = time.monotonic() - monotonic_s if self._real else 0.0
        return self.now_ms() - late_s * 1000.0

    def elapsed_s(self) -> float:
        """Seconds since the plant's start."""
        return (self.now_ms() - self.start_ms) / 1000.0


def _computer_ms() -> float:
    return time.time() * 1000.0


def month_start_ms(t_ms: float, utc_offset_h: float) -> int:
    """Begin of the local month that holds a time; the counters of the plant run from there.

    Example: 2026-11-22 in UTC+8 gives 2026-10-31T16:00Z.
    """
    zone = timezone(timedelta(hours=utc_offset_h))
    local = datetime.fromtimestamp(t_ms / 1000.0, UTC).astimezone(zone)
    first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return round(first.timestamp() * 1000)
