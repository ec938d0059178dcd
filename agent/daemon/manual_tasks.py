"""What people have to do: readings that are overdue, and estimates to verify."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.book.database import Database
from agent.book.manual import SqliteManual
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.book.verifications import (
    Verification,
    add_verification,
    open_tasks,
    windows_of_task,
)
from agent.config.site import SiteConfig
from agent.core.adjustment import Adjustment, Reason
from agent.core.errors import UsageError
from agent.core.manual_due import overdue
from agent.core.model import Event, Severity, StreamSpec
from agent.core.streamstate import StreamState
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.core.units import UnitError, convert
from agent.core.verification import Decision, VerificationTask, verified
from agent.pipeline.adjust import Cause, Revised, Revising
from agent.store.state import Audit, StreamStates
from agent.web.manual_view import (
    ManualTasks,
    OverdueReading,
    TaskView,
    VerifyOutcome,
    VerifySubmission,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

OVERDUE_DAYS = 35  # a reading that was missed longer ago is no task any more
NAME_MOST = 100


def tasks_of_gateway(
    connection: Connection, owner: Owner, config: SiteConfig, now_ms: int
) -> ManualTasks:
    """Overdue readings by stream and time, and verification tasks by stream and time."""
    return ManualTasks(
        overdue=tuple(overdue_readings(connection, owner, config, now_ms)),
        to_verify=tuple(_shown(task) for task in verification_tasks(connection, owner, config)),
    )


def overdue_readings(
    connection: Connection, owner: Owner, config: SiteConfig, now_ms: int
) -> list[OverdueReading]:
    """Every reading that should be there by now."""
    known = StreamStates(connection).load()
    manual = SqliteManual(connection)
    found = []
    for name, spec in config.manual.items():
        since_ms = known[name][0] if name in known else now_ms
        from_ms = max(since_ms, now_ms - OVERDUE_DAYS * DAY_MS)
        entries = manual.between(owner, name, from_ms - spec.stream.period_ms, now_ms)
        found += [
            OverdueReading(stream=name, name=spec.name, due_ms=due)
            for due in overdue(spec, entries, from_ms, now_ms)
        ]
    return found


def verification_tasks(
    connection: Connection, owner: Owner, config: SiteConfig
) -> list[VerificationTask]:
    """The estimates of every meter that answers again: no later reading changes them by itself."""
    known = StreamStates(connection).load()
    tasks: list[VerificationTask] = []
    for name, stream in config.metered.items():
        text = known[name][1] if name in known else None
        if text is not None:
            until_ms = StreamState.from_json(text).open_from_ms
            tasks += open_tasks(connection, owner, name, stream.unit, until_ms)
    return tasks


def settle(
    database: Database,
    owner: Owner,
    config: SiteConfig,
    submission: VerifySubmission,
    now_ms: int,
) -> VerifyOutcome:
    """Settle a verification task in one transaction.

    A value replaces the estimate: its windows get new revisions in the shape of the estimate that
    add up to it, and what that changes in a signed month is booked as an adjustment. Accepting
    leaves windows and figures as they are, and says who stands for them.

    Raises:
        UsageError: there is no such task, or what is said of it cannot be.
    """
    author = submission.author.strip()
    if not author or len(author) > NAME_MOST:
        raise UsageError("a verification bears a name", where="author", hint="who vouches for it")
    with database.transaction() as connection:
        task = _task(connection, owner, config, submission.task)
        value = _value(submission, task, config.metered[task.stream])
        decision = Decision.ACCEPTED if value is None else Decision.MEASURED
        verification = Verification(
            stream=task.stream,
            start_ms=task.start_ms,
            end_ms=task.end_ms,
            decision=decision,
            before=task.estimate,
            after=task.estimate if value is None else value,
            unit=task.unit,
            author=author,
            note=submission.note.strip(),
            verified_ms=now_ms,
        )
        add_verification(connection, owner, verification)
        revised = Revised(windows=0, emissions=0, events=())
        if value is not None:
            cause = Cause(reason=Reason.VERIFIED, author=author, now_ms=now_ms)
            drafts = verified(windows_of_task(connection, owner, task), value)
            revised = Revising(config, owner).book(connection, drafts, cause)
        _tell(connection, owner, task, verification)
    return VerifyOutcome(
        task=task.id,
        decision=decision.value,
        before=verification.before,
        after=verification.after,
        unit=task.unit,
        windows=revised.windows,
        adjusted=tuple(dict.fromkeys(str(Adjustment.of(event).month) for event in revised.events)),
    )


def _task(connection: Connection, owner: Owner, config: SiteConfig, name: str) -> VerificationTask:
    tasks = {task.id: task for task in verification_tasks(connection, owner, config)}
    if name not in tasks:
        near = [known for known in tasks if known.partition("@")[0] == name.partition("@")[0]]
        raise UsageError(
            f'there is no task "{name[:80]}"',
            where="task",
            hint="open: " + ", ".join((near or list(tasks))[:5])
            if tasks
            else "there is nothing to verify",
        )
    return tasks[name]


def _value(
    submission: VerifySubmission, task: VerificationTask, stream: StreamSpec
) -> float | None:
    """The verified total in the stream's unit; ``None`` where the estimate is accepted."""
    if submission.accept == (submission.value is not None):
        hint = "the amount of the whole span, or accept the estimate"
        raise UsageError("give a value, or accept; one of the two", where="value", hint=hint)
    if submission.value is None:
        if task.estimate is None:
            what = f"{task.missing} of its windows have no value to accept"
            raise UsageError(what, where="accept", hint="give the amount of the whole span")
        return None
    try:
        value = convert(submission.value, submission.unit or task.unit, task.unit)
    except UnitError as error:
        raise UsageError(error.what, where="unit", hint=error.hint) from None
    hours = (task.end_ms - task.start_ms) / HOUR_MS
    most = None if stream.max_rate_per_h is None else stream.max_rate_per_h * hours
    if not 0 <= value < float("inf") or (most is not None and value > most):
        limit = "" if most is None else f" to {most:g} {task.unit}"
        hint = f"the amount from the task's start to its end: 0{limit}"
        raise UsageError(f"{value:g} {task.unit} cannot be", where="value", hint=hint)
    return value


def _tell(
    connection: Connection, owner: Owner, task: VerificationTask, verification: Verification
) -> None:
    detail = json.dumps(
        {
            "task": task.id,
            "decision": verification.decision.value,
            "windows": task.windows,
            "before": verification.before,
            "after": verification.after,
            "unit": verification.unit,
            "author": verification.author,
            "note": verification.note,
        },
        ensure_ascii=False,
    )
    now_ms = verification.verified_ms
    SqliteBook(connection).add_events(
        owner,
        [
            Event(
                time_ms=now_ms,
                code="windows.verified",
                subject=task.stream,
                severity=Severity.INFO,
                detail=detail,
            )
        ],
    )
    action = f"manual.{verification.decision.value}"
    Audit(connection).record(now_ms, verification.author, action, task.stream, detail)


def _shown(task: VerificationTask) -> TaskView:
    return TaskView(
        id=task.id,
        stream=task.stream,
        start_ms=task.start_ms,
        end_ms=task.end_ms,
        windows=task.windows,
        missing=task.missing,
        estimate=task.estimate,
        unit=task.unit,
        methods=task.methods,
    )
