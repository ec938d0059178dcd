"""How a gap was filled, or why not, in the reader's language.

Methods and reasons are booked and signed as `agent.core.gaps` names them; here they are only read.
"""

from __future__ import annotations

import re

from agent.config.language import Language
from agent.core.gaps.booked import BY_REGISTER, FILLED, PROVISIONAL, REFUSED

_FILLED_BY = (FILLED, PROVISIONAL, BY_REGISTER)
_REASONS = {
    "condition": re.compile(r"condition never seen: (?P<value>.+)"),
    "few": re.compile(r"too few comparable times.*"),
    "history": re.compile(r"less than (?P<value>\d+) times its length.*"),
    "stop": re.compile(r"within a stop,.*"),
    "too-long": re.compile(r"longer than (?P<value>\d+) days,.*"),
}


def methods_text(methods: str, text: Language) -> str:
    """The methods that were blended, the weightiest first: «regression+line»."""
    return " + ".join(text.named("method.by", name) for name in methods.split("+"))


def reason_text(reason: str, text: Language) -> str:
    """Why a gap was left open; a reason of another form is shown as it is."""
    for key, pattern in _REASONS.items():
        if found := pattern.fullmatch(reason):
            return text(f"method.reason.{key}", **found.groupdict())
    return reason


def gap_method(method: str, text: Language) -> str | None:
    """The method of a window that the ladder has booked; None for every other."""
    name, colon, rest = method.partition(":")
    if name + colon in _FILLED_BY:
        return f"{text.named('method', name)} {methods_text(rest, text)}"
    if name + colon == REFUSED:
        return f"{text.named('method', name)} {reason_text(rest, text)}"
    return None
