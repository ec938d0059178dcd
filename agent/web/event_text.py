"""What an event's detail says in the reader's language, where its form is known.

Events are booked and signed with a detail in plain English or `key=value`; here it is only read.
A detail of another form is shown as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime

from agent.core.gaps.booked import BY_REGISTER
from agent.core.model import Event
from agent.web.gap_text import methods_text, reason_text
from agent.web.present import NONE, Presenter, number, unit_label

EXACT_BELOW_S = 600
_PAIR = re.compile(r"(\w+)=(\S+)")
_NO_REPLY = re.compile(r"(?P<where>\S+): no reply\b")
_STAGED = re.compile(r"issuer=(?P<issuer>.*); serial=(?P<serial>\d+); rows=(?P<n>\d+); sets=.*")
_LACKING = re.compile(
    r"(?P<name>\S+) has no (?P<what>entry|value|count|result)(?: for (?P<hours>\S+) h)?.*"
)
_RELOADED = re.compile(r"(?P<former>\w+) → (?P<now>\w+), restarted: (?P<buses>.*)")

Values = Mapping[str, str]


def event_detail(event: Event, say: Presenter) -> str:
    """The detail of an event as a sentence of the reader's language, or as it was booked."""
    key = f"detail.{event.code}"
    if key not in say.text.texts:
        return event.detail
    values = _READERS.get(event.code, _nothing)(event.detail, say)
    return event.detail if values is None else say.text(key, **values)


def _nothing(detail: str, say: Presenter) -> Values | None:
    return {}


def _gap(detail: str, say: Presenter) -> Values | None:
    pairs = dict(_PAIR.findall(detail))
    try:
        duration_s = float(pairs["duration_s"])
        amount, unit = pairs["amount"], unit_label(pairs["unit"])
    except (KeyError, ValueError):
        return None
    duration = say.age(duration_s)
    if duration_s < EXACT_BELOW_S:
        duration = say.text("age.seconds", n=number(duration_s, decimals=0))
    return {
        "duration": duration,
        "amount": NONE if amount == "unknown" else f"{amount} {unit}",
    }


def _register(detail: str, say: Presenter) -> Values | None:
    pairs = dict(_PAIR.findall(detail))
    try:
        unit = unit_label(pairs["unit"])
        former, now = (f"{pairs[name]} {unit}" for name in ("from", "to"))
        return {"former": former, "now": now, "booked": f"{pairs['booked']} {unit}"}
    except KeyError:
        return None


def _amounts(**names: str) -> Callable[[str, Presenter], Values | None]:
    """A reader of amounts with one unit: placeholders by the keys of the detail."""

    def read(detail: str, say: Presenter) -> Values | None:
        pairs = dict(_PAIR.findall(detail))
        try:
            unit = unit_label(pairs["unit"])
            return {shown: f"{pairs[key]} {unit}" for shown, key in names.items()}
        except KeyError:
            return None

    return read


_replaced = _amounts(old_end="old_end", new_start="new_start")
_coarse = _amounts(step="step", register="register")
_witnesses = _amounts(counted="counted", integral="integral")
_repaired = _amounts(former="from", now="to")


def _revised(detail: str, say: Presenter) -> Values | None:
    amounts = _amounts(before="before", after="after")(detail, say)
    pairs = dict(_PAIR.findall(detail))
    return None if amounts is None or "windows" not in pairs else {**amounts, "n": pairs["windows"]}


def _doubted(detail: str, say: Presenter) -> Values | None:
    pairs = dict(_PAIR.findall(detail))
    return {"value": pairs["value"]} if "value" in pairs else None


def _jitter(detail: str, say: Presenter) -> Values | None:
    pairs = dict(_PAIR.findall(detail))
    return {"n": pairs["readings"]} if "readings" in pairs else None


def _recalculated(detail: str, say: Presenter) -> Values | None:
    try:
        change = json.loads(detail)
        return {
            "month": str(change["month"]),
            "n": str(change["windows"]),
            "before": number(change["before_kgco2e"]),
            "after": number(change["after_kgco2e"]),
        }
    except (ValueError, KeyError, TypeError):
        return None


def _overdue(detail: str, say: Presenter) -> Values | None:
    pairs = dict(_PAIR.findall(detail))
    try:
        due = datetime.fromisoformat(pairs["due"])
        return {"time": say.time(round(due.timestamp() * 1000)), "n": pairs["missed"]}
    except (KeyError, ValueError):
        return None


def _adjusted(detail: str, say: Presenter) -> Values | None:
    try:
        change = json.loads(detail)
        return {
            "month": str(change["month"]),
            "before": number(change["before_kgco2e"]),
            "after": number(change["after_kgco2e"]),
            "author": str(change["author"]),
        }
    except (ValueError, KeyError, TypeError):
        return None


def _filled(detail: str, say: Presenter) -> Values | None:
    try:
        fill = json.loads(detail)
        total, unit = fill["total"], unit_label(fill["unit"])
        return {
            "from": say.moment(fill["start_ms"]),
            "to": say.moment(fill["end_ms"]),
            "total": NONE if total is None else f"{number(total)} {unit}",
            "method": methods_text(str(fill["method"]).removeprefix(BY_REGISTER), say.text),
            "reason": reason_text(str(fill["reason"]), say.text),
        }
    except (ValueError, KeyError, TypeError):
        return None


def _verified(detail: str, say: Presenter) -> Values | None:
    try:
        change = json.loads(detail)
        unit = unit_label(change["unit"])
        before, after = (
            NONE if change[name] is None else f"{change[name]:.10g} {unit}"
            for name in ("before", "after")
        )
        return {"before": before, "after": after, "author": str(change["author"])}
    except (ValueError, KeyError, TypeError):
        return None


def _lacking(detail: str, say: Presenter) -> Values | None:
    keys = {
        "entry": "lacking.entry",
        "value": "lacking.value",
        "count": "lacking.count",
        "result": "lacking.result",
    }
    period, _, reasons = detail.partition(": ")
    found = [_LACKING.fullmatch(reason) for reason in reasons.split("; ")]
    words = [
        say.text(keys[one["what"]], name=one["name"], hours=one["hours"] or "")
        for one in found
        if one
    ]
    return {"period": period, "reasons": "; ".join(words)} if all(found) else None


def _no_reply(detail: str, say: Presenter) -> Values | None:
    found = _NO_REPLY.match(detail)
    return found.groupdict() if found else None


def _reloaded(detail: str, say: Presenter) -> Values | None:
    found = _RELOADED.fullmatch(detail)
    return {name: text or NONE for name, text in found.groupdict().items()} if found else None


def _staged(detail: str, say: Presenter) -> Values | None:
    found = _STAGED.fullmatch(detail)
    return found.groupdict() if found else None


_balanced = _amounts(master="master", below="below", unmetered="unmetered")


def _outside(detail: str, say: Presenter) -> Values | None:
    pairs = dict(_PAIR.findall(detail))
    return {"inputs": pairs["inputs"].replace(",", ", ")} if "inputs" in pairs else None


def _fitted(detail: str, say: Presenter) -> Values | None:
    try:
        fitted = json.loads(detail)
        return {
            "version": str(fitted["version"]),
            "r2": number(fitted["model"]["r2"], decimals=3),
            "n": str(fitted["model"]["rows"]),
            "by": str(fitted["by"]),
        }
    except (ValueError, KeyError, TypeError):
        return None


_READERS: Mapping[str, Callable[[str, Presenter], Values | None]] = {
    "gap.closed": _gap,
    "gap.filled": _filled,
    "gap.refused": _filled,
    "counter.wrap": _register,
    "counter.reset": _register,
    "counter.jump": _register,
    "counter.replaced_perhaps": _replaced,
    "meter.replaced": _replaced,
    "counter.coarse": _coarse,
    "counter.stuck": _witnesses,
    "counter.disagrees": _witnesses,
    "windows.revised": _revised,
    "reading.repaired": _repaired,
    "reading.spike": _doubted,
    "reading.range": _doubted,
    "reading.stuck": _doubted,
    "counter.transient_zero": _register,
    "counter.jitter": _jitter,
    "emissions.recalculated": _recalculated,
    "manual.overdue": _overdue,
    "report.adjusted": _adjusted,
    "windows.verified": _verified,
    "factors.staged": _staged,
    "balance.unmetered": _balanced,
    "balance.overcounted": _balanced,
    "indirect.out_of_domain": _outside,
    "model.fitted": _fitted,
    "meter.dead": _no_reply,
    "source.no_period_value": _lacking,
    "config.reloaded": _reloaded,
}
