"""Which readings that people take are overdue."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.manual import Form, ManualEntry, ManualSpec


def overdue(
    spec: ManualSpec, entries: Iterable[ManualEntry], from_ms: int, now_ms: int
) -> list[int]:
    """The due times in [from_ms, now) whose reading is missing although its grace has passed.

    ``entries`` are the valid ones from half a period before ``from_ms`` on. A register is meant
    for the due time next to it and counts on whatever was missed before: only what is due after
    its last reading is missing. Each period of an amount needs its own entry.
    """
    dues = spec.schedule.dues(from_ms, now_ms - spec.schedule.grace_ms)
    if spec.form is Form.AMOUNT:
        written = {entry.time_ms for entry in entries}
        return [due for due in dues if due not in written]
    last = max((spec.schedule.nearest(entry.time_ms) for entry in entries), default=None)
    return [due for due in dues if last is None or due > last]
