"""The loop of a server that pushes its changes."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from agent.config.site import MeterPlan
from agent.core.errors import BusError
from agent.core.model import Event, Quality, Severity
from agent.core.ports import Clock, SubscribedDriver
from agent.poll.live import BusStatus, Emit, MeterStatus, Report


class SubscribedBus:
    """Takes what a server publishes; the supervisor opens it again when it is lost."""

    def __init__(
        self,
        driver: SubscribedDriver,
        meters: Sequence[MeterPlan],
        status: BusStatus,
        clock: Clock,
        emit: Emit,
        report: Report,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._emit = emit
        self._report = report
        self._status = status
        self._log = structlog.get_logger("poll").bind(bus=status.id)
        for meter in meters:
            status.meters.setdefault(meter.id, MeterStatus(meter.id, pushed=True))
        status.statistics = driver.statistics

    async def run(self) -> None:
        """Take batches until cancelled; a lost session raises `BusError` for the supervisor."""
        self._status.state = "opening"
        try:
            await self._driver.open()
            self._status.state = "running"
            self._status.last_error = self._status.last_hint = ""
            self._status.started_ns = self._clock.monotonic_ns()
            async for samples in self._driver.batches():
                now_ms = self._clock.now_ms()
                if self._status.lost:
                    self._status.lost = False
                    self._tell("bus.back", Severity.INFO, "")
                for sample in samples:
                    meter = self._status.meters[sample.point.partition(".")[0]]
                    meter.attempts_since_first_answer += 1
                    if sample.quality != Quality.MISSING:
                        meter.answered, meter.failures = True, 0
                        meter.good += 1
                        meter.last_answer_ms = now_ms
                        if meter.first_answer_ms is None:
                            meter.first_answer_ms = now_ms
                self._emit(samples)
        except BusError as error:
            self._status.state = "lost"
            self._status.last_error, self._status.last_hint = error.what, error.hint
            for meter in self._status.meters.values():
                meter.failures += 1
            if not self._status.lost:
                self._status.lost = True
                self._tell("bus.lost", Severity.ALARM, str(error))
            raise
        finally:
            await self._driver.close()

    def _tell(self, code: str, severity: Severity, detail: str) -> None:
        self._report(
            Event(
                time_ms=self._clock.now_ms(),
                code=code,
                subject=self._status.id,
                severity=severity,
                detail=detail,
            )
        )
