"""Says the same thing at most once in a while."""

from __future__ import annotations

from agent.core.ports import Clock


class Muffle:
    """Lets one message per subject through in each period."""

    def __init__(self, clock: Clock, *, period_s: float = 60.0, subjects: int = 10_000) -> None:
        self._clock = clock
        self._period_ns = int(period_s * 1e9)
        self._subjects = subjects
        self._last_ns: dict[object, int] = {}

    def lets(self, subject: object) -> bool:
        """Whether a message about the subject may be said now."""
        now_ns = self._clock.monotonic_ns()
        last_ns = self._last_ns.get(subject)
        if last_ns is not None and now_ns - last_ns < self._period_ns:
            return False
        if len(self._last_ns) >= self._subjects:
            self._last_ns.clear()
        self._last_ns[subject] = now_ns
        return True
