"""Monthly reports of a running gateway: made by a worker process, reviewed in its own book."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.report_rows import reported_months
from agent.book.reviews import ReviewBasis, add_review, new_review
from agent.core.errors import StoreError
from agent.core.report.month import Month
from agent.daemon.review_basis import BASIS, basis_of
from agent.store.state import Audit
from agent.web.report_view import ReportForm, ReportMonth, ReviewOutcome, ReviewSubmission

if TYPE_CHECKING:
    from agent.daemon.service import Gateway

WORKER_LIMIT_S = 300.0
FRESH_NS = 20_000_000_000  # a page that is loaded again within this time gets the same report
KEPT = 4


def book_review(
    database: Database,
    owner: Owner,
    basis: ReviewBasis,
    submission: ReviewSubmission,
    now_ms: int,
    actor: str,
) -> ReviewOutcome:
    """Check a review and append it, in one transaction with its entry in the audit.

    Raises:
        UsageError: the review lacks something, or its figures are others by now.
    """
    review = new_review(
        basis,
        department=submission.department,
        name=submission.name,
        decision=submission.decision,
        note=submission.note,
        seen=submission.figures,
        settled=submission.settled,
        reviewed_ms=now_ms,
    )
    with database.transaction() as connection:
        add_review(connection, owner, review, basis.figures)
        Audit(connection).record(
            now_ms,
            actor,
            "report.review",
            str(review.month),
            f"{review.department} {review.decision} by {review.name}: {review.figures}",
        )
    return ReviewOutcome(
        month=str(review.month),
        department=review.department,
        name=review.name,
        decision=review.decision,
        figures=review.figures,
        reviewed_ms=now_ms,
        settled=review.settled,
    )


class Reports:
    """Makes reports one after the other and keeps the last few for a moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = asyncio.Lock()
        self._made: dict[tuple[Month, str, str], tuple[int, bytes]] = {}

    def months(self) -> Sequence[ReportMonth]:
        """The months with booked emissions, newest first."""
        gateway = self._gateway
        zone = ZoneInfo(gateway.config.site.timezone)
        now_ms = gateway.clock.now_ms()
        found = reported_months(gateway.database.connection, [gateway.owner], zone, now_ms)
        return [
            ReportMonth(month=str(month), complete=month.span(zone)[1] <= now_ms) for month in found
        ]

    async def report(self, month: Month, form: ReportForm, language: str) -> bytes:
        """The report of a month; the same bytes again within some seconds."""
        key = (month, form.value, language)
        async with self._lock:
            now_ns = self._gateway.clock.monotonic_ns()
            held = self._made.get(key)
            if held is None or now_ns - held[0] > FRESH_NS:
                held = (now_ns, await self._work(month, form.value, language))
                self._made.pop(key, None)
                while len(self._made) >= KEPT:
                    self._made.pop(next(iter(self._made)))
                self._made[key] = held
            return held[1]

    async def review(self, submission: ReviewSubmission) -> ReviewOutcome:
        """Book a review of what the book says now."""
        gateway = self._gateway
        async with self._lock:
            basis = basis_of(await self._work(submission.month, BASIS, ""))
            outcome = book_review(
                gateway.database,
                gateway.owner,
                basis,
                submission,
                gateway.clock.now_ms(),
                "api",
            )
            self._made.clear()
            gateway.wake.ring()  # it is sealed now, not with the next window
            return outcome

    async def _work(self, month: Month, form: str, language: str) -> bytes:
        """Run the worker; its error is raised here as the gateway's own."""
        path = str(self._gateway.config.path)
        now_ms = str(self._gateway.clock.now_ms())
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.daemon.report_worker",
            path,
            str(month),
            form,
            language,
            now_ms,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(WORKER_LIMIT_S):
                out, err = await process.communicate()
        except TimeoutError:
            raise StoreError(
                f"the report was not ready within {WORKER_LIMIT_S:g} s",
                where=str(month),
                hint="make it with `tanshu report month`",
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise _error(str(month), err)
        return out


def _error(month: str, err: bytes) -> StoreError:
    lines = err.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else ""
    try:
        words = json.loads(last)
        return StoreError(words["what"], where=words["where"], hint=words["hint"])
    except (ValueError, KeyError, TypeError):
        return StoreError(
            f"the report could not be made: {last[:200]}",
            where=month,
            hint="try `tanshu report month` and see the gateway's log",
        )
