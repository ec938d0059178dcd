"""Which series of the book belongs to which source or stream of a report, over all gateways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.book.ports import Owner
from agent.book.report_rows import ReportRows
from agent.core.report.model import ReportSite, SourcePlace, StreamPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of the book and what the report calls it."""

    label: str
    gateway: str
    name: str
    number: int


def labelled_series(rows: ReportRows, owners: Sequence[Owner], kind: str) -> tuple[Series, ...]:
    """All streams or sources of the owners.

    One name at two gateways is two series: the second bears its gateway's id before the name.
    """
    found: dict[str, Series] = {}
    for owner in owners:
        for name, number in rows.series(owner, kind).items():
            label = f"{owner.gateway}/{name}" if name in found else name
            found[label] = Series(label=label, gateway=owner.gateway, name=name, number=number)
    return tuple(found.values())


def placed_sources(
    site: ReportSite, streams: Sequence[Series], sources: Sequence[Series]
) -> tuple[SourcePlace, ...]:
    """The configured sources under the labels and gateways that the book has for them."""
    of_stream = _assigned([(place.gateway, place.id) for place in site.streams], streams)
    of_source = _assigned([(place.gateway, place.id) for place in site.sources], sources)
    placed = []
    for place in site.sources:
        stream = of_stream.get((place.gateway, place.stream))
        series = of_source.get((place.gateway, place.id))
        placed.append(
            replace(
                place,
                id=series.label if series else place.id,
                gateway=series.gateway if series else place.gateway,
                stream=stream.label if stream else place.stream,
            )
        )
    return tuple(placed)


def placed_streams(
    site: ReportSite, streams: Sequence[Series]
) -> tuple[tuple[StreamPlace, Series | None], ...]:
    """The configured streams with their series; None where nothing is booked."""
    found = _assigned([(place.gateway, place.id) for place in site.streams], streams)
    placed = []
    for place in site.streams:
        series = found.get((place.gateway, place.id))
        if series is not None:
            place = replace(place, id=series.label, gateway=series.gateway)
        placed.append((place, series))
    return tuple(placed)


def _assigned(
    wanted: Iterable[tuple[str, str]], series: Iterable[Series]
) -> dict[tuple[str, str], Series]:
    """By gateway and name; what a file names for another gateway is taken where it is booked."""
    left = {(one.gateway, one.name): one for one in series}
    keys = list(wanted)
    found = {key: left.pop(key) for key in dict.fromkeys(keys) if key in left}
    for key in keys:
        if key not in found:
            other = next((one for one in left if one[1] == key[1]), None)
            if other is not None:
                found[key] = left.pop(other)
    return found
