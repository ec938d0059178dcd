"""Level 2: days on which a master meter and its submeters did not agree."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from agent.core.checks.finding import Finding, FindingCode
from agent.core.model import Event, Severity

BALANCE_EVENTS = ("balance.unmetered", "balance.overcounted")
_PAIR = re.compile(r"(\w+)=(\S+)")


def balance_findings(events: Iterable[Event]) -> Iterator[Finding]:
    """One finding per master: what the two differ by in all, over how many days.

    ``events`` are those of `BALANCE_EVENTS`, one per day and master, as the daily balance books
    them; others are not looked at, nor what has another form.
    """
    days: dict[str, list[dict[str, str]]] = {}
    for event in events:
        if event.code in BALANCE_EVENTS:
            found = dict(_PAIR.findall(event.detail))
            if "unit" in found and _is_number(found.get("unmetered", "")):
                days.setdefault(event.subject, []).append(found)
    for stream, listed in sorted(days.items()):
        yield Finding(
            code=FindingCode.BALANCE,
            subject=stream,
            name=stream,
            severity=Severity.WARNING,
            number=math.fsum(float(found["unmetered"]) for found in listed),
            unit=listed[-1]["unit"],
            reference=float(len(listed)),
            reference_unit="d",
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
