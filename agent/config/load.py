"""A site file to the checked site that the services use, with all faults at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from agent.config import sections
from agent.config.accounting import accounting
from agent.config.check_buses import check_buses, check_meters
from agent.config.check_factors import check_factors
from agent.config.check_manual import check_manual, with_peers
from agent.config.check_periods import check_fuels_across, check_period_sources
from agent.config.check_shares import warn_of_double_use
from agent.config.check_site import FILE_KEYS, check_site, check_targets, probe_files, zone_of
from agent.config.check_sources import (
    check_devices,
    check_places,
    check_sources,
    named_streams,
    used_streams,
)
from agent.config.check_virtual import check_derived
from agent.config.draft import Draft
from agent.config.factors import usable_library
from agent.config.faults import Faults, nearest
from agent.config.meter_tree import balance_plans
from agent.config.rules import rules_named
from agent.config.site import SiteConfig
from agent.config.tables import bare, read_fields, read_table
from agent.config.toml import read_toml
from agent.core.errors import ConfigError, Fault

S = TypeVar("S", bound=sections.Section)


def load_site(path: Path, *, probe_ports: bool = False) -> SiteConfig:
    """The site of a file without faults; else ``ConfigError`` with all of them at once.

    Warnings do not count as faults; `read_site` returns them too.
    """
    site, faults = read_site(path, probe_ports=probe_ports)
    errors = tuple(fault for fault in faults if not fault.warning)
    if site is None or errors:
        raise ConfigError(errors)
    return site


def read_site(
    path: Path, *, probe_ports: bool = False
) -> tuple[SiteConfig | None, tuple[Fault, ...]]:
    """What can be used of a site file, and everything that is wrong with it.

    A fault in a bus, meter, device, source or target leaves that table out together with what
    cannot work without it (a warning lists this); the rest makes a site. With a fault in
    ``[site]``, ``[gateway]`` or ``[store]``, or in the TOML itself, there is no site.

    ``probe_ports`` also looks at the serial ports and files of this machine.
    """
    faults = Faults(str(path))
    read = read_toml(path, faults)
    if read is None:
        return None, faults.found
    content, tables = read
    tables = _with_whole_paths(tables, path.parent)
    _check_names(tables, faults)
    site = read_table(sections.Site, tables.get("site", {}), "site", faults, fatal=True)
    gateway = read_table(sections.Gateway, tables.get("gateway", {}), "gateway", faults, fatal=True)
    store = read_table(sections.Store, tables.get("store", {}), "store", faults, fatal=True)
    web = _read_leniently(sections.Web, tables, "web", faults)
    log = _read_leniently(sections.Log, tables, "log", faults)
    packs = check_factors(
        _read_leniently(sections.Factors, tables, "factors", faults),
        faults,
        path.parent,
        has_targets=bool(tables.get("target")),
    )
    # with a faulty [site] the rest is still checked, under the defaults
    assumed = site or sections.Site(id="site")
    rules = check_site(assumed, faults) or rules_named(sections.Site(id="site").rules)
    assumed = replace(assumed, gwp=assumed.gwp or rules.gwp)
    draft = Draft(tables, faults)
    draft.check_ids({gateway.id: "gateway.id"} if gateway else {})
    check_places(draft)
    check_buses(draft, probe_ports=probe_ports)
    meters = check_meters(draft, window_s=assumed.window_s)
    manual = check_manual(draft, meters, zone_of(assumed))
    derived = check_derived(draft, meters)
    check_devices(draft, meters)
    factors, broken = usable_library()
    faults.extend(broken)
    basis = accounting(assumed, rules, factors, zone_of(assumed))
    check_fuels_across(draft, basis)
    sources = check_sources(draft, meters, basis)
    period_sources = check_period_sources(draft, meters, basis)
    warn_of_double_use(draft, sources, period_sources, meters)
    inputs = [
        name for plan in derived for name in (*plan.streams, plan.reference) if name is not None
    ]
    inputs += [name for plan in period_sources.values() for name in plan.streams]
    balances = balance_plans(meters, {*inputs, *named_streams(draft, sources)})
    tree = [name for plan in balances for name in (plan.master, *plan.parts)]
    streams = used_streams(draft, meters, sources, [*inputs, *tree])
    manual = with_peers(draft, manual, streams)
    check_targets(draft)
    if probe_ports:
        probe_files(draft, path.parent)
    draft.tell_consequences()
    if faults.fatal or site is None or gateway is None or store is None:
        return None, faults.found
    config = SiteConfig(
        path=path,
        site=assumed,
        gateway=gateway,
        web=web,
        store=store,
        log=log,
        areas=_sections(draft, "area", sections.Area),
        units=_sections(draft, "unit", sections.Unit),
        buses=_sections(draft, "bus", sections.Bus),
        meters=meters,
        points={
            f"{plan.id}.{point.id}": point for plan in meters.values() for point in plan.points
        },
        streams=streams,
        devices=_sections(draft, "device", sections.Device),
        sources=sources,
        targets=_sections(draft, "target", sections.Target),
        hash=hashlib.sha256(content).hexdigest(),
        factors=packs,
        manual=manual,
        derived=derived,
        balances=balances,
        period_sources=period_sources,
    )
    return config, faults.found


def _with_whole_paths(tables: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """File names of buses and targets are relative to the site file, wherever the daemon runs."""
    whole = dict(tables)
    for name in ("bus", "target"):
        items = whole.get(name)
        if isinstance(items, list):
            whole[name] = [
                {
                    key: str(directory / value)
                    if key in FILE_KEYS and isinstance(value, str)
                    else value
                    for key, value in item.items()
                }
                if isinstance(item, dict)
                else item
                for item in items
            ]
    return whole


def _check_names(tables: Mapping[str, Any], faults: Faults) -> None:
    known = {*sections.SECTIONS, *sections.LISTS}
    for name in tables:
        if name not in known:
            faults.add(bare(name), "unknown table", nearest(name, known))


def _read_leniently(kind: type[S], tables: Mapping[str, Any], name: str, faults: Faults) -> S:
    """A table whose faulty keys can safely fall back to their defaults."""
    return kind(**(read_fields(kind, tables.get(name, {}), name, faults, keep_good=True) or {}))


def _sections(draft: Draft, kind: str, section: type[S]) -> tuple[S, ...]:
    return tuple(item.section for item in draft.kept(kind, section))


__all__ = ["load_site", "read_site"]
