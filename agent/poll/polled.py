"""The loop of a bus whose meters are asked in turn."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from agent.config.site import MeterPlan
from agent.core.errors import BusError, PortError, ReplyInvalid
from agent.core.model import Event, Quality, Sample, Severity
from agent.core.ports import Clock, PolledDriver
from agent.poll.live import BusStatus, Emit, MeterStatus, Report
from agent.poll.schedule import is_dead, next_due_ns, probe_delay_ns

RETRIES_AFTER_NOISE = 2


class PolledBus:
    """Asks each meter of one bus at its period; a dead one costs at most 1 % of the bus."""

    def __init__(
        self,
        driver: PolledDriver,
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
        self._period_ns = {meter.id: int(meter.section.period_s * 1e9) for meter in meters}
        self._points = {
            meter.id: tuple(f"{meter.id}.{point.id}" for point in meter.points) for meter in meters
        }
        self._log = structlog.get_logger("poll").bind(bus=status.id)
        for meter in meters:
            status.meters.setdefault(meter.id, MeterStatus(meter.id))
        status.statistics = driver.statistics

    async def run(self) -> None:
        """Poll until cancelled; a lost port raises `PortError` for the supervisor."""
        try:
            self._status.state = "opening"
            await self._driver.open()
            self._status.state = "running"
            self._status.last_error = self._status.last_hint = ""
            now_ns = self._clock.monotonic_ns()
            self._status.started_ns = now_ns
            self._status.busy_before_ns = self._driver.statistics.busy_ns
            due = dict.fromkeys(self._period_ns, now_ns)
            while True:
                meter = min(due, key=due.__getitem__)
                await self._clock.sleep_until(due[meter])
                due[meter] = await self._ask(meter, due[meter])
        except PortError as error:
            self._status.state = "lost"
            self._status.last_error, self._status.last_hint = error.what, error.hint
            if not self._status.lost:
                self._status.lost = True
                self._tell("bus.lost", self._status.id, Severity.ALARM, str(error))
            raise
        finally:
            await self._driver.close()

    async def _ask(self, meter: str, due_ns: int) -> int:
        """Read one meter; returns when it is due again."""
        status = self._status.meters[meter]
        began_ns = self._clock.monotonic_ns()
        period_ns = self._period_ns[meter]
        try:
            samples = await self._read(meter)
        except PortError:
            raise
        except BusError as error:
            return self._failed(status, error, began_ns, period_ns, due_ns)
        self._answered(status)
        self._emit(samples)
        return next_due_ns(due_ns, period_ns, self._clock.monotonic_ns())

    async def _read(self, meter: str) -> Sequence[Sample]:
        """Read a meter; noise on the line is answered with another try, silence is not."""
        for _ in range(RETRIES_AFTER_NOISE):
            try:
                return await self._driver.read(meter)
            except ReplyInvalid as error:
                self._log.debug("meter.noise", meter=meter, error=str(error))
        return await self._driver.read(meter)

    def _answered(self, status: MeterStatus) -> None:
        if self._status.lost:
            self._status.lost = False
            self._tell("bus.back", self._status.id, Severity.INFO, "")
        if status.dead or not status.answered:
            self._log.info("meter.answers", meter=status.id, after_failures=status.failures)
            if status.dead:
                self._tell("meter.answers", status.id, Severity.INFO, "")
        now_ms = self._clock.now_ms()
        if status.first_answer_ms is None:
            status.first_answer_ms = now_ms
        status.answered, status.dead, status.failures = True, False, 0
        status.last_answer_ms = now_ms
        status.last_error = ""
        status.good += 1
        status.attempts_since_first_answer += 1

    def _failed(
        self, status: MeterStatus, error: BusError, began_ns: int, period_ns: int, due_ns: int
    ) -> int:
        status.failures += 1
        status.last_error = str(error)
        if status.answered:
            status.attempts_since_first_answer += 1
        self._emit_missing(status.id, error)
        now_ns = self._clock.monotonic_ns()
        if not is_dead(status.failures):
            self._log.debug("meter.no_answer", meter=status.id, error=str(error))
            return next_due_ns(due_ns, period_ns, now_ns)
        delay_ns = probe_delay_ns(status.failures, period_ns, now_ns - began_ns)
        if not status.dead:
            status.dead = True
            self._log.warning("meter.dead", meter=status.id, error=str(error))
            self._tell("meter.dead", status.id, Severity.ALARM, str(error))
        status.next_attempt_ns = now_ns + delay_ns
        return status.next_attempt_ns

    def _emit_missing(self, meter: str, error: BusError) -> None:
        """Show the points as missing at once; nothing is stored as a value."""
        now_ms, now_ns = self._clock.now_ms(), self._clock.monotonic_ns()
        self._emit(
            [
                Sample(
                    point=point,
                    time_ms=now_ms,
                    monotonic_ns=now_ns,
                    value=None,
                    quality=Quality.MISSING,
                    raw=type(error).__name__,
                )
                for point in self._points[meter]
            ]
        )

    def _tell(self, code: str, subject: str, severity: Severity, detail: str) -> None:
        self._report(
            Event(
                time_ms=self._clock.now_ms(),
                code=code,
                subject=subject,
                severity=severity,
                detail=detail,
            )
        )
