"""Checks of sources that are computed per day or month from entered data and sums of streams."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from agent.config import sections
from agent.config.accounting import Accounting
from agent.config.check_sources import Plans, metered_stream, stream_uncertainty_pct
from agent.config.draft import Draft, Item
from agent.config.factors import FactorNotFound
from agent.config.faults import Faults
from agent.config.inventory.cross import check_across
from agent.config.inventory.sections import Fuel
from agent.config.inventory.sections import Source as CalcSource
from agent.config.site import Feed, PeriodSource
from agent.config.source_amounts import KEY_UNITS, calc_table, put
from agent.config.source_eras import source_eras
from agent.config.source_feeds import place_of, take_feeds
from agent.config.source_rate import evaluated, refuse
from agent.config.tables import read_table
from agent.core.model import StreamSpec
from agent.core.units import UnitError

_OUTPUTS = ("products", "wastes", "intermediates", "recovered_c_t", "recovered_ch4_t")


def check_period_sources(draft: Draft, plans: Plans, basis: Accounting) -> dict[str, PeriodSource]:
    """The plan of every source without a stream, tried once with an amount of 1."""
    found: dict[str, PeriodSource] = {}
    for item in draft.written("source", sections.Source):
        if item.section.stream:
            _refuse_period_keys(draft, item)
            continue
        table = calc_table(item.section.kind, item.table)
        feeds = take_feeds(draft, item, table)
        streams = {
            feed.stream: metered_stream(draft, item, f"{place_of(feed)}.stream", feed.stream, plans)
            for feed in feeds
            if feed.stream
        }
        if not feeds and not item.is_left_out():
            hint = 'a point "meter.point"; or activity = "activity.waste.…" of entered data'
            draft.reject(item, "stream", "missing", hint)
        if item.is_left_out():
            continue
        if item.section.share == 0:
            draft.reject(item, "share", "0 books nothing", "a share, or remove the source")
        _warn_of_changes(draft, item)
        _try(draft, item, table, feeds, streams, basis)
        if not item.is_left_out():
            found[item.id] = PeriodSource(
                section=item.section,
                table=table,
                feeds=feeds,
                uncertainty_pct={
                    name: stream_uncertainty_pct(name, plans, basis.rules) for name in streams
                },
            )
    return found


def check_fuels_across(draft: Draft, basis: Accounting) -> None:
    """Refuse a fuel that one source counts by calorific value and another by carbon per unit."""
    items = {item.path: item for item in draft.kept("source", sections.Source)}
    listed: list[tuple[str, CalcSource]] = []
    for path, item in items.items():
        if item.section.kind == "fuel":
            table = {**calc_table("fuel", item.table), "amount": 1.0}
            fuel = read_table(Fuel, table, path, Faults(""))
            if fuel is not None:
                listed.append((path, fuel))
    faults = Faults(draft.faults.file)
    check_across(listed, basis.library, basis.rules, faults)
    for fault in faults.errors:
        path, _, key = fault.path.rpartition(".")
        draft.reject(items[path], key, fault.what, fault.hint)


def _warn_of_changes(draft: Draft, item: Item[sections.Source]) -> None:
    """A period is computed with what holds on its first day."""
    for place, change in enumerate(item.section.changes, start=1):
        if item.section.period == "month" and change.since.day != 1:
            draft.faults.add(
                f"{item.path}.changes[{place}].since",
                f"{change.since} is within a month: it holds from the next one on",
                'the first of a month, or period = "day"',
                warning=True,
            )


def _refuse_period_keys(draft: Draft, item: Item[sections.Source]) -> None:
    for key in ("activity", "stock", "content", "period"):
        if key in item.table:
            hint = "remove it; or leave out stream to compute the source once per period"
            draft.reject(item, key, "stands beside stream", hint)


def _try(
    draft: Draft,
    item: Item[sections.Source],
    table: Mapping[str, Any],
    feeds: tuple[Feed, ...],
    streams: Mapping[str, StreamSpec | None],
    basis: Accounting,
) -> None:
    """Compute the source with made-up amounts, so that every wrong name and number shows now."""
    try:
        eras = source_eras(table, item.section.changes, basis.rules, basis.library)
    except FactorNotFound as error:
        draft.reject(item, "region", error.what, error.hint)
        return
    trial = deepcopy(eras[-1].applied(table))
    for feed in feeds:
        try:
            put_trial(trial, feed, streams.get(feed.stream), basis)
        except UnitError as error:
            key = f"{place_of(feed)}.stream"
            draft.reject(item, key, f"{feed.stream}: {error.what}", error.hint)
            return
    faults = Faults(draft.faults.file)
    if evaluated(item.path, trial, eras[-1].rules, basis.library, faults) is None:
        refuse(draft, item, faults)


def put_trial(
    table: dict[str, Any], feed: Feed, stream: StreamSpec | None, basis: Accounting
) -> None:
    """Put a made-up amount where a feed brings one: 1 of what goes in, nothing of what comes out.

    Raises:
        UnitError: the stream is of another dimension than the key.
    """
    unit = _likely_unit(table, feed, basis) if stream is None else stream.unit
    put(table, feed.path, 0.0 if feed.path[0] in _OUTPUTS else 1.0, unit)


def _likely_unit(table: Mapping[str, Any], feed: Feed, basis: Accounting) -> str:
    """The unit that entries of a series will most likely have; they decide it themselves."""
    key = str(feed.path[-1])
    if table["kind"] == "transport" and "distance_km" not in table:
        return "t·km"  # entries say how far
    if key in KEY_UNITS:
        return KEY_UNITS[key]
    holder: Any = table
    for step in feed.path[:-1]:
        holder = holder[step]
    if isinstance(holder.get("unit"), str):
        return str(holder["unit"])
    content = holder.get("carbon_content")
    if feed.material and isinstance(content, (int, float)) and content > 1:
        return "Nm3"
    try:
        name = holder.get("fuel") or feed.material
        return basis.library.fuel(str(name), basis.rules)[0].stream_unit if name else "t"
    except FactorNotFound:
        return "t"
