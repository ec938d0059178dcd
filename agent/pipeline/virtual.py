"""Computed streams: their windows follow those of their inputs, revision by revision.

What is due is found in the book itself: every window booked since the last look, by whomever,
touches the windows that are computed from it. A window that comes out as it is booked already is
not booked again, so looking twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.book.touched import number_before, touched_after, window_keys
from agent.config.site import DerivedPlan, SiteConfig
from agent.core.adjustment import Reason
from agent.core.indirect import estimate, levels, no_estimate
from agent.core.model import Emission, Event, Severity, StreamKind, Window
from agent.core.timebase import HOUR_MS, ceil_boundary
from agent.core.virtual import Amount, Computed, compute
from agent.pipeline.adjust import Cause, SignedMonths
from agent.pipeline.booking import Booking
from agent.pipeline.inputs import Held, Inputs, Key, chunks
from agent.store.models import DerivedInputs, DerivedMarks, Models, ModelVersion
from agent.store.readings import Readings
from agent.store.state import StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

MOST_AGAIN = 2000  # windows computed again in one transaction
OUT_OF_DOMAIN = "indirect-out-of-domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What one look booked."""

    windows: int
    emissions: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A window that was computed, and from what."""

    window: Window
    estimated_share: float
    inputs: tuple[tuple[str, int | float], ...]
    outside: tuple[str, ...] = ()


class Derivation:
    """Computes the streams of one gateway that are computed from others."""

    def __init__(
        self, config: SiteConfig, owner: Owner, readings: Readings, booking: Booking
    ) -> None:
        self._config = config
        self._owner = owner
        self._readings = readings
        self._booking = booking
        self._signed = SignedMonths(config, owner)
        self._held: dict[str, Held] = {}
        self._plans = [plan for plan in config.derived if plan.booked]

    def is_behind(self, connection: Connection) -> bool:
        """Whether windows were booked, or are to be computed again, that nobody looked at."""
        if not self._plans:
            return False
        marks, newest = DerivedMarks(connection), SqliteBook(connection).next_id("windows") - 1
        asked = marks.pending().intersection(plan.id for plan in self._plans)
        return bool(asked) or newest > (marks.window_id() or 0)

    def close(self, connection: Connection, until_ms: int) -> Derived:
        """Compute every window touched since the last look, in the caller's transaction."""
        if not self._plans:
            return Derived(windows=0, emissions=0, events=())
        inputs = Inputs(connection, self._config, self._owner, self._readings, self._held)
        look = _Look(connection, self._config, self._owner, inputs, until_ms)
        touched = look.touched({name for plan in self._plans for name in plan.streams})
        windows: list[Window] = []
        emissions: list[Emission] = []
        events: list[Event] = []
        told: list[Event] = []  # booked already
        for plan in self._plans:
            keys = look.keys(plan, touched)
            drafts = look.changed(plan, keys)
            events += look.events(plan, drafts)  # they compare with what is booked before
            before = self._signed.sums(connection, [draft.window for draft in drafts])
            booked, emitted = self._book(connection, drafts)
            cause = Cause(reason=Reason.COMPUTED, author=self._owner.gateway, now_ms=until_ms)
            told += self._signed.adjusted(connection, before, cause)
            touched[plan.id] |= {(window.start_ms, window.length_ms) for window in booked}
            windows += booked
            emissions += emitted
        SqliteBook(connection).add_events(self._owner, events)
        DerivedMarks(connection).set_window_id(SqliteBook(connection).next_id("windows") - 1)
        return Derived(windows=len(windows), emissions=len(emissions), events=(*events, *told))

    def _book(
        self, connection: Connection, drafts: Sequence[_Draft]
    ) -> tuple[list[Window], list[Emission]]:
        windows, emissions = self._booking.add(
            SqliteBook(connection),
            [draft.window for draft in drafts],
            {
                (draft.window.stream, draft.window.start_ms): draft.estimated_share
                for draft in drafts
            },
        )
        DerivedMarks(connection).keep_inputs(
            DerivedInputs(
                stream=window.stream,
                start_ms=window.start_ms,
                length_ms=window.length_ms,
                revision=window.revision,
                estimated_share=draft.estimated_share,
                inputs=draft.inputs,
            )
            for window, draft in zip(windows, drafts, strict=True)
        )
        return windows, emissions


class _Look:
    """One look at what is booked, within one transaction."""

    def __init__(
        self,
        connection: Connection,
        config: SiteConfig,
        owner: Owner,
        inputs: Inputs,
        until_ms: int,
    ) -> None:
        self._connection = connection
        self._config = config
        self._owner = owner
        self._inputs = inputs
        self._marks = DerivedMarks(connection)
        self._known = StreamStates(connection).load()
        self._until_ms = until_ms
        self._models: dict[str, list[ModelVersion]] = defaultdict(list)
        for version in Models(connection).versions():
            self._models[version.stream].append(version)

    def touched(self, streams: Iterable[str]) -> dict[str, set[Key]]:
        """The windows of these streams that were booked since the last look, by stream."""
        found: dict[str, set[Key]] = defaultdict(set)
        after = self._marks.window_id()
        if after is None:
            after = number_before(self._connection, self._owner, streams, self._first_ms())
        for name, start_ms, length_ms in touched_after(self._connection, self._owner, after):
            found[name].add((start_ms, length_ms))
        return found

    def _first_ms(self) -> int:
        return min(self._known[plan.id][0] for plan in self._config.derived if plan.booked)

    def keys(self, plan: DerivedPlan, touched: Mapping[str, set[Key]]) -> set[Key]:
        """The windows of a computed stream that are to be looked at."""
        since_ms = self._known[plan.id][0]
        keys = {key for name in plan.streams for key in touched.get(name, ()) if key[0] >= since_ms}
        if not plan.streams:
            keys |= self._unread(plan, since_ms)
        return keys | self._again(plan)

    def _unread(self, plan: DerivedPlan, since_ms: int) -> set[Key]:
        """The windows up to now of a stream that has only means of points to follow."""
        length_ms = self._config.window_ms
        from_ms = ceil_boundary(self._marks.closed_to_ms(plan.id) or since_ms, length_ms)
        if self._until_ms > from_ms:
            self._marks.set_closed_to_ms(plan.id, self._until_ms)
        return {(start, length_ms) for start in range(from_ms, self._until_ms, length_ms)}

    def _again(self, plan: DerivedPlan) -> set[Key]:
        """The next of the windows that somebody asked to have computed again."""
        from_ms = self._marks.again_from_ms(plan.id)
        if from_ms is None:
            return set()
        name = plan.streams[0] if plan.streams else plan.id
        keys = window_keys(self._connection, self._owner, name, from_ms, MOST_AGAIN)
        self._marks.set_again_from_ms(plan.id, keys[-1][0] + 1 if len(keys) == MOST_AGAIN else None)
        return set(keys)

    def changed(self, plan: DerivedPlan, keys: Iterable[Key]) -> list[_Draft]:
        """The windows that come out otherwise than they are booked, by time."""
        booked = {
            key: window
            for chunk in chunks(sorted(keys))
            for key, window in self._inputs.windows(plan.id, chunk).items()
        }
        drafts = (self._draft(plan, key, found) for key, found in self._inputs.of(plan, keys))
        return [
            draft
            for draft in drafts
            if not _is_booked(
                booked.get((draft.window.start_ms, draft.window.length_ms)), draft.window
            )
        ]

    def _draft(self, plan: DerivedPlan, key: Key, found: Mapping[str, Amount]) -> _Draft:
        if plan.formula is not None:
            computed = compute(plan.formula, found)
            return _draft(plan, key, found, computed, _method(plan, computed, found))
        return _estimated(plan, self._models[plan.id], key, found)

    def events(self, plan: DerivedPlan, drafts: Sequence[_Draft]) -> list[Event]:
        """A warning where a stream leaves the range of its model; once until it is back."""
        if plan.stream.kind is not StreamKind.INDIRECT:
            return []
        left = {draft.window.end_ms for draft in drafts if draft.outside}
        return [
            Event(
                time_ms=draft.window.start_ms,
                code="indirect.out_of_domain",
                subject=plan.id,
                severity=Severity.WARNING,
                detail=f"inputs={','.join(draft.outside)}",
            )
            for draft in drafts
            if draft.outside
            and draft.window.start_ms not in left
            and not self._was_outside(plan, draft.window)
        ]

    def _was_outside(self, plan: DerivedPlan, window: Window) -> bool:
        """Whether the window, or the one before it, is booked so already."""
        keys = [(window.start_ms - window.length_ms, window.length_ms)]
        keys.append((window.start_ms, window.length_ms))
        booked = self._inputs.windows(plan.id, keys).values()
        return any(before.method == OUT_OF_DOMAIN for before in booked)


def _estimated(
    plan: DerivedPlan, versions: Sequence[ModelVersion], key: Key, found: Mapping[str, Amount]
) -> _Draft:
    """The window of a fitted stream, by the last version that serves its time."""
    current = next((one for one in reversed(versions) if one.since_ms <= key[0]), None)
    if current is None:
        return _draft(plan, key, found, no_estimate(found), "indirect-no-model")
    if set(current.model.inputs) != set(found):
        return _draft(plan, key, found, no_estimate(found), "indirect-other-inputs")
    amounts = {name: found[name] for name in current.model.inputs}
    hours = key[1] / HOUR_MS
    divisors = [hours if name in plan.streams else 1.0 for name in amounts]
    entering = levels(amounts.values(), divisors)
    outside = current.model.outside(entering) if entering else ()
    computed = estimate(current.model, amounts, divisors, hours)
    if computed.value is not None:
        return _draft(plan, key, found, computed, f"indirect:{current.version}")
    method = OUT_OF_DOMAIN if outside else "indirect-input-missing"
    return _draft(plan, key, found, computed, method, outside)


def _method(plan: DerivedPlan, computed: Computed, found: Mapping[str, Amount]) -> str:
    if computed.value is not None:
        return f"formula:{plan.formula_hash}"
    lacking = any(found[name].value is None for name in computed.used)
    return "formula-input-missing" if lacking else "formula-undefined"


def _draft(
    plan: DerivedPlan,
    key: Key,
    found: Mapping[str, Amount],
    computed: Computed,
    method: str,
    outside: tuple[str, ...] = (),
) -> _Draft:
    return _Draft(
        window=Window(
            stream=plan.id,
            start_ms=key[0],
            length_ms=key[1],
            revision=0,
            value=computed.value,
            provenance=computed.provenance,
            method=method,
            coverage=computed.coverage,
            lower=computed.lower,
            upper=computed.upper,
            maintenance=computed.maintenance,
        ),
        estimated_share=computed.estimated_share,
        inputs=tuple((name, _trace(found[name])) for name in computed.used),
        outside=outside,
    )


def _trace(amount: Amount) -> int | float:
    """What an input is recorded by: the revision of its window, or the mean of a point."""
    if amount.revision is not None:
        return amount.revision
    return 0.0 if amount.value is None else amount.value


def _is_booked(booked: Window | None, window: Window) -> bool:
    """Whether the current revision says the same already."""
    return booked is not None and (
        booked.value,
        booked.provenance,
        booked.method,
        booked.coverage,
        booked.lower,
        booked.upper,
        booked.maintenance,
    ) == (
        window.value,
        window.provenance,
        window.method,
        window.coverage,
        window.lower,
        window.upper,
        window.maintenance,
    )
