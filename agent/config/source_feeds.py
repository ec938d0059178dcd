"""The amounts of a period source that are not written in the site file but fed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from agent.config import sections
from agent.config.draft import Draft, Item
from agent.config.faults import Faults, nearest
from agent.config.site import Feed
from agent.config.source_amounts import KEY_UNITS, Path, main_path
from agent.config.tables import read_table
from agent.core.activity import KIND_RULES, ActivityKind

FLOWS = ("inputs", "products", "wastes", "intermediates")
WITH_CONTENT = ("fuel", "coke_burn")  # besides the flows of a carbon balance
_FLOW_KEYS = ("activity", "stream", "share", "stock", "content")
_STOCK = (ActivityKind.INTERMEDIATE_STOCK,)
_CONTENT = (ActivityKind.CARBON_CONTENT,)
_AMOUNTS = tuple(kind for kind, rule in KIND_RULES.items() if not rule.level)


class FeedTable(sections.Section, frozen=True, kw_only=True):
    """`{ activity = … }` or `{ stream = … }` in place of an amount."""

    activity: str = ""
    stream: str = ""
    share: float = 1.0


class FlowFeed(FeedTable, frozen=True, kw_only=True):
    """What a flow of a carbon balance says besides its material."""

    stock: str = ""
    content: str = ""


F = TypeVar("F", bound=FeedTable)


def take_feeds(
    draft: Draft, item: Item[sections.Source], table: dict[str, Any]
) -> tuple[Feed, ...]:
    """The feeds of a source; they are taken out of its table, and every fault is noted."""
    source = item.section
    feeds: list[Feed] = []
    if source.activity:
        path = main_path(source.kind, table, "")
        if path is None:
            hint = 'inputs = [{ material = "…", activity = "activity.raw-material.…" }]'
            draft.reject(item, "activity", f"{source.kind} has more than one amount", hint)
        else:
            feeds.append(
                Feed(
                    path=path,
                    activity=source.activity,
                    stock=source.stock,
                    content=source.content,
                )
            )
        if source.content and source.kind not in WITH_CONTENT:
            draft.reject(item, "content", f"{source.kind} takes no carbon content", "remove it")
    elif source.stock or source.content:
        key = "stock" if source.stock else "content"
        draft.reject(item, key, "goes with activity", 'activity = "activity.raw-material.…"')
    feeds += _in_table(draft, item, table, ())
    if source.kind == "carbon_balance":
        for key in FLOWS:
            feeds += _in_flows(draft, item, table, key)
    for feed in feeds:
        _check_names(draft, item, feed)
        if _written(table, feed.path) is not None:
            hint = "either the amount, or where it comes from"
            draft.reject(item, feed.where, "stands beside what feeds it", hint)
    return tuple(feeds)


def place_of(feed: Feed) -> str:
    """Where a feed is written: the flow, or the key of its amount."""
    return feed.where.removesuffix(".amount") if feed.path[0] in FLOWS else feed.where


def _in_table(
    draft: Draft, item: Item[sections.Source], table: dict[str, Any], path: Path
) -> Iterator[Feed]:
    """Amounts written as tables: `purchased_mwh = { activity = … }`, also inside `steam`."""
    for key, value in list(table.items()):
        if not isinstance(value, Mapping) or key == "composition":
            continue
        place: Path = (*path, key)
        if key not in KEY_UNITS and key != "amount":
            held = table[key] = dict(value)
            yield from _in_table(draft, item, held, place)
            continue
        del table[key]
        where = Feed(path=place).where
        read = _read(draft, item, FeedTable, value, where)
        if read is not None:
            yield Feed(path=place, activity=read.activity, stream=read.stream, share=read.share)


def _in_flows(
    draft: Draft, item: Item[sections.Source], table: dict[str, Any], key: str
) -> Iterator[Feed]:
    flows = table.get(key)
    if not isinstance(flows, list):
        return
    for place, flow in enumerate(flows):
        if not isinstance(flow, dict):
            continue
        written = {name: flow.pop(name) for name in _FLOW_KEYS if name in flow}
        if not written:
            continue
        read = _read(draft, item, FlowFeed, written, f"{key}[{place + 1}]")
        if read is not None:
            material = flow.get("material")
            yield Feed(
                path=(key, place, "amount"),
                activity=read.activity,
                stream=read.stream,
                share=read.share,
                stock=read.stock,
                content=read.content,
                material=material if isinstance(material, str) else "",
            )


def _read(
    draft: Draft, item: Item[sections.Source], kind: type[F], value: object, where: str
) -> F | None:
    faults = Faults(draft.faults.file)
    read = read_table(kind, value, f"{item.path}.{where}", faults)
    for fault in faults.errors:
        draft.reject(item, fault.path.removeprefix(f"{item.path}."), fault.what, fault.hint)
    return read


def _check_names(draft: Draft, item: Item[sections.Source], feed: Feed) -> None:
    where = place_of(feed)
    here = "" if feed.activity == item.section.activity and feed.activity else f"{where}."
    if feed.activity and feed.stream:
        draft.reject(item, f"{here}stream", "stands beside activity", "one of them")
    if feed.share == 0:
        draft.reject(item, f"{here}share", "0 takes nothing", "a share, or remove it")
    is_stock_alone = feed.stock and feed.path[0] == "intermediates"
    if not feed.activity and not feed.stream and not is_stock_alone:
        hint = 'activity = "activity.raw-material.…" or stream = "meter.point"'
        draft.reject(item, where, "says not where its amount comes from", hint)
    for key, name, kinds in (
        ("activity", feed.activity, _AMOUNTS),
        ("stock", feed.stock, _STOCK),
        ("content", feed.content, _CONTENT),
    ):
        if name:
            _check_series(draft, item, f"{here}{key}", name, kinds)


def _check_series(
    draft: Draft,
    item: Item[sections.Source],
    key: str,
    name: str,
    kinds: tuple[ActivityKind, ...],
) -> None:
    """The name of a series of entries begins with what its entries are."""
    words = name.split(".")
    allowed = [kind.value for kind in kinds]
    shape = f"activity.{allowed[0] if len(allowed) == 1 else '<kind>'}.<name>"
    if len(words) < 3 or words[0] != "activity" or not all(words):
        draft.reject(item, key, f'"{name}" is no series of entries', f'write "{shape}"')
    elif words[1] not in allowed:
        known = [kind.value for kind in ActivityKind]
        what = "has no amounts" if words[1] in known else "is no kind of entry"
        draft.reject(item, key, f'"{words[1]}" {what}', nearest(words[1], allowed))


def _written(table: Mapping[str, Any], path: Path) -> object:
    """What stands in the table at a path; None where nothing does."""
    held: Any = table
    for step in path:
        try:
            held = held[step]
        except (KeyError, IndexError, TypeError):
            return None
    return held
