"""Computed streams of the running gateway: balances of its meters, models of what has none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.faults import nearest
from agent.config.site import DerivedPlan, SiteConfig
from agent.core.balance import Metered
from agent.core.errors import UsageError
from agent.core.model import Event, Severity, StreamKind
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.pipeline.balance import PeriodBalance, balances, periods_of
from agent.store.models import DerivedMarks, Models, ModelVersion
from agent.store.state import Audit
from agent.web.computed_view import (
    BalancePart,
    BalancePeriod,
    BalanceQuery,
    BalanceRow,
    ModelRow,
    ModelSubmission,
)

if TYPE_CHECKING:
    from agent.daemon.service import Gateway

MOST_PERIODS = 800  # of one question: a month of hours
SHORTEST_MS = {
    BalancePeriod.HOUR: HOUR_MS,
    BalancePeriod.DAY: 23 * HOUR_MS,
    BalancePeriod.MONTH: 28 * DAY_MS,
}


class ComputedDesk:
    """Implements `agent.web.computed_view.ComputedView` on a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def balances(self, query: BalanceQuery) -> Sequence[BalanceRow]:
        """Balances by start and master, at most ``limit``."""
        gateway = self._gateway
        zone = ZoneInfo(gateway.config.site.timezone)
        if query.to_ms - query.from_ms > MOST_PERIODS * SHORTEST_MS[query.period]:
            what = f"lies more than {MOST_PERIODS} periods after `from`"
            raise UsageError(what, where="to", hint="ask for less at once")
        periods = periods_of(query.period, query.from_ms, query.to_ms, zone)
        found = balances(gateway.database.connection, gateway.owner, gateway.config, periods)
        return [_row(one) for one in found[: query.limit]]

    async def models(self, stream: str | None) -> Sequence[ModelRow]:
        """All versions of the models of a stream, or of all."""
        return [
            model_row(version)
            for version in Models(self._gateway.database.connection).versions(stream)
        ]

    async def add_model(self, submission: ModelSubmission) -> ModelRow:
        """Keep a model as the next version; windows follow it from the next closing on."""
        gateway = self._gateway
        row = keep_model(
            gateway.database, gateway.owner, gateway.config, submission, gateway.clock.now_ms()
        )
        gateway.wake.ring()
        return row


def fitted_plan(config: SiteConfig, name: str) -> DerivedPlan:
    """The fitted stream of that id, with or without its prefix.

    Raises:
        UsageError: the site file has none.
    """
    plans = {plan.id: plan for plan in config.derived if plan.stream.kind is StreamKind.INDIRECT}
    found = plans.get(name) or plans.get(f"{StreamKind.INDIRECT}.{name}")
    if found is None:
        raise UsageError(
            "the site file has no such [[indirect]]",
            where=name,
            hint=nearest(name, {plan.partition(".")[2] for plan in plans}),
        )
    return found


def keep_model(
    database: Database, owner: Owner, config: SiteConfig, submission: ModelSubmission, now_ms: int
) -> ModelRow:
    """Store a model as the next version of its stream, and tell of it in the book.

    Raises:
        UsageError: no such stream, or a model of other inputs or another unit.
    """
    plan, model = fitted_plan(config, submission.stream), submission.model
    if set(model.inputs) != set(plan.inputs) or model.unit != plan.stream.unit:
        raise UsageError(
            f"the model is of {', '.join(model.inputs)} in {model.unit}",
            where=plan.id,
            hint=f"the site file names {', '.join(plan.inputs)} in {plan.stream.unit}",
        )
    since_ms = now_ms if submission.since_ms is None else submission.since_ms
    with database.transaction() as connection:
        version = Models(connection).add(plan.id, model, since_ms=since_ms, fitted_ms=now_ms)
        if submission.again and plan.booked:
            DerivedMarks(connection).compute_again(plan.id, since_ms)
        detail = json.dumps(
            {
                "version": version.version,
                "since_ms": since_ms,
                "again": submission.again,
                "by": submission.by,
                "model": json.loads(model.to_json()),
            },
            ensure_ascii=False,
            sort_keys=True,
        )
        Audit(connection).record(now_ms, submission.by, "model.fit", plan.id, detail)
        event = Event(
            time_ms=now_ms,
            code="model.fitted",
            subject=plan.id,
            severity=Severity.INFO,
            detail=detail,
        )
        SqliteBook(connection).add_events(owner, [event])
    return model_row(version)


def model_row(version: ModelVersion) -> ModelRow:
    return ModelRow(
        stream=version.stream,
        version=version.version,
        since_ms=version.since_ms,
        fitted_ms=version.fitted_ms,
        model=version.model,
    )


def _row(one: PeriodBalance) -> BalanceRow:
    found = one.balance
    return BalanceRow(
        start_ms=one.start_ms,
        end_ms=one.end_ms,
        unit=one.unit,
        master=_part(found.master),
        parts=tuple(_part(part) for part in found.parts),
        below=found.below,
        unmetered=found.unmetered,
        unmetered_share=found.unmetered_share,
        lower=found.lower,
        upper=found.upper,
        verdict=found.verdict,
        class_assumed=one.assumed,
    )


def _part(part: Metered) -> BalancePart:
    return BalancePart(
        stream=part.stream, amount=part.value, half_90=part.half_90, whole=part.whole
    )
