"""What the API answers with, where it is more than one thing that the view shows."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.activity import ActivityEntry
from agent.core.model import Event, Window
from agent.web import activity_view, factor_view, report_view, view


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The gateway without its devices."""

    site: view.SiteView
    totals: view.EmissionTotals
    buses: tuple[view.BusView, ...]
    targets: tuple[view.TargetView, ...]
    counts: view.Counts
    alive: bool
    problems: tuple[view.Problem, ...]
    factor_packs: tuple[factor_view.FactorPackView, ...]  # those that wait for an approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    devices: tuple[view.DeviceView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """``truncated``: the limit was reached, ask for a shorter span."""

    from_ms: int
    to_ms: int
    truncated: bool
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emissions:
    from_ms: int
    to_ms: int
    by: view.GroupBy
    period: view.Period
    truncated: bool
    emissions: tuple[view.EmissionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    from_ms: int
    to_ms: int
    truncated: bool
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    from_ms: int
    to_ms: int
    truncated: bool
    entries: tuple[ActivityEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    months: tuple[report_view.ReportMonth, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorPacks:
    packs: tuple[factor_view.FactorPackView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotStored:
    """A submission with faults: nothing of it was written; each error names its entry."""

    what: str
    where: str
    hint: str
    stored: bool
    entries: tuple[activity_view.ActivityResult, ...]
    errors: tuple[activity_view.ActivityRemark, ...]
    warnings: tuple[activity_view.ActivityRemark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    status: str
    problems: tuple[view.Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Every error: what is wrong, where, and what to do next."""

    what: str
    where: str
    hint: str
