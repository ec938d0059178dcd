"""A gateway view for tests: a small chemical site in every state a page has to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.core.balance import Verdict
from agent.core.errors import Fault, StoreError
from agent.core.model import (
    Emission,
    Event,
    FactorRef,
    PointRole,
    Provenance,
    Quality,
    Severity,
    Window,
)
from agent.core.report.month import Month
from agent.web import computed_view as c
from agent.web import view as v
from agent.web.factor_view import (
    FactorMonth,
    FactorPackView,
    FactorSetChange,
    FactorValueChange,
    PackState,
)
from agent.web.report_view import ReportForm, ReportMonth, ReviewOutcome, ReviewSubmission

NOW_MS = 1_795_329_128_000  # 2026-11-22 14:32:08 at UTC+8
HOUR_MS = 3_600_000
MIDNIGHT_MS = NOW_MS - (14 * 3600 + 32 * 60 + 8) * 1000
WINDOW_MS = 900_000


def point(
    id: str,
    quantity: str,
    unit: str,
    value: float | None,
    *,
    role: PointRole = PointRole.RATE,
    quality: Quality = Quality.GOOD,
    age_s: float | None = 1.0,
    provenance: Provenance = Provenance.MEASURED,
    text: str | None = None,
) -> v.PointView:
    return v.PointView(
        id=id,
        quantity=quantity,
        unit=unit,
        role=role,
        value=value,
        quality=quality,
        age_s=age_s,
        provenance=provenance,
        text=text,
    )


def device(
    id: str,
    name: str,
    place: tuple[str, str, str, str],
    state: v.DeviceState,
    points: tuple[v.PointView, ...],
    now: float | None,
    today: float | None,
    *,
    estimated: float = 0.0,
    stage: str = "reaction",
    has_sources: bool = True,
) -> v.DeviceView:
    area, area_name, unit, unit_name = place
    return v.DeviceView(
        id=id,
        name=name,
        area=area,
        area_name=area_name,
        unit=unit,
        unit_name=unit_name,
        stage=stage,
        state=state,
        points=points,
        has_sources=has_sources,
        emission_kgco2e_per_h=now,
        emission_estimated_share=1.0 if state is v.DeviceState.ESTIMATED else 0.0,
        today_kgco2e=today,
        today_estimated_share=estimated,
    )


CRACKING = ("cracking", "裂解车间", "furnaces", "裂解炉区")
SYNTHESIS = ("synthesis", "合成车间", "ammonia", "合成氨装置")
REFORMING = ("synthesis", "合成车间", "reformer", "转化装置")
UTILITIES = ("utilities", "公用工程", "cooling", "循环水与空压")

DEVICES = (
    device(
        "f103",
        "裂解炉 F-103",
        CRACKING,
        v.DeviceState.OK,
        (
            point("gas-f103.flow", "volume-flow", "Nm3/h", 3142.6),
            point("gas-f103.volume", "volume", "Nm3", 8_123_456.7, role=PointRole.COUNTER),
            point("dcs-f103.load", "load", "%", 92.1, role=PointRole.GAUGE),
            point("dcs-f103.feed-grade", "grade", "", None, role=PointRole.TEXT, text="石脑油 A"),
        ),
        6795.0,
        94_120.0,
    ),
    device(
        "f104",
        "裂解炉 F-104",
        CRACKING,
        v.DeviceState.ESTIMATED,
        (point("gas-f104.flow", "volume-flow", "Nm3/h", 2987.0, age_s=2.0),),
        6458.0,
        90_450.0,
        estimated=0.052,
    ),
    device(
        "p201",
        "急冷水循环泵 P-201A(含变频器与备用泵切换柜)",
        CRACKING,
        v.DeviceState.OK,
        (
            point("adl-p201.power", "active-power", "kW", 312.4),
            point(
                "adl-p201.energy", "active-energy-import", "kWh", 120934.12, role=PointRole.COUNTER
            ),
        ),
        181.4,
        2_533.0,
        stage="separation",
    ),
    device(
        "k301",
        "合成气压缩机 K-301",
        SYNTHESIS,
        v.DeviceState.DEAD,
        (
            point(
                "dtsu-k301.power",
                "active-power",
                "kW",
                1841.0,
                quality=Quality.MISSING,
                age_s=1090.0,
                provenance=Provenance.MISSING,
            ),
        ),
        None,
        13_210.0,
        estimated=0.021,
    ),
    device(
        "r301",
        "合成塔 R-301",
        SYNTHESIS,
        v.DeviceState.STALE,
        (point("eh-r301.flow", "mass-flow", "t/h", 14.82, age_s=64.0),),
        2_201.0,
        30_100.0,
    ),
    device(
        "e305",
        "开工加热炉 E-305",
        REFORMING,
        v.DeviceState.OK,
        (point("gas-e305.flow", "volume-flow", "Nm3/h", 0.0),),
        0.0,
        0.0,
        stage="auxiliary",
    ),
    device(
        "ct1",
        "循环水站",
        UTILITIES,
        v.DeviceState.OK,
        (
            point(
                "chint-ct1.power", "active-power", "kW", 96.31, quality=Quality.SUSPECT, age_s=3.0
            ),
        ),
        55.9,
        770.0,
        stage="common",
    ),
    device(
        "ac2",
        "空压站",
        UTILITIES,
        v.DeviceState.WAITING,
        (
            point(
                "chint-ac2.power",
                "active-power",
                "kW",
                None,
                quality=Quality.MISSING,
                age_s=None,
                provenance=Provenance.MISSING,
            ),
        ),
        None,
        None,
        stage="common",
    ),
    device(
        "tk1",
        "乙烯球罐",
        UTILITIES,
        v.DeviceState.OK,
        (point("dcs-tk1.pressure", "pressure", "MPa", 1.823, role=PointRole.GAUGE),),
        None,
        None,
        stage="storage-transport",
        has_sources=False,
    ),
)


def hours() -> tuple[v.HourBar, ...]:
    shape = [
        14.1,
        13.8,
        13.9,
        13.2,
        13.6,
        14.6,
        16.3,
        17.1,
        17.6,
        17.9,
        17.2,
        17.8,
        18.0,
        17.7,
        9.4,
    ]
    bars = []
    for hour, tonnes in enumerate(shape):
        estimated = tonnes * 1000 * (0.6 if hour == 10 else 0.04 if hour == 11 else 0.0)
        bars.append(
            v.HourBar(
                start_ms=MIDNIGHT_MS + hour * HOUR_MS,
                measured_kgco2e=tonnes * 1000 - estimated,
                estimated_kgco2e=estimated,
                complete=hour < 14,
                yesterday_kgco2e=None if hour == 3 else tonnes * 1030,
            )
        )
    return tuple(bars)


SITE = v.SiteView(
    id="plant-1",
    name="一号厂区",
    gateway="gw-01",
    timezone="Asia/Shanghai",
    version="0.1.0",
    kernels="aot",
    rules="GB/T 32151.10-2023",
    gwp="AR5",
    window_ms=WINDOW_MS,
    config_hash="9f2c41d07be35a6884d1e0c7",
    started_ms=NOW_MS - 93 * HOUR_MS,
    now_ms=NOW_MS,
    clock=v.ClockView(state=v.ClockState.TRUSTED, source="NTP", offset_ms=3.2),
)

TOTALS = v.EmissionTotals(
    now_kgco2e_per_h=15_691.3,
    now_lower=15_320.0,
    now_upper=16_062.0,
    now_estimated_share=0.028,
    today_kgco2e=231_183.0,
    today_estimated_share=0.051,
    yesterday_same_time_kgco2e=240_870.0,
    hours=hours(),
)


def meter(id: str, address: str, state: v.DeviceState = v.DeviceState.OK) -> v.MeterView:
    dead = state is v.DeviceState.DEAD
    return v.MeterView(
        id=id,
        name="",
        address=address,
        state=state,
        age_s=1090.0 if dead else 1.0,
        exchanges=48_213,
        timeouts=812 if dead else 2,
        invalid=1,
        p95_ms=None if dead else 41.0,
    )


BUSES = (
    v.BusView(
        id="rs485-1",
        name="RS-485 一号",
        driver="modbus-rtu",
        address="/dev/ttyS1, 9600 8E1",
        state=v.BusState.OK,
        meters_answering=6,
        meters_total=6,
        use_share=0.41,
        exchanges=812_345,
        timeouts=12,
        invalid=3,
        refused=0,
        p95_ms=44.2,
        meters=tuple(meter(f"adl-{n}", str(n)) for n in range(1, 7)),
    ),
    v.BusView(
        id="rs485-2",
        name="RS-485 二号",
        driver="modbus-rtu",
        address="/dev/ttyS2, 19200 8N1",
        state=v.BusState.DEGRADED,
        meters_answering=3,
        meters_total=4,
        use_share=0.38,
        exchanges=611_020,
        timeouts=818,
        invalid=9,
        refused=1,
        p95_ms=38.0,
        last_error=v.Problem(
            what="no reply within 0.3 s",
            where="dtsu-k301",
            hint="check its supply and the A/B pair; probed again every 30 s",
            since_ms=NOW_MS - 1_090_000,
        ),
        meters=(
            meter("dtsu-k301", "7", v.DeviceState.DEAD),
            meter("chint-ct1", "8"),
            meter("chint-ac2", "9", v.DeviceState.WAITING),
            meter("eh-r301", "10", v.DeviceState.STALE),
        ),
    ),
    v.BusView(
        id="dcs",
        name="",
        driver="opcua",
        address="opc.tcp://dcs.example:4840",
        state=v.BusState.OK,
        meters_answering=2,
        meters_total=2,
        use_share=None,
        exchanges=90_112,
        timeouts=0,
        invalid=0,
        refused=0,
    ),
)

TARGETS = (
    v.TargetView(
        id="ledger",
        url="mqtts://broker.example:8883",
        confirm="receipt",
        state=v.TargetState.CONNECTED,
        outbox_depth=2,
        oldest_age_s=8.0,
        last_receipt_ms=NOW_MS - 8_000,
        last_receipt_seq=4711,
        batches_sent=4713,
        batches_receipted=4711,
    ),
)

EVENTS = (
    Event(
        time_ms=NOW_MS - 1_090_000,
        code="meter.dead",
        subject="dtsu-k301",
        severity=Severity.ALARM,
        detail="no reply within 0.3 s, 5 times in a row",
    ),
    Event(
        time_ms=NOW_MS - 5_400_000,
        code="counter.wrap",
        subject="adl-p201.energy",
        severity=Severity.INFO,
        detail="999999.99 kWh to 0.42 kWh",
    ),
    Event(
        time_ms=NOW_MS - 9_400_000,
        code="vendor.special",
        subject="gas-f104",
        severity=Severity.WARNING,
        detail='<script>alert("x")</script>',
    ),
)


def windows() -> tuple[Window, ...]:
    rows = []
    for index in range(12):
        estimated = index == 3
        value = 785.2 - index
        rows.append(
            Window(
                stream="gas-f103.volume",
                start_ms=NOW_MS - NOW_MS % WINDOW_MS - (index + 1) * WINDOW_MS,
                length_ms=WINDOW_MS,
                revision=1 if estimated else 0,
                value=value,
                provenance=Provenance.ESTIMATED if estimated else Provenance.MEASURED,
                method="short-gap" if estimated else "register",
                coverage=0.0 if estimated else 1.0,
                lower=value * 0.97 if estimated else None,
                upper=value * 1.03 if estimated else None,
                load=92.0,
            )
        )
    return tuple(rows)


FACTOR = FactorRef(
    id="natural-gas", version="gb-32151.10-2023/1", value=2.162218, unit="kgCO2e/Nm3"
)


def emissions() -> tuple[Emission, ...]:
    return tuple(
        Emission(
            source="f103-gas",
            start_ms=window.start_ms,
            length_ms=window.length_ms,
            revision=window.revision,
            kgco2=window.value * FACTOR.value,
            kgch4=0.0,
            kgn2o=0.0,
            kgco2e=window.value * FACTOR.value,
            lower=window.value * FACTOR.value * 0.98,
            upper=window.value * FACTOR.value * 1.02,
            estimated_share=float(window.provenance is Provenance.ESTIMATED),
            factor=FACTOR,
            inputs=((window.stream, window.revision),),
        )
        for window in windows()
        if window.value is not None
    )


def detail(of: v.DeviceView) -> v.DeviceDetail:
    if of.id != "f103":
        return v.DeviceDetail(device=of, streams=(), sources=(), windows=(), emissions=())
    return v.DeviceDetail(
        device=of,
        streams=(
            v.StreamView(
                id="gas-f103.volume",
                kind="counter",
                quantity="volume",
                unit="Nm3",
                share=1.0,
                register=8_123_456.7,
                register_ms=NOW_MS - 1000,
            ),
            v.StreamView(
                id="steam-main.heat", kind="rate", quantity="heat", unit="GJ", share=-0.25
            ),
        ),
        sources=(
            v.SourceView(
                id="f103-gas",
                name="F-103 燃料气",
                kind="fuel",
                stream="gas-f103.volume",
                share=1.0,
                factor=FACTOR,
                factor_source="GB/T 32151.10-2023, table C.1",
            ),
        ),
        windows=windows(),
        emissions=emissions(),
    )


def batches() -> tuple[v.BatchView, ...]:
    return tuple(
        v.BatchView(
            target="ledger",
            epoch="5f3a9c0e77d14b8f9c1f6a2b3c4d5e6f",
            seq=4713 - index,
            records=42,
            bytes=5_120 + index,
            window_from_ms=None if index == 5 else NOW_MS - (index + 1) * WINDOW_MS,
            window_to_ms=None if index == 5 else NOW_MS - index * WINDOW_MS,
            sealed_ms=NOW_MS - index * WINDOW_MS,
            sent_ms=NOW_MS - index * WINDOW_MS + 200,
            receipted_ms=None if index < 2 else NOW_MS - index * WINDOW_MS + 900,
        )
        for index in range(12)
    )


RICH = v.Snapshot(
    site=SITE,
    devices=DEVICES,
    totals=TOTALS,
    buses=BUSES,
    targets=TARGETS,
    events=EVENTS,
    counts=v.Counts(
        readings_good=1_000_000,
        readings_suspect=12,
        readings_missing=830,
        windows=4100,
        emissions=3900,
        events=3,
    ),
)

FRESH = v.Snapshot(
    site=replace(SITE, name="", clock=v.ClockView(state=v.ClockState.UNTRUSTED)),
    devices=tuple(
        replace(
            d,
            state=v.DeviceState.WAITING,
            emission_kgco2e_per_h=None,
            today_kgco2e=None,
            points=(),
        )
        for d in DEVICES
    ),
    totals=v.EmissionTotals(
        now_kgco2e_per_h=None,
        now_lower=None,
        now_upper=None,
        now_estimated_share=0.0,
        today_kgco2e=None,
        today_estimated_share=0.0,
        yesterday_same_time_kgco2e=None,
        hours=(),
    ),
    buses=tuple(replace(b, state=v.BusState.STARTING, use_share=None, meters=()) for b in BUSES),
    targets=(),
    events=(),
)

EMPTY = replace(FRESH, devices=(), buses=())

BROKEN = replace(
    RICH,
    alive=False,
    site=replace(
        SITE,
        name="金陵石化" * 12,
        faults=(
            Fault(
                file="site.toml",
                path="meter[3].reference",
                what="a gas point needs reference conditions",
                hint="add reference = { temperature_c = 20, pressure_kpa = 101.325 }",
                fatal=False,
            ),
        ),
    ),
    problems=(v.Problem(what="97 % full", where="disk", hint="free some", since_ms=NOW_MS),),
    buses=tuple(
        replace(
            b,
            state=v.BusState.DOWN,
            last_error=v.Problem(what="port lost", hint="plug it in again"),
        )
        for b in BUSES
    ),
    targets=(
        replace(
            TARGETS[0],
            state=v.TargetState.REFUSED,
            outbox_depth=123_456,
            oldest_age_s=86_400.0 * 12,
            problem=v.Problem(what="not authorised", hint="enrol the gateway's key"),
        ),
        replace(TARGETS[0], id="province", state=v.TargetState.DOWN, last_receipt_seq=None),
    ),
)


def balance_row(verdict: Verdict, unmetered: float | None) -> c.BalanceRow:
    master = c.BalancePart(stream="em-1.energy", amount=1000.0, half_90=9.5, whole=True)
    part = c.BalancePart(stream="em-2.energy", amount=950.0, half_90=9.0, whole=True)
    return c.BalanceRow(
        start_ms=NOW_MS - 86_400_000,
        end_ms=NOW_MS,
        unit="kWh",
        master=master,
        parts=(part,),
        below=950.0,
        unmetered=unmetered,
        unmetered_share=None if unmetered is None else unmetered / 1000,
        lower=None if unmetered is None else unmetered - 13,
        upper=63.0,
        verdict=verdict,
        class_assumed=("em-2",),
    )


@dataclass
class FakeComputed:
    """Two balances, and models that are only counted."""

    asked: list[object]

    async def balances(self, query: c.BalanceQuery) -> Sequence[c.BalanceRow]:
        self.asked.append(query)
        rows = [balance_row(Verdict.UNMETERED, 50.0), balance_row(Verdict.UNDECIDED, None)]
        return rows[: query.limit]

    async def models(self, stream: str | None) -> Sequence[c.ModelRow]:
        self.asked.append(stream)
        return ()

    async def add_model(self, submission: c.ModelSubmission) -> c.ModelRow:
        self.asked.append(submission)
        return c.ModelRow(
            stream=submission.stream,
            version=1,
            since_ms=submission.since_ms or NOW_MS,
            fitted_ms=NOW_MS,
            model=submission.model,
        )


def factor_pack(state: PackState, serial: int) -> FactorPackView:
    waits = state is PackState.STAGED
    change = FactorValueChange(
        row="sichuan/average", field="kgco2_per_kwh", old="0.1404", new="0.1404", change_pct=None
    )
    return FactorPackView(
        hash=f"{serial:02x}" * 32,
        issuer="集团碳管理部",
        key_id="5b1f3c0a9d2e4f67",
        serial=serial,
        issued="2026-11-20",
        note="2024年电网因子",
        origin="/mnt/share/factors",
        found_ms=NOW_MS - serial * HOUR_MS,
        state=state,
        sets=(
            FactorSetChange(
                kind="grid",
                id="MEE-2026-50",
                version="9f2c41d07be3",
                base="MEE-2025-47",
                changed=31,
                added=1,
                removed=0,
                unchanged=2,
                changes=(change, replace(change, row="quanguo/average", change_pct=-1.2)),
            ),
        ),
        months=tuple(
            FactorMonth(
                source="f103-electricity",
                month=month,
                windows=2976,
                before_kgco2e=184_210.0,
                after_kgco2e=182_004.5,
            )
            for month in ("2026-10", "2026-11")
        ),
        decided_by="" if waits else "王工",
        decided_ms=None if waits else NOW_MS - HOUR_MS,
        reason="" if waits else "未含本省",
        installed_ms=None,
    )


@dataclass
class FakeView:
    """Serves a snapshot that a test may exchange; ``broken`` makes every call fail."""

    current: v.Snapshot = RICH
    broken: bool = False
    bug: bool = False
    asked: list[object] = field(default_factory=list)

    async def snapshot(self) -> v.Snapshot:
        self._check()
        self.asked.append("snapshot")
        return self.current

    async def device(self, device: str) -> v.DeviceDetail | None:
        self._check()
        return next((detail(d) for d in self.current.devices if d.id == device), None)

    async def windows(self, query: v.WindowQuery) -> Sequence[Window]:
        self._check()
        self.asked.append(query)
        rows = [w for w in reversed(windows()) if query.from_ms <= w.start_ms < query.to_ms]
        return [w for w in rows if query.stream in (None, w.stream)][: query.limit]

    async def emissions(self, query: v.EmissionQuery) -> Sequence[v.EmissionRow]:
        self._check()
        self.asked.append(query)
        return [
            v.EmissionRow(
                key=d.id,
                name=d.name,
                start_ms=query.from_ms,
                length_ms=HOUR_MS,
                kgco2e=d.today_kgco2e,
                lower=None,
                upper=None,
                estimated_share=d.today_estimated_share,
            )
            for d in self.current.devices
        ][: query.limit]

    async def events(self, from_ms: int, to_ms: int, limit: int) -> Sequence[Event]:
        self._check()
        return [e for e in self.current.events if from_ms <= e.time_ms < to_ms][:limit]

    async def batches(self, limit: int) -> Sequence[v.BatchView]:
        self._check()
        return batches()[:limit]

    async def factor_packs(self) -> Sequence[FactorPackView]:
        self._check()
        return [factor_pack(PackState.STAGED, 4), factor_pack(PackState.REJECTED, 3)]

    async def report_months(self) -> Sequence[ReportMonth]:
        self._check()
        return [
            ReportMonth(month="2026-11", complete=False),
            ReportMonth(month="2026-10", complete=True),
        ]

    async def report(self, month: Month, form: ReportForm, language: str) -> bytes:
        self._check()
        self.asked.append((month, form, language))
        if form is ReportForm.JSON:
            return b"{}"
        return f'<article class="report"><h1>{month} {form} {language}</h1></article>'.encode()

    def write_token(self) -> str:
        return ""

    async def add_review(self, submission: ReviewSubmission) -> ReviewOutcome:
        self._check()
        self.asked.append(submission)
        return ReviewOutcome(
            month=str(submission.month),
            department=submission.department,
            name=submission.name,
            decision=submission.decision,
            figures="ab" * 32,
            reviewed_ms=NOW_MS,
            settled=submission.settled,
        )

    @property
    def computed(self) -> FakeComputed:
        self._check()
        return FakeComputed(asked=self.asked)

    def _check(self) -> None:
        if self.bug:
            raise ZeroDivisionError("a bug in the gateway")
        if self.broken:
            raise StoreError("cannot be read", where="tanshu.db", hint="check the disk")
