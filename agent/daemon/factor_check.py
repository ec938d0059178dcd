"""The regular look for newer factor packs: scheduled, bounded, and beside polling."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog

from agent.config.check_factors import LEDGER, is_address
from agent.config.factor_pack import MAX_PACK_BYTES, FactorPack, open_pack
from agent.config.factors import site_factors_dir
from agent.core.chain import PublicKey
from agent.core.errors import ProofError, StoreError, TanshuError
from agent.core.model import Event
from agent.core.timebase import local_date, local_day
from agent.daemon.factor_desk import FactorDesk
from agent.pipeline.calendar import due_once
from agent.store.factor_packs import StoredPack
from agent.store.state import JobRuns
from agent.web.factor_view import (
    FactorCheckOutcome,
    FactorDecision,
    FactorDecisionSubmission,
    FactorTrouble,
)

if TYPE_CHECKING:
    from agent.daemon.service import Gateway

JOB = "factor-check"
REMOVABLE = (
    "/media/*/tanshu-factors",
    "/media/*/*/tanshu-factors",
    "/run/media/*/*/tanshu-factors",
)
IDLE_S = 60.0
RETRY_NS = 3_600_000_000_000  # a source that could not be reached is tried again so soon
WORKER_LIMIT_S = 180.0
PREVIEW_LIMIT_S = 900.0
END_LIMIT_S = 5.0  # a process that hangs in a dead share cannot even be killed
LINE_BYTES = 2 * MAX_PACK_BYTES
MOST_WAITING = 4  # packs from the ledger that are not looked at yet


@dataclass(slots=True, kw_only=True)
class _Tally:
    sources: int = 0
    unreachable: bool = False
    staged: list[str] = field(default_factory=list)
    troubles: list[FactorTrouble] = field(default_factory=list)


class FactorCheck:
    """Looks at every source when that is due, stages what is new, and carries out decisions."""

    def __init__(
        self, gateway: Gateway, reload: asyncio.Event, *, media: Sequence[str] = REMOVABLE
    ) -> None:
        self.desk = FactorDesk(gateway.database, gateway.owner, site_factors_dir())
        self._gateway = gateway
        self._reload = reload
        self._media = tuple(media)
        self._lock = asyncio.Lock()
        self._inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MOST_WAITING)
        self._retry_ns: int | None = None
        self._log = structlog.get_logger("factors")

    async def run(self) -> None:
        """Finish what was interrupted, then check when due, until cancelled."""
        if self.desk.finish(self._gateway.clock.now_ms()):
            self._reload.set()
        while True:
            if self.is_due():
                await self.check()
            try:
                async with asyncio.timeout(IDLE_S):
                    origin, data = await self._inbox.get()
            except TimeoutError:
                continue
            await self._take(origin, data)

    def is_due(self) -> bool:
        """Whether this day or week has not been checked yet; checks that were missed are one."""
        section, now_ns = self._gateway.config.factors, self._gateway.clock.monotonic_ns()
        waits = self._retry_ns is not None and now_ns < self._retry_ns
        trusted = self._gateway.recorder.trust.trusted
        if section.check == "never" or not self._jobs() or waits or not trusted:
            return False
        return self._due_period() is not None

    async def check(self) -> FactorCheckOutcome:
        """Look at every source now; one that fails does not stop the others."""
        self._refuse_untrusted_clock()
        tally = _Tally()
        async with self._lock:
            period_ms = self._due_period()
            for job in self._jobs():
                tally.sources += 1
                await self._look(job, tally)
            if tally.unreachable:
                self._retry_ns = self._gateway.clock.monotonic_ns() + RETRY_NS
            elif period_ms is not None:
                self._record(period_ms)
            await self._foresee(tally.staged)
        self._log.info(
            "factors.checked",
            sources=tally.sources,
            staged=len(tally.staged),
            troubles=len(tally.troubles),
        )
        return FactorCheckOutcome(
            sources=tally.sources, staged=tuple(tally.staged), troubles=tuple(tally.troubles)
        )

    def take_from_ledger(self, target: str, data: bytes) -> None:
        """Take a pack that a ledger sent; it is looked at in its turn."""
        data = data[: MAX_PACK_BYTES + 1]  # one byte more shows that it is too large
        known = sha256(data).hexdigest() in self.desk.packs.hashes()
        if not known and not self._inbox.full():
            self._inbox.put_nowait((f"{LEDGER} {target}", data))

    def decide(self, submission: FactorDecisionSubmission) -> StoredPack:
        """Approve or reject a pack; a reload takes up what is approved and revises emissions."""
        self._refuse_untrusted_clock()
        now_ms = self._gateway.clock.now_ms()
        digits, by, note = submission.hash, submission.by, submission.note
        if submission.decision is FactorDecision.REJECT:
            pack, events = self.desk.reject(digits, by, note, now_ms)
        else:
            pack, events = self.desk.approve(digits, by, note, self._keys(), now_ms)
            self._reload.set()
        self._tell(events)
        return pack

    async def _take(self, origin: str, data: bytes) -> None:
        tally = _Tally()
        async with self._lock:
            try:
                open_pack(data, self._keys())  # costs little, a process for each message more
            except ProofError as error:
                self._refused(origin, str(error), tally)
                return
            given = base64.b64encode(data).decode("ascii")
            await self._look({"given": given, "origin": origin}, tally)
            await self._foresee(tally.staged)

    def _jobs(self) -> list[dict[str, Any]]:
        """One job per source that is looked at; the ledger sends by itself."""
        section = self._gateway.config.factors
        jobs: list[dict[str, Any]] = [
            {"index": source, "ca": section.ca} if is_address(source) else {"folder": source}
            for source in section.sources
            if source != LEDGER
        ]
        return [*jobs, {"media": list(self._media)}] if section.usb else jobs

    async def _look(self, job: dict[str, Any], tally: _Tally) -> None:
        source = str(job.get("folder") or job.get("index") or job.get("origin") or "usb")
        words = {**job, "keys": list(self._gateway.config.factors.keys)}
        words["known"] = sorted(self.desk.packs.hashes())
        found: list[tuple[FactorPack, list[dict[str, Any]], str]] = []
        unreached: list[str] = []

        def take(answer: dict[str, Any]) -> None:
            if "pack" in answer:
                pack = open_pack(base64.b64decode(answer["pack"]), self._keys())
                found.append((pack, answer["summary"], answer["origin"]))
                return
            if answer["unreachable"]:
                unreached.append(answer["subject"])
            self._refused(answer["subject"], answer["reason"], tally)

        try:
            await _work(words, WORKER_LIMIT_S, take)
        except TanshuError as error:
            unreached.append(source)
            self._refused(source, str(error), tally)
        tally.unreachable |= bool(unreached)
        if not unreached and "given" not in job:
            self.desk.reached(source)
        now_ms = self._gateway.clock.now_ms()
        for pack, summary, origin in sorted(found, key=lambda one: one[0].serial):
            try:
                events = self.desk.stage(pack, summary, origin, now_ms)
            except ProofError as error:
                self._refused(f"{origin} {pack.hash[:12]}", str(error), tally)
                continue
            self._tell(events)
            if events:
                tally.staged.append(pack.hash)

    async def _foresee(self, staged: Sequence[str]) -> None:
        """Keep with each new pack what it would change in what is booked."""
        for digest in staged:
            words = {
                "preview": base64.b64encode(self.desk.packs.body(digest)).decode("ascii"),
                "site": str(self._gateway.config.path),
                "keys": list(self._gateway.config.factors.keys),
            }
            keep = partial(self._keep_preview, digest)
            try:
                await _work(words, PREVIEW_LIMIT_S, keep)
            except TanshuError as error:
                self._log.warning("factors.no_preview", pack=digest[:12], error=str(error))

    def _keep_preview(self, digest: str, answer: dict[str, Any]) -> None:
        self.desk.keep_preview(digest, answer["months"])

    def _refused(self, subject: str, reason: str, tally: _Tally) -> None:
        tally.troubles.append(FactorTrouble(subject=subject, reason=reason))
        self._tell(self.desk.refuse(subject, reason, self._gateway.clock.now_ms()))

    def _due_period(self) -> int | None:
        last_ms = JobRuns(self._gateway.database.connection).last(JOB)
        return due_once(self._period_start, last_ms, self._gateway.clock.now_ms())

    def _period_start(self, time_ms: int) -> int:
        """Start of the site's day, or of its week from Monday on."""
        zone = ZoneInfo(self._gateway.config.site.timezone)
        day = local_date(time_ms, zone)
        if self._gateway.config.factors.check == "weekly":
            day -= timedelta(days=day.weekday())
        return local_day(day, zone)[0]

    def _record(self, period_ms: int) -> None:
        with self._gateway.database.transaction() as connection:
            JobRuns(connection).record(JOB, period_ms, self._gateway.clock.now_ms())
            JobRuns(connection).forget_before(JOB, period_ms)

    def _keys(self) -> list[PublicKey]:
        return [PublicKey.from_text(text) for text in self._gateway.config.factors.keys]

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self._log.info(event.code, subject=event.subject, detail=event.detail)
        self._gateway.recorder.tell(events)

    def _refuse_untrusted_clock(self) -> None:
        if not self._gateway.recorder.trust.trusted:
            raise StoreError(
                "the clock cannot be trusted yet, so nothing can be dated",
                where="clock",
                hint="set the machine's clock, then try again",
            )


async def _work(
    job: dict[str, Any], limit_s: float, take: Callable[[dict[str, Any]], None]
) -> None:
    """Hand each line of a worker process on as it comes.

    Raises:
        StoreError: it takes too long or fails.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.daemon.factor_worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(limit_s):
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            async for line in process.stdout:
                take(json.loads(line))
            code = await process.wait()
    except TimeoutError as error:
        raise StoreError(f"was not looked through within {limit_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_LIMIT_S):
                    await process.wait()
    if code:
        raise StoreError("could not be looked through; the gateway's log says why")
