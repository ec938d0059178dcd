"""A clock that moves only when a test moves it."""

from __future__ import annotations

import asyncio


class FakeClock:
    """Wall and monotonic time under the test's hand; sleeping moves both."""

    def __init__(self, now_ms: int = 1_795_000_000_000, monotonic_ns: int = 5_000_000_000) -> None:
        self.wall_ms = float(now_ms)
        self.mono_ns = monotonic_ns

    def now_ms(self) -> int:
        return int(self.wall_ms)

    def monotonic_ns(self) -> int:
        return self.mono_ns

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.mono_ns += int(seconds * 1e9)
        self.wall_ms += seconds * 1000

    async def sleep_until(self, monotonic_ns: int) -> None:
        if monotonic_ns > self.mono_ns:
            self.advance((monotonic_ns - self.mono_ns) / 1e9)
        await asyncio.sleep(0)
