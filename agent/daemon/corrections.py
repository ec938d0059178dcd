"""Declaring that a meter was replaced or a reading is wrong: checked against what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.correction import Correction, CorrectionKind, read_correction
from agent.core.errors import UsageError
from agent.core.model import Event, PointRole, PointSpec, Replacement, Severity
from agent.core.timebase import DAY_MS, iso_utc
from agent.store.corrections import Corrections, Signed
from agent.store.history import History
from agent.store.readings import Readings
from agent.store.state import Audit

if TYPE_CHECKING:
    from sqlite3 import Connection

SAME_READING_MS = 500  # a time given by hand names the reading this close to it


def correct(
    database: Database,
    owner: Owner,
    config: SiteConfig,
    fields: Mapping[str, object],
    now_ms: int,
) -> str:
    """Book a correction with its event; returns in one line what was booked.

    The windows that it touches are cut again by the next closing.

    Raises:
        UsageError: a field is wrong, or the numbers contradict the readings beside them.
    """
    correction = read_correction(fields, ZoneInfo(config.site.timezone))
    point = _known_point(config, correction)
    if correction.at_ms > now_ms:
        raise UsageError("lies in the future", where="at", hint="when it happened")
    with database.transaction() as connection:
        history = History(connection, Readings(connection))
        signed = Signed(author=correction.author, note=correction.note, entered_ms=now_ms)
        if correction.kind is CorrectionKind.REPLACED:
            detail = _replace(connection, history, point, correction, signed)
        else:
            detail = _repair(connection, history, point, correction, signed)
        code = (
            "meter.replaced" if correction.kind is CorrectionKind.REPLACED else ("reading.repaired")
        )
        detail = f"{detail} by={correction.author}"
        event = Event(
            time_ms=now_ms,
            code=code,
            subject=correction.point,
            severity=Severity.INFO,
            detail=detail,
        )
        SqliteBook(connection).add_events(owner, [event])
        Audit(connection).record(
            now_ms, correction.author, code, correction.point, f"{detail} {correction.note}".strip()
        )
    return detail


def _known_point(config: SiteConfig, correction: Correction) -> PointSpec:
    point = config.points.get(correction.point)
    if point is None or point.role is PointRole.TEXT:
        raise UsageError(
            f"there is no point {correction.point}", where="point", hint="«meter.point»"
        )
    if correction.kind is CorrectionKind.REPLACED and point.role is not PointRole.COUNTER:
        raise UsageError("is no counter", where="point", hint="only a counter has a register")
    return point


def _replace(
    connection: Connection,
    history: History,
    point: PointSpec,
    correction: Correction,
    signed: Signed,
) -> str:
    corrections = Corrections(connection)
    if correction.old_end is None or correction.new_start is None:
        known = corrections.replacements().get(correction.point, ())
        if correction.at_ms not in {each.at_ms for each in known}:
            raise UsageError("nothing was declared for it", where="at", hint="tanshu meter list")
        corrections.void_replacement(correction.point, correction.at_ms, signed)
        return f"void at={iso_utc(correction.at_ms)}"
    _check_beside(history, point, correction, correction.old_end, correction.new_start)
    replacement = Replacement(
        at_ms=correction.at_ms, old_end=correction.old_end, new_start=correction.new_start
    )
    corrections.add_replacement(correction.point, replacement, signed)
    return (
        f"old_end={replacement.old_end:.15g} new_start={replacement.new_start:.15g} "
        f"unit={point.unit} at={iso_utc(correction.at_ms)}"
    )


def _check_beside(
    history: History, point: PointSpec, correction: Correction, old_end: float, new_start: float
) -> None:
    """The old register cannot have ended below its last reading, nor the new begun above."""
    at_ms, slack = correction.at_ms, 2 * point.resolution
    before = history.good([correction.point], at_ms - DAY_MS, at_ms)[correction.point]
    after = history.good([correction.point], at_ms, at_ms + DAY_MS)[correction.point]
    if before.values.size and old_end < before.values[-1] - slack:
        last = f"{before.values[-1]:.15g} {point.unit} at {iso_utc(int(before.times_ms[-1]))}"
        raise UsageError(f"the old meter already read {last}", where="old_end", hint="check it")
    if after.values.size and new_start > after.values[0] + slack:
        first = f"{after.values[0]:.15g} {point.unit} at {iso_utc(int(after.times_ms[0]))}"
        raise UsageError(f"the new meter read {first}", where="new_start", hint="check it")


def _repair(
    connection: Connection,
    history: History,
    point: PointSpec,
    correction: Correction,
    signed: Signed,
) -> str:
    span = (correction.at_ms - SAME_READING_MS, correction.at_ms + SAME_READING_MS + 1)
    near = history.good([correction.point], *span)[correction.point]
    at_ms, former = correction.at_ms, None
    if near.times_ms.size:
        nearest = int(abs(near.times_ms - at_ms).argmin())
        at_ms, former = int(near.times_ms[nearest]), float(near.values[nearest])
    elif correction.value is None:
        raise UsageError(
            "there is no good reading at this time", where="at", hint="to half a second"
        )
    Corrections(connection).add_repair(correction.point, at_ms, correction.value, signed)
    was, now = ("none" if each is None else f"{each:.15g}" for each in (former, correction.value))
    return f"from={was} to={now} unit={point.unit} at={iso_utc(at_ms)}"
