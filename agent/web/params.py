"""Query parameters of the API, checked; every refusal says what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import TypeVar

from agent.core.errors import UsageError
from agent.web.view import EmissionQuery, GroupBy, Period, WindowQuery

LIMIT_DEFAULT = 1_000
LIMIT_MOST = 10_000
LATEST_MS = 253_402_300_799_999  # the end of the year 9999
TEXT_MOST = 200

Choice = TypeVar("Choice", bound=StrEnum)


def known_only(query: Mapping[str, str], *names: str) -> None:
    """Refuse parameters that nobody reads: a misspelt filter must not pass as no filter."""
    for name in query:
        if name not in names:
            raise UsageError(
                "unknown parameter",
                where=name[:TEXT_MOST],
                hint=f"one of {', '.join(names)}" if names else "this address takes none",
            )


def time_ms(query: Mapping[str, str], name: str, default: int, zone: tzinfo) -> int:
    """A time as UTC milliseconds: an integer, or ISO 8601 (without offset: the site's time)."""
    text = query.get(name)
    if text is None:
        return default
    hint = "UTC milliseconds or ISO 8601, e.g. 2026-11-22T08:00:00+08:00"
    try:
        if text.isdecimal() and len(text) <= 15:
            value = int(text)
        else:
            moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            placed = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            value = round(placed.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError("is not a time", where=name, hint=hint) from None
    if not 0 <= value <= LATEST_MS:
        raise UsageError("is out of range", where=name, hint=hint)
    return value


def limit(query: Mapping[str, str]) -> int:
    text = query.get("limit")
    if text is None:
        return LIMIT_DEFAULT
    if not (
        text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= LIMIT_MOST
    ):
        raise UsageError("is not a whole number in range", where="limit", hint=f"1 to {LIMIT_MOST}")
    return int(text)


def choice(query: Mapping[str, str], name: str, default: Choice) -> Choice:
    text = query.get(name)
    if text is None:
        return default
    kind = type(default)
    if text not in list(kind):
        raise UsageError(
            f"{text[:TEXT_MOST]!r} is unknown", where=name, hint=f"one of {', '.join(kind)}"
        )
    return kind(text)


def span(query: Mapping[str, str], now_ms: int, zone: tzinfo) -> tuple[int, int]:
    """`from` and `to`; by default the site's today up to now."""
    midnight = datetime.fromtimestamp(now_ms / 1000, zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    from_ms = time_ms(query, "from", round(midnight.timestamp() * 1000), zone)
    to_ms = time_ms(query, "to", max(now_ms, from_ms), zone)
    if to_ms < from_ms:
        raise UsageError("lies before `from`", where="to", hint="exchange the two")
    return from_ms, to_ms


def window_query(query: Mapping[str, str], now_ms: int, zone: tzinfo) -> WindowQuery:
    known_only(query, "stream", "from", "to", "limit")
    from_ms, to_ms = span(query, now_ms, zone)
    return WindowQuery(from_ms=from_ms, to_ms=to_ms, limit=limit(query), stream=query.get("stream"))


def emission_query(query: Mapping[str, str], now_ms: int, zone: tzinfo) -> EmissionQuery:
    known_only(query, "by", "period", "from", "to", "limit")
    from_ms, to_ms = span(query, now_ms, zone)
    return EmissionQuery(
        from_ms=from_ms,
        to_ms=to_ms,
        limit=limit(query),
        by=choice(query, "by", GroupBy.DEVICE),
        period=choice(query, "period", Period.HOUR),
    )
