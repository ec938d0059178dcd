"""A month with a source of every kind, entries, findings of every sort and a void review."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.book.activity import SqliteActivity
from agent.book.ports import Owner
from agent.book.reports import month_report
from agent.book.reviews import ReviewBasis, add_review, new_review
from agent.book.sqlite import SqliteBook
from agent.config.load import load_site
from agent.config.report_site import report_reference
from agent.config.site import SiteConfig
from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.carbon.booking import emission_of
from agent.core.checks.finding import Finding, FindingCode
from agent.core.model import Emission, FactorRef, Provenance, Severity, Window
from agent.core.report.model import Decision, Department, MonthReport
from agent.core.report.month import Month
from agent.core.timebase import DAY_MS
from agent.store.database import open_store
from tests.sources.site_text import UNITS, write_site

ZONE = ZoneInfo("Asia/Shanghai")
MONTH = Month(2026, 7)
OWNER = Owner(site="plant", gateway="gw")
FROM_MS, TO_MS = MONTH.span(ZONE)
NOW_MS = TO_MS + 3 * DAY_MS

# kind of source, its stream and the keys of its own
STREAM_SOURCES = {
    "fuel": ("gas", 'fuel = "natural-gas"'),
    "electricity": ("energy", 'region = "四川"\nyear = 2023'),
    "heat": ("mass", "steam = { pressure_mpa = 1.0, temperature_c = 300 }"),
    "carbonate": ("mass", 'carbonate = "CaCO3"\npurity = 0.97'),
    "coke_burn": ("mass", "carbon_content = 0.95\noxidation = 0.98"),
    "nitric_acid": ("mass", 'technology = "dual-pressure"\nremoval = 0.85'),
    "adipic_acid": ("mass", 'process = "硝酸氧化"'),
    "co2_recovery": ("gas", "purity = 0.99"),
    "flare": ("gas", "composition = { CH4 = 0.8, C2H6 = 0.12, CO2 = 0.05, N2 = 0.03 }"),
    "wastewater": ("water", 'cod_in = 1.8\ncod_out = 0.1\ntreatment = "anaerobic-reactor"'),
    "incineration": ("mass", 'waste = "hazardous"'),
    "landfill": ("mass", "factor = 0.05"),
    "transport": ("mass", 'distance_km = 480\nmode = "heavy-diesel-truck-30t"'),
    "reaction": ("mass", 'equation = "CaCO3 -> CaO + CO2"\nfeed = "CaCO3"\nconversion = 0.98'),
    "factor": ("energy", 'factor = 0.11\nunit = "MWh"\ngas = "n2o"'),
    "cems": ("gas", 'gas = "n2o"\nconcentration_mg_nm3 = 120'),
}
PER_DAY = {"mass": 10.0, "gas": 2000.0, "water": 50.0, "energy": 5000.0, "heat": 3.0}
BALANCE = """
[[source]]
id = "carbon-balance"
name = "碳平衡"
device = "d"
kind = "carbon_balance"
inputs = [{ material = "methanol", activity = "activity.raw-material.甲醇" }]
products = [{ material = "ethylene", activity = "activity.product.醋酸" }]
[[source]]
id = "sludge-lorry"
name = "柴油车"
device = "d"
kind = "fuel"
fuel = "diesel"
activity = "activity.bill.柴油"
"""


def site_of_every_kind(folder: Path) -> SiteConfig:
    """A site with one source of every kind, the first device's names in Chinese."""
    sources = "".join(
        f'[[source]]\nid = "{kind.replace("_", "-")}"\nname = "排放源{place}"\ndevice = "d"\n'
        f'kind = "{kind}"\nstream = "m.{stream}"\n{keys}\n'
        for place, (kind, (stream, keys)) in enumerate(STREAM_SOURCES.items(), start=1)
    )
    path = write_site(folder, sources + BALANCE, site='name = "一厂"')
    named = path.read_text(encoding="utf-8")
    for one in ('[[area]]\nid = "hall"', '[[unit]]\nid = "line"', '[[device]]\nid = "d"'):
        named = named.replace(one, f'{one}\nname = "一线"')
    for point, quantity in (("gas", "gas-volume"), ("energy", "active-energy-import")):
        named = named.replace(f'quantity = "{point}"', f'quantity = "{quantity}"')
    named = named.replace('quantity = "water"', 'quantity = "volume"')
    path.write_text(named.replace('id = "m"', 'id = "m"\nname = "总表"'), encoding="utf-8")
    return load_site(path)


def windows_of_the_month() -> Iterator[Window]:
    """A window per stream and day, one of them estimated and one missing."""
    for name in UNITS:
        for day in range(31):
            kind = Provenance.MEASURED
            if day == 5:
                kind = Provenance.ESTIMATED
            if day == 6 and name == "water":
                kind = Provenance.MISSING
            yield Window(
                stream=f"m.{name}",
                start_ms=FROM_MS + day * DAY_MS,
                length_ms=DAY_MS,
                revision=0,
                value=None if kind is Provenance.MISSING else PER_DAY[name],
                provenance=kind,
                method="register",
                coverage=1.0,
            )


def period_emission(source: str, kgco2: float, factor: FactorRef) -> Emission:
    """A record of the whole month, ± 3 % of it."""
    return Emission(
        source=source,
        start_ms=FROM_MS,
        length_ms=TO_MS - FROM_MS,
        revision=0,
        kgco2=kgco2,
        kgch4=0.0,
        kgn2o=0.0,
        kgco2e=kgco2,
        lower=kgco2 * 0.97,
        upper=kgco2 * 1.03,
        estimated_share=0.25,
        factor=factor,
        inputs=(("activity.raw-material.甲醇", 0),),
    )


BALANCE_KG = 123_456.789_012
DIESEL_T, DIESEL_FACTOR = 12.5, 3099.7
PERIOD_EMISSIONS = (
    period_emission(
        "carbon-balance",
        BALANCE_KG,
        FactorRef(
            id="material/methanol@IPCC-2006-V3-3.10",
            version="1" * 12,
            value=BALANCE_KG / 400.0,
            unit="kgCO2e/t",
        ),
    ),
    period_emission(
        "sludge-lorry",
        DIESEL_T * DIESEL_FACTOR,
        FactorRef(
            id="fuel/diesel@GB/T-32151.34-2024",
            version="2" * 12,
            value=DIESEL_FACTOR,
            unit="kgCO2e/t",
        ),
    ),
)


def entries() -> Iterator[ActivityEntry]:
    """One entry of every kind that is an amount, for the month."""
    for kind, item in (
        (ActivityKind.RAW_MATERIAL, "甲醇"),
        (ActivityKind.PRODUCT, "醋酸"),
        (ActivityKind.WASTE, "污泥"),
        (ActivityKind.BILL, "柴油"),
    ):
        yield ActivityEntry(
            stream=f"activity.{kind}.{item}",
            kind=kind,
            item=item,
            amount=400.0,
            unit="t",
            start_ms=FROM_MS,
            end_ms=TO_MS,
            author="王工",
        )


def findings() -> Iterator[Finding]:
    """A finding of every code, with a citation where it has one."""
    for code in FindingCode:
        level_three = code.startswith("review.")
        detail = "、".join(["第一批", "第二批"])
        if code in (FindingCode.SECTOR, FindingCode.OWN_FACTOR):
            detail = "NDRC guide for chemical producers · 2013"
        if code is FindingCode.REVIEW_VOID:
            detail = "sources › fuel › kgco2e: 1 → 2; factors › fuel x@y 1 2 › value: 3 → 4"
        yield Finding(
            code=code,
            subject="production@gw" if level_three else f"m.{code.value.partition('.')[2]}",
            name="" if level_three else "总表",
            severity=Severity.WARNING,
            number=31.4,
            limit=30.0,
            unit="%",
            reference=12.0,
            reference_unit="t",
            from_ms=FROM_MS,
            to_ms=TO_MS,
            detail=detail,
        )


def report_of_every_kind(folder: Path) -> MonthReport:
    """The month's report, with every finding there is and a review that a change made void."""
    config = site_of_every_kind(folder)
    database = open_store(folder / "tanshu.db")
    windows = list(windows_of_the_month())
    emissions = [
        emission_of(
            plan.id,
            window,
            plan.factor_at(window.start_ms),
            gases=plan.gases_at(window.start_ms),
            share=plan.section.share,
        )
        for window in windows
        for plan in config.sources.values()
        if plan.section.stream == window.stream
    ]
    with database.transaction() as connection:
        book = SqliteBook(connection)
        book.add_windows(OWNER, windows)
        book.add_emissions(OWNER, [*emissions, *PERIOD_EMISSIONS])
        SqliteActivity(connection).add_activity(OWNER, entries())
    reference = report_reference(config)

    def report() -> MonthReport:
        return month_report(database.connection, reference, [OWNER], MONTH, NOW_MS)

    before = report()
    given = new_review(
        ReviewBasis.of(before),
        department=Department.PRODUCTION,
        name="李四",
        decision=Decision.ACCEPTED,
        note="已核对",
        seen="",
        settled=(),
        reviewed_ms=NOW_MS,
    )
    changed = replace(PERIOD_EMISSIONS[0], revision=1, kgco2=BALANCE_KG + 1, kgco2e=BALANCE_KG + 1)
    with database.transaction() as connection:
        add_review(connection, OWNER, given, before.figures)
        SqliteBook(connection).add_emissions(OWNER, [changed])
    made = report()
    database.close()
    return replace(made, findings=(*made.findings, *findings()))
