"""When the wall clock may place readings: pure rule, and its state over time."""

from __future__ import annotations

from dataclasses import dataclass

EARLIEST_PLAUSIBLE_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z: older than any release
BACKWARD_TOLERANCE_MS = 300_000
STEP_MS = 2_000
FORWARD_DOUBT_MS = 3_600_000  # a larger step forward must hold before it is believed
CONFIRMED_AFTER_NS = 600 * 1_000_000_000


def is_plausible(now_ms: int, last_reading_ms: int | None) -> bool:
    """Whether a wall clock can be right: after the product's release and not before its records.

    A box without real-time clock starts in 1970 or at the time of its image; its own last
    record is then in the future.
    """
    if now_ms < EARLIEST_PLAUSIBLE_MS:
        return False
    return last_reading_ms is None or now_ms >= last_reading_ms - BACKWARD_TOLERANCE_MS


@dataclass(slots=True)
class ClockTrust:
    """Follows wall time against monotonic time: trusted, or not, and by how much it stepped.

    A clock that leaps ahead by more than an hour is in doubt for ten minutes: what would be
    placed in the future could not be taken back when it returns.
    """

    last_reading_ms: int | None
    trusted: bool = False
    offset_ms: int | None = None
    doubted_offset_ms: int | None = None  # the offset before a leap that is not yet believed
    believed_from_ns: int = 0

    def observe(self, now_ms: int, monotonic_ns: int) -> str | None:
        """Take one look at both clocks; returns «trusted», «untrusted» or «stepped» on change."""
        offset_ms = now_ms - monotonic_ns // 1_000_000
        before, self.offset_ms = self.offset_ms, offset_ms
        was_trusted = self.trusted
        self._doubt(before, offset_ms, monotonic_ns)
        self.trusted = self.doubted_offset_ms is None and is_plausible(now_ms, self.last_reading_ms)
        if before is None or self.trusted != was_trusted:
            return "trusted" if self.trusted else "untrusted"
        if abs(offset_ms - before) > STEP_MS:
            return "stepped"
        self.offset_ms = before
        return None

    def _doubt(self, before: int | None, offset_ms: int, monotonic_ns: int) -> None:
        if self.doubted_offset_ms is not None:
            returned = offset_ms - self.doubted_offset_ms <= FORWARD_DOUBT_MS
            if returned or monotonic_ns >= self.believed_from_ns:
                self.doubted_offset_ms = None
        elif self.trusted and before is not None and offset_ms - before > FORWARD_DOUBT_MS:
            self.doubted_offset_ms = before
            self.believed_from_ns = monotonic_ns + CONFIRMED_AFTER_NS
