"""The reference of a report where no site file is at hand: what the book itself carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.book.ports import Owner, Span
from agent.book.report_rows import ReportRows
from agent.book.reviews import reviewed_figures, reviews_of
from agent.config.benchmarks import all_benchmarks
from agent.config.factor_documents import factor_document
from agent.config.factors import library
from agent.config.inventory.sections import KINDS
from agent.config.report_site import (
    ReportReference,
    decimals_of,
    default_factor_pct,
)
from agent.config.rules import Rules, RulesNotFound, rules_named
from agent.config.sections import Site
from agent.core.model import FactorRef
from agent.core.report.figures import unknown_source
from agent.core.report.model import UNKNOWN, ReportSite, SourcePlace, StreamPlace
from agent.core.report.month import Month

if TYPE_CHECKING:
    from sqlite3 import Connection

_KIND_OF_FACTOR = {"grid": "electricity", **{kind: kind for kind in KINDS}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """What the figures that a department last signed say of the site."""

    rules: str = ""
    gwp: str = ""
    kinds: dict[str, str]


def unplaced_reference(
    connection: Connection, owners: Sequence[Owner], month: Month, span: Span
) -> ReportReference:
    """A reference from the batches alone: factors, streams, and what signed figures name.

    Names and places are not known; a kind is that of the signed figures or of the factor, and
    uncertainties are those that the rules assume (of a new site, where no figures name any).
    """
    rows = ReportRows(connection)
    known = library()
    signed = {owner.gateway: _signed(connection, owner, month) for owner in owners}
    first = next((one for one in signed.values() if one.rules), _Signed(kinds={}))
    assumed = Site(id="site").rules
    try:
        rules = rules_named(first.rules or assumed)
    except RulesNotFound:
        rules = rules_named(assumed)
    gwp, _ = known.gwp(first.gwp or rules.gwp)
    site = ReportSite(
        id=owners[0].site,
        name=owners[0].site,
        timezone=Site(id="site").timezone,
        rules=first.rules,
        rules_name_zh=rules.name_zh if first.rules else "",
        rules_name_en=rules.name_en if first.rules else "",
        rules_status=rules.status,
        rules_note_zh="",
        rules_note_en="",
        rules_missing_data_zh="",
        rules_missing_data_en="",
        rules_kinds=rules.kinds if first.rules else (),
        gwp=first.gwp,
        gwp_ch4=gwp.ch4,
        gwp_n2o=gwp.n2o,
        equivalent_source="",
        decimals_t=decimals_of(rules) if first.rules else 3,
        sources=tuple(
            _source(rows, owner, name, number, span, signed[owner.gateway], rules)
            for owner in owners
            for name, number in rows.series(owner, "source").items()
        ),
        streams=tuple(
            _stream(owner, name)
            for owner in owners
            for name, number in rows.series(owner, "stream").items()
            if any(True for _ in rows.windows(number, span))
        ),
    )
    return ReportReference(
        site=site,
        document=lambda ref: factor_document(known, ref),
        defaults={},
        benchmarks=all_benchmarks(),
        described=False,
    )


def _signed(connection: Connection, owner: Owner, month: Month) -> _Signed:
    reviews = reviews_of(connection, owner, month)
    texts = reviewed_figures(connection, reviews[-1:])
    if not texts:
        return _Signed(kinds={})
    figures: dict[str, Any] = json.loads(texts[reviews[-1].figures])
    return _Signed(
        rules=figures["rules"],
        gwp=figures["gwp"],
        kinds={name: source["kind"] for name, source in figures["sources"].items()},
    )


def _source(
    rows: ReportRows,
    owner: Owner,
    name: str,
    number: int,
    span: Span,
    signed: _Signed,
    rules: Rules,
) -> SourcePlace:
    factor = rows.any_factor(number, span)
    kind = signed.kinds.get(name) or (_kind_of(factor) if factor else UNKNOWN)
    return replace(
        unknown_source(name, owner.gateway),
        name=name,
        kind=kind,
        uncertainty_activity_pct=rules.uncertainty_pct.activity,
        uncertainty_factor_pct=default_factor_pct(kind, rules),
    )


def _kind_of(factor: FactorRef) -> str:
    return _KIND_OF_FACTOR.get(factor.id.partition("@")[0].partition("/")[0], UNKNOWN)


def _stream(owner: Owner, name: str) -> StreamPlace:
    meter = name.partition(".")[0]
    return StreamPlace(
        id=name,
        meter=meter,
        meter_name=meter,
        quantity="",
        unit="",
        devices=(),
        gateway=owner.gateway,
    )
