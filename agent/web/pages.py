"""The pages: a snapshot in, HTML out; everything is readable without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agent.config.language import LANGUAGES, Language
from agent.core.balance import Verdict
from agent.core.model import Emission, Event, Window
from agent.core.report.month import Month
from agent.web import chart
from agent.web.abnormal import abnormal_now, last_good_ms
from agent.web.assets import Assets
from agent.web.computed_view import BalanceRow
from agent.web.event_text import event_detail
from agent.web.factor_view import FactorPackView
from agent.web.present import (
    KG_PER_T,
    NONE,
    SHAPES,
    Presenter,
    counted_quality,
    in_tonnes,
    mass,
    number,
    percent,
    register,
    signed,
    silent_meters,
    site_zone,
    unit_label,
    value_state,
)
from agent.web.report_view import ReportMonth
from agent.web.texts import Scope, devices_in_tonnes, page_structure, page_texts
from agent.web.view import (
    BatchView,
    BusState,
    DeviceDetail,
    DeviceState,
    DeviceView,
    EmissionTotals,
    Snapshot,
    SourceView,
    TargetState,
)

EVENTS_ON_OVERVIEW = 5
TEMPLATES = Path(__file__).parent / "templates"
BUS_SHAPES = {
    BusState.OK: "",
    BusState.STARTING: "○",
    BusState.DEGRADED: "◆",
    BusState.DOWN: "▲",
}
TARGET_SHAPES = {
    TargetState.CONNECTED: "",
    TargetState.CONNECTING: "○",
    TargetState.DOWN: "◆",
    TargetState.REFUSED: "▲",
}
VERDICT_SHAPES = {
    Verdict.CLOSED: "",
    Verdict.UNMETERED: "◆",
    Verdict.OVERCOUNTED: "▲",
    Verdict.UNDECIDED: "○",
}
VERDICT_STATES = {
    Verdict.CLOSED: DeviceState.OK,
    Verdict.UNMETERED: DeviceState.STALE,
    Verdict.OVERCOUNTED: DeviceState.DEAD,
    Verdict.UNDECIDED: DeviceState.WAITING,
}
SEVERITY_SHAPES = {"alarm": "▲", "warning": "◆", "info": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The devices of one area, unit by unit, in the order of the configuration."""

    area: str
    label: str
    devices: tuple[DeviceView, ...]
    several_units: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One emission written out: window value × share × factor."""

    source: SourceView
    emission: Emission
    amount: float | None
    unit: str


def templates(assets: Assets) -> Environment:
    """The template environment; undefined names are errors, everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "asset": assets.url,
        "languages": LANGUAGES,
        "dash": NONE,
        "number": number,
        "percent": percent,
        "register": register,
        "signed": signed,
        "unit_label": unit_label,
        "counted_quality": counted_quality,
        "value_state": value_state,
        "event_detail": event_detail,
        "shapes": SHAPES,
        "bus_shapes": BUS_SHAPES,
        "target_shapes": TARGET_SHAPES,
        "severity_shapes": SEVERITY_SHAPES,
        "verdict_shapes": VERDICT_SHAPES,
        "verdict_states": VERDICT_STATES,
    }
    return environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Renders every page in one language."""

    environment: Environment
    text: Language

    def overview(self, snapshot: Snapshot) -> str:
        say = self._presenter(snapshot)
        return self._render(
            "overview.html",
            Scope.OVERVIEW,
            snapshot,
            groups=_groups(snapshot.devices),
            tonnes=devices_in_tonnes(snapshot),
            abnormal=abnormal_now(snapshot, say),
            events=snapshot.events[:EVENTS_ON_OVERVIEW],
            chart=_chart(snapshot.totals, say),
        )

    def device(self, snapshot: Snapshot, detail: DeviceDetail) -> str:
        return self._render(
            "device.html",
            Scope.DEVICE,
            snapshot,
            detail=detail,
            device=detail.device,
            silent=silent_meters(detail.device),
            last_ms=last_good_ms(detail.device, snapshot.site.now_ms),
            tonnes=devices_in_tonnes(snapshot),
            derivations=_derivations(detail),
            stream_units={stream.id: stream.unit for stream in detail.streams},
        )

    def buses(self, snapshot: Snapshot, balances: Sequence[BalanceRow]) -> str:
        return self._render("buses.html", Scope.BUSES, snapshot, balances=balances)

    def delivery(self, snapshot: Snapshot, batches: Sequence[BatchView]) -> str:
        return self._render(
            "delivery.html",
            Scope.DELIVERY,
            snapshot,
            batches=batches,
            show_sent=any(batch.sent_ms is not None for batch in batches),
        )

    def events(self, snapshot: Snapshot, events: Sequence[Event]) -> str:
        return self._render("events.html", Scope.EVENTS, snapshot, events=events)

    def factors(self, snapshot: Snapshot, packs: Sequence[FactorPackView]) -> str:
        return self._render("factors.html", Scope.PACKS, snapshot, packs=packs)

    def reports(self, snapshot: Snapshot, months: Sequence[ReportMonth]) -> str:
        return self._render("reports.html", Scope.REPORTS, snapshot, months=months)

    def report(self, snapshot: Snapshot, month: Month, body: str) -> str:
        """A report in the frame; ``body`` is HTML of our own template, already escaped."""
        this_month = self._presenter(snapshot).moment(snapshot.site.now_ms)[: len(str(month))]
        return self._render(
            "report.html",
            Scope.REPORTS,
            snapshot,
            month=month,
            last=str(month) >= this_month,
            body=Markup(body),  # noqa: S704  # rendered by report_body.html
        )

    def error(self, status: int, what: str, hint: str) -> str:
        """A page for what went wrong; it needs nothing of the gateway."""
        return self.environment.get_template("error.html").render(
            t=self.text, status=status, what=what, hint=hint, path="/"
        )

    def _presenter(self, snapshot: Snapshot) -> Presenter:
        return Presenter(text=self.text, zone=site_zone(snapshot.site.timezone))

    def _render(self, template: str, scope: Scope, snapshot: Snapshot, **values: object) -> str:
        say = self._presenter(snapshot)
        detail = values.get("detail")
        shown = detail if isinstance(detail, DeviceDetail) else None
        context: Mapping[str, object] = {
            "t": self.text,
            "say": say,
            "scope": scope,
            "snapshot": snapshot,
            "site": snapshot.site,
            "live": page_texts(scope, snapshot, shown, say),
            "structure": page_structure(scope, snapshot, shown),
            "live_url": _live_url(scope, self.text.code, shown),
            **values,
        }
        return self.environment.get_template(template).render(context)


def _live_url(scope: Scope, language: str, detail: DeviceDetail | None) -> str:
    device = f"&device={detail.device.id}" if detail else ""
    return f"/api/v1/live?scope={scope}&lang={language}{device}"


def _groups(devices: Sequence[DeviceView]) -> tuple[Group, ...]:
    grouped: dict[str, list[DeviceView]] = {}
    for device in devices:
        grouped.setdefault(device.area, []).append(device)
    return tuple(
        Group(
            area=area,
            label=members[0].area_name or area,
            devices=tuple(_by_unit(members)),
            several_units=len({member.unit for member in members}) > 1,
        )
        for area, members in grouped.items()
    )


def _by_unit(devices: Sequence[DeviceView]) -> list[DeviceView]:
    order = {unit: rank for rank, unit in enumerate(dict.fromkeys(d.unit for d in devices))}
    return sorted(devices, key=lambda device: order[device.unit])


def _derivations(detail: DeviceDetail) -> tuple[Derivation, ...]:
    """The newest emission of every source with the window it was made from."""
    found: list[Derivation] = []
    windows = {(w.stream, w.start_ms, w.length_ms, w.revision): w for w in detail.windows}
    units = {stream.id: stream.unit for stream in detail.streams}
    for source in detail.sources:
        emission = next((e for e in detail.emissions if e.source == source.id), None)
        if emission is None:
            continue
        window = _input(emission, source, windows)
        found.append(
            Derivation(
                source=source,
                emission=emission,
                amount=window.value if window else None,
                unit=units.get(source.stream, ""),
            )
        )
    return tuple(found)


def _input(
    emission: Emission,
    source: SourceView,
    windows: Mapping[tuple[str, int, int, int], Window],
) -> Window | None:
    for stream, revision in emission.inputs:
        if stream == source.stream:
            return windows.get((stream, emission.start_ms, emission.length_ms, revision))
    return None


def _chart(totals: EmissionTotals, say: Presenter) -> dict[str, object]:
    top_kg = chart.nice_top(chart.largest_hour(totals.hours))
    tonnes = in_tonnes(top_kg)
    top = top_kg / KG_PER_T if tonnes else top_kg
    bars: list[chart.ChartBar] = []
    rows: list[dict[str, str]] = []
    for hour in totals.hours:
        measured_px, estimated_px, yesterday_px = chart.heights(hour, top_kg)
        clock = f"{say.hour(hour.start_ms):02d}:00"
        row = {
            "hour": clock,
            "measured": mass(hour.measured_kgco2e, tonnes),
            "estimated": mass(hour.estimated_kgco2e, tonnes),
            "yesterday": mass(hour.yesterday_kgco2e, tonnes),
        }
        rows.append(row)
        bars.append(
            chart.ChartBar(
                hour=say.hour(hour.start_ms),
                measured_px=measured_px,
                estimated_px=estimated_px,
                yesterday_px=yesterday_px,
                complete=hour.complete,
                title=say.text("chart.bar", **row),
            )
        )
    return {
        "plot": chart.plot_svg(bars, "chart-title chart-legend"),
        "axis": chart.axis_svg(f"{top:g}", f"{top / 2:g}"),
        "rows": rows,
        "tonnes": tonnes,
        "any": bool(bars),
    }
