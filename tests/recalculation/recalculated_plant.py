"""A gateway's store and a ledger's, with one source, and histories of what is booked and sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.config.sections import Source
from agent.config.site import FormerFactor, SourcePlan
from agent.core.carbon.booking import emission_of
from agent.core.model import Emission, FactorRef, GasRates, Provenance, Window
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.ledger.verify import Report, verify
from agent.pipeline.recalculate import MonthChange, Recalculation
from agent.pipeline.seal import Sealer
from agent.store.batches import Batches
from agent.store.database import open_store
from tests.fake_clock import FakeClock
from tests.sync.harness import EPOCH, GATEWAY_KEY, OWNER, SystemClock, new_ledger

SOURCE, STREAM, OTHER_STREAM = "boiler", "meter.gas", "spare.gas"
LENGTH_MS = 6 * 3_600_000
START_MS = 1_769_875_200_000  # 2026-01-31T16:00:00Z, the first of February in Shanghai
EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
EMISSIONS = (
    "SELECT series.name, start_ms, length_ms, revision, kgco2, kgch4, kgn2o, kgco2e, lower, upper, "
    "estimated_share, factors.name, factors.version, factors.value, factors.unit, inputs "
    "FROM emissions JOIN series ON series.id = emissions.series "
    "JOIN factors ON factors.id = emissions.factor ORDER BY 1, 2, 3, 4"
)


def factor(version: int) -> FactorRef:
    return FactorRef(id="gas", version=str(version), value=2.1 + version / 7, unit="kgCO2e/Nm3")


def gases(version: int) -> GasRates:
    return GasRates(kgco2=2.0 + version / 7, kgch4=0.001 * version, kgn2o=1e-5)


class Plant:
    """Windows are numbered by their place in time; the month of 112 windows is February."""

    def __init__(self, folder: Path | None = None) -> None:
        self.clock = FakeClock(START_MS)
        self.store = open_store(folder / "gateway.db" if folder else ":memory:")
        self.ledger = new_ledger(folder / "ledger.db" if folder else Path(":memory:"))
        self.plan = SourcePlan(
            section=Source(id=SOURCE, device="d", kind="fuel", stream=STREAM),
            factor=factor(1),
            gases=gases(1),
            uncertainty_factor_pct=0.0,
        )
        self._sealer = Sealer(OWNER, GATEWAY_KEY, lambda: EPOCH)

    def configure(self, **changes: Any) -> None:
        """Other keys of the source in the site file."""
        section = self.plan.section
        values = {name: getattr(section, name) for name in section.__struct_fields__}
        self.plan = replace(self.plan, section=Source(**(values | changes)))

    def take_factor(self, version: int, *, since: int | None = None) -> None:
        """Another factor for all time, or for windows from a place on."""
        former = self.plan.former
        if since is not None:
            ended = FormerFactor(
                until_ms=START_MS + since * LENGTH_MS,
                factor=self.plan.factor,
                gases=self.plan.gases,
            )
            former = (*former, ended)
        self.plan = replace(self.plan, factor=factor(version), gases=gases(version), former=former)

    def book(self, places: Iterable[int], value: float | None) -> None:
        """Windows and emissions as a closing books them, each under its next revision."""
        book = SqliteBook(self.store.connection)
        with self.store.transaction():
            for place in places:
                self._book_one(book, START_MS + place * LENGTH_MS, value)

    def _book_one(self, book: SqliteBook, start_ms: int, value: float | None) -> None:
        stream = self.plan.section.stream
        window_key, key = (stream, start_ms, LENGTH_MS), (SOURCE, start_ms, LENGTH_MS)
        window = Window(
            stream=stream,
            start_ms=start_ms,
            length_ms=LENGTH_MS,
            revision=book.next_revisions(OWNER, "stream", [window_key])[window_key],
            value=value,
            provenance=Provenance.MISSING if value is None else Provenance.MEASURED,
            method="register",
            coverage=1.0,
            lower=None if value is None else value - 0.1,
            upper=None if value is None else value + 0.1,
        )
        emission = self.emission(window, book.next_revisions(OWNER, "source", [key])[key])
        book.add_windows(OWNER, [window])
        book.add_emissions(OWNER, [emission])

    def emission(self, window: Window, revision: int) -> Emission:
        """The emission of a window by the factors that hold now."""
        return emission_of(
            SOURCE,
            window,
            self.plan.factor_at(window.start_ms),
            gases=self.plan.gases_at(window.start_ms),
            share=self.plan.section.share,
            revision=revision,
            uncertainty_activity_pct=self.plan.section.uncertainty_activity_pct or 0.0,
        )

    def recalculation(self) -> Recalculation:
        config: Any = SimpleNamespace(
            sources={SOURCE: self.plan}, site=SimpleNamespace(timezone="Asia/Shanghai")
        )
        return Recalculation(config, self.store, OWNER, self.clock)

    def recalculate(self) -> list[MonthChange]:
        return asyncio.run(self.recalculation().run())

    def seal(self) -> None:
        with self.store.transaction() as connection:
            while self._sealer.seal(connection, self.clock.now_ms()):
                pass

    def batches(self) -> list[bytes]:
        """Every sealed batch, oldest first."""
        batches = Batches(self.store.connection)
        last = batches.last(EPOCH)
        listed = [batches.data(EPOCH, seq) for seq in range(1, last.seq + 1)] if last else []
        return [data for data in listed if data is not None]

    def deliver(self, batches: Sequence[bytes]) -> None:
        """Give batches to the ledger, each in a round of its own."""
        intake = Intake(self.ledger, SystemClock())
        for data in batches:
            outcome = intake.take([Delivery(owner=OWNER, body=data, user={})])
            assert outcome.refusals == ()

    def at_gateway(self) -> list[tuple[Any, ...]]:
        return self.store.connection.execute(EMISSIONS).fetchall()

    def at_ledger(self) -> list[tuple[Any, ...]]:
        return self.ledger.connection.execute(EMISSIONS).fetchall()

    def current(self) -> list[Emission]:
        return list(SqliteBook(self.store.connection).current_emissions(OWNER, EVERYTHING))

    def current_at_ledger(self) -> list[Emission]:
        return list(SqliteBook(self.ledger.connection).current_emissions(OWNER, EVERYTHING))

    def alarms(self) -> list[tuple[str, str]]:
        storage = LedgerStorage(self.ledger.connection)
        return [(alarm.code, alarm.detail) for alarm in storage.alarms()]

    def verify(self) -> Report:
        return verify(self.ledger)

    def close(self) -> None:
        self.store.close()
        self.ledger.close()
