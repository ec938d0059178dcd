"""Reviews are appended, bound to the figures they saw, and void when a figure changes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from report_month import OCTOBER, OWNER, ZONE, BookedSite, measured

from agent.book.activity import SqliteActivity
from agent.book.reviews import ReviewBasis, add_review, new_review, reviews_of
from agent.book.sqlite import SqliteBook
from agent.core.activity import ActivityEntry, ActivityKind, stream_of
from agent.core.adjustment import Adjustment
from agent.core.checks.balance import BALANCE_EVENTS
from agent.core.checks.finding import FindingCode
from agent.core.errors import UsageError
from agent.core.model import Provenance
from agent.core.report.model import Decision, Department, MonthReport, SignOff
from agent.core.timebase import DAY_MS


def review(
    booked: BookedSite,
    report: MonthReport,
    department: Department,
    *,
    decision: Decision = Decision.ACCEPTED,
    note: str = "",
    name: str = "李四",
    settled: tuple[str, ...] = (),
    seen: str = "",
) -> None:
    given = new_review(
        ReviewBasis.of(report),
        department=department,
        name=name,
        decision=decision,
        note=note,
        seen=seen,
        settled=settled,
        reviewed_ms=report.made_ms,
    )
    with booked.database.transaction() as connection:
        add_review(connection, OWNER, given, report.figures)


def both(booked: BookedSite) -> MonthReport:
    report = booked.report()
    for department in Department:
        review(booked, report, department)
    return booked.report()


def level_three(report: MonthReport) -> list[str]:
    return [finding.id for finding in report.findings if finding.level == 3]


def test_two_departments_sign(booked: BookedSite) -> None:
    booked.book()
    report = booked.report()
    assert level_three(report) == ["review.missing:environment", "review.missing:production"]
    review(booked, report, Department.ENVIRONMENT, seen=report.figures_hash[:12])
    half = booked.report()
    assert (half.sign_off, level_three(half)) == (SignOff.DRAFT, ["review.missing:production"])
    review(booked, report, Department.PRODUCTION)
    signed = booked.report(days_after=30.0)
    assert (signed.sign_off, level_three(signed)) == (SignOff.SIGNED, [])
    assert signed.figures_hash == report.figures_hash


def test_a_changed_figure_makes_the_sign_off_void_and_is_named(booked: BookedSite) -> None:
    booked.book()
    assert both(booked).sign_off is SignOff.SIGNED

    def corrected(meter: str, hour: int) -> tuple[float | None, Provenance]:
        return (1100.0 if hour == 5 else 1000.0), Provenance.VERIFIED

    booked.book(value=corrected, revision=1, hours=6, meters=("gas",))
    report = booked.report()
    assert report.sign_off is SignOff.VOID
    assert level_three(report) == ["review.void:environment", "review.void:production"]
    changes = {change.what: (change.before, change.after) for change in report.reviews[0].changes}
    assert changes["sources › f103-gas › kgco2e"] == ("1608668.473896", "1608884.692777")
    assert not any("f103-fan" in what for what in changes)
    finding = next(one for one in report.findings if one.code is FindingCode.REVIEW_VOID)
    assert "1608668.473896 → 1608884.692777" in finding.detail
    assert both(booked).sign_off is SignOff.SIGNED
    assert [one.void for one in booked.report().reviews] == [True, True, False, False]


def test_a_returned_report_says_why(booked: BookedSite) -> None:
    booked.book()
    report = booked.report()
    with pytest.raises(UsageError, match="says why"):
        review(booked, report, Department.PRODUCTION, decision=Decision.RETURNED)
    review(
        booked,
        report,
        Department.PRODUCTION,
        decision=Decision.RETURNED,
        note="10 月 5 日停车未扣除",
    )
    returned = booked.report()
    assert returned.sign_off is SignOff.RETURNED
    finding = next(one for one in returned.findings if one.subject == "production")
    assert finding.detail == "10 月 5 日停车未扣除"


def test_a_finding_is_settled_as_long_as_the_figures_stand(booked: BookedSite) -> None:
    def guessed(meter: str, hour: int) -> tuple[float | None, Provenance]:
        return measured(meter, hour)[0], (
            Provenance.ESTIMATED if meter == "pump" and hour < 100 else Provenance.MEASURED
        )

    booked.book(value=guessed)
    report = booked.report()
    settled = "completeness.estimated:pump.energy"
    with pytest.raises(UsageError, match="no finding"):
        review(booked, report, Department.PRODUCTION, settled=("completeness.estimated:x",))
    review(booked, report, Department.PRODUCTION, settled=(settled,), name="王五")
    assert {one.id: one.settled_by for one in booked.report().findings}[settled] == "王五"
    booked.book(value=guessed, revision=1, hours=1, meters=("gas",))
    assert {one.id: one.settled_by for one in booked.report().findings}[settled] == "王五"
    booked.book(value=lambda meter, hour: (999.0, Provenance.VERIFIED), revision=2, hours=1)
    assert {one.id: one.settled_by for one in booked.report().findings}[settled] == ""


@pytest.mark.parametrize(
    ("name", "seen", "what"),
    [(" ", "", "bears a name"), ("李四", "0" * 12, "the figures are"), ("李四", "ab", "figures")],
)
def test_what_a_review_lacks_is_said(booked: BookedSite, name: str, seen: str, what: str) -> None:
    booked.book()
    with pytest.raises(UsageError, match=what):
        review(booked, booked.report(), Department.PRODUCTION, name=name, seen=seen)


def test_a_month_that_is_not_over_cannot_be_signed(booked: BookedSite) -> None:
    booked.book(hours=100)
    with pytest.raises(UsageError, match="not over"):
        review(booked, booked.report(days_after=-10.0), Department.PRODUCTION)


def test_reviews_are_never_changed_or_deleted(booked: BookedSite) -> None:
    booked.book()
    report = both(booked)
    connection = booked.database.connection
    for statement in ("UPDATE reviews SET note = 'x'", "DELETE FROM reviews"):
        with pytest.raises(Exception, match="is never") as refused:
            connection.execute(statement)
        assert "Integrity" in type(refused.value).__name__
    assert [one.name for one in reviews_of(connection, OWNER, report.month)] == ["李四", "李四"]
    assert sqlite3.threadsafety >= 0


def test_every_entry_is_signed_also_those_that_begin_together(booked: BookedSite) -> None:
    from_ms, to_ms = OCTOBER.span(ZONE)
    day = ActivityEntry(
        stream=stream_of(ActivityKind.PRODUCT, "乙烯"),
        kind=ActivityKind.PRODUCT,
        item="乙烯",
        amount=30.0,
        unit="t",
        start_ms=from_ms,
        end_ms=from_ms + DAY_MS,
    )
    month = replace(day, amount=900.0, end_ms=to_ms)
    booked.book()
    with booked.database.transaction() as connection:
        SqliteActivity(connection).add_activity(OWNER, [month])
    assert f'"{month.stream} {from_ms}":' in booked.report().figures
    with booked.database.transaction() as connection:
        SqliteActivity(connection).add_activity(OWNER, [day])
    report = both(booked)
    for entry in (day, month):
        assert f'"{entry.stream} {from_ms} {entry.length_ms}":' in report.figures
    with booked.database.transaction() as connection:
        SqliteActivity(connection).add_activity(OWNER, [replace(day, amount=31.0, revision=1)])
    assert booked.report().sign_off is SignOff.VOID


def test_an_event_of_another_form_does_not_stop_a_report(booked: BookedSite) -> None:
    told = Adjustment(
        month=OCTOBER,
        source="f103-gas",
        before_kgco2e=1.0,
        after_kgco2e=2.0,
        reason="a-word-of-tomorrow",
        author="gw-01",
        figures="0" * 64,
        adjusted_ms=OCTOBER.span(ZONE)[1],
    )
    details = ("", "{", "[]", '{"month": "2026-10"}', '{"month": 7}')
    events = [replace(told.event(), detail=detail) for detail in details]
    events += [
        replace(told.event(), code=code, time_ms=told.adjusted_ms) for code in BALANCE_EVENTS
    ]
    booked.book()
    with booked.database.transaction() as connection:
        SqliteBook(connection).add_events(OWNER, [*events, told.event()])
    assert booked.report().adjustments == (told,)
