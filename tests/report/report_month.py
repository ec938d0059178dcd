"""A month of a small site, booked by hand: figures that a person can check on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.reports import month_report
from agent.book.sqlite import SqliteBook
from agent.config.load import load_site
from agent.config.report_site import ReportReference, report_reference
from agent.config.site import SiteConfig
from agent.core.carbon.booking import emission_of
from agent.core.model import Emission, Provenance, Window
from agent.core.report.model import MonthReport
from agent.core.report.month import Month
from agent.core.timebase import HOUR_MS
from agent.store.database import open_store

ZONE = ZoneInfo("Asia/Shanghai")
OCTOBER = Month(2026, 10)
HOURS = 31 * 24
OWNER = Owner(site="plant-1", gateway="gw-01")

SITE = """
[site]
id = "plant-1"
name = "一号厂区"
timezone = "Asia/Shanghai"
rules = "GB/T 32151.10-2023"
gwp = "AR5"
window_s = 3600
[gateway]
id = "gw-01"
[store]
path = "tanshu.db"
[web]
enabled = false
[[area]]
id = "cracking"
name = "裂解车间"
[[area]]
id = "utilities"
name = "公用工程"
[[unit]]
id = "furnaces"
area = "cracking"
name = "裂解炉区"
[[unit]]
id = "cooling"
area = "utilities"
name = "循环水站"
[[bus]]
id = "tcp"
driver = "modbus-tcp"
host = "127.0.0.1"
port = 1502
@meters@
[[device]]
id = "f103"
name = "裂解炉 F-103"
unit = "furnaces"
stage = "reaction"
streams = [{ stream = "gas.volume" }, { stream = "fan.energy" }]
[[device]]
id = "ct1"
name = "循环水泵 P-1"
unit = "cooling"
stage = "auxiliary"
streams = [{ stream = "pump.energy" }, { stream = "steam.heat", share = -1.0 }]
[[source]]
id = "f103-gas"
name = "F-103 燃料气"
device = "f103"
kind = "fuel"
fuel = "natural-gas"
stream = "gas.volume"
[[source]]
id = "f103-fan"
name = "F-103 风机"
device = "f103"
kind = "electricity"
region = "全国"
year = 2023
stream = "fan.energy"
[[source]]
id = "ct1-pump"
name = "循环水泵"
device = "ct1"
kind = "electricity"
region = "全国"
year = 2023
stream = "pump.energy"
[[source]]
id = "ct1-steam"
name = "外供蒸汽"
device = "ct1"
kind = "heat"
stream = "steam.heat"
"""

METERS = {
    "gas": ("燃料气表", "volume", "Nm3", "gas-volume", 3),
    "fan": ("风机电表", "energy", "kWh", "active-energy-import", 4),
    "pump": ("泵电表", "energy", "kWh", "active-energy-import", 5),
    "steam": ("蒸汽表", "heat", "GJ", "heat", 6),
}
STREAMS = {meter: f"{meter}.{point}" for meter, (_, point, _, _, _) in METERS.items()}
# Amounts per hour: 1000 Nm3 of gas, 200 and 90 kWh of electricity, 0.5 GJ of steam given away.
PER_HOUR = {"gas": 1000.0, "fan": 200.0, "pump": 90.0, "steam": 0.5}

Value = Callable[[str, int], tuple[float | None, Provenance]]


def measured(meter: str, hour: int) -> tuple[float | None, Provenance]:
    """Every hour measured, the same amount each."""
    return PER_HOUR[meter], Provenance.MEASURED


def site_text() -> str:
    meters = "\n".join(
        f'[[meter]]\nid = "{meter}"\nname = "{name}"\nbus = "tcp"\nunit = {address}\n'
        + ("reference = { temperature_c = 0, pressure_kpa = 101.325 }\n" if unit == "Nm3" else "")
        + f'points = [{{ id = "{point}", unit = "{unit}", role = "counter", '
        f'quantity = "{quantity}", address = 0, type = "u32", scale = 0.01, resolution = 0.01, '
        "max_rate_per_h = 100000 }]"
        for meter, (name, point, unit, quantity, address) in METERS.items()
    )
    return SITE.replace("@meters@", meters)


class BookedSite:
    """A real file with a month of windows and emissions, and its report."""

    def __init__(self, folder: Path, gateway: str = OWNER.gateway) -> None:
        self.owner = Owner(site=OWNER.site, gateway=gateway)
        self.path = folder / "site.toml"
        text = site_text().replace(f'id = "{OWNER.gateway}"', f'id = "{gateway}"')
        self.path.write_text(text, encoding="utf-8")
        self.database: Database = open_store(folder / "tanshu.db")
        self.config: SiteConfig
        self.reference: ReportReference
        self.read_again()

    def read_again(self) -> None:
        """Follow the site file."""
        self.config = load_site(self.path)
        self.reference = report_reference(self.config)

    def book(
        self,
        month: Month = OCTOBER,
        value: Value = measured,
        *,
        hours: int | None = None,
        revision: int = 0,
        meters: tuple[str, ...] = tuple(METERS),
    ) -> None:
        """Book a month hour by hour, with the emissions of each configured source."""
        from_ms, to_ms = month.span(ZONE)
        count = (to_ms - from_ms) // HOUR_MS if hours is None else hours
        windows: list[Window] = []
        for hour in range(count):
            for meter in meters:
                amount, provenance = value(meter, hour)
                windows.append(
                    Window(
                        stream=STREAMS[meter],
                        start_ms=from_ms + hour * HOUR_MS,
                        length_ms=HOUR_MS,
                        revision=revision,
                        value=amount,
                        provenance=provenance,
                        method="register" if provenance is Provenance.MEASURED else "short-gap",
                        coverage=1.0 if provenance is Provenance.MEASURED else 0.0,
                    )
                )
        self.add(windows)

    def add(self, windows: list[Window], *, emissions: bool = True) -> None:
        """Book windows, and what the sources emitted in them."""
        computed: list[Emission] = [
            emission_of(
                source.id,
                window,
                source.factor,
                share=source.section.share,
                revision=window.revision,
            )
            for window in windows
            for source in self.config.sources.values()
            if emissions and source.section.stream == window.stream
        ]
        with self.database.transaction() as connection:
            book = SqliteBook(connection)
            book.add_windows(self.owner, windows)
            book.add_emissions(self.owner, computed)

    def report(self, month: Month = OCTOBER, *, days_after: float = 3.0) -> MonthReport:
        """The report as it reads some days after the month's end (before it where negative)."""
        now_ms = month.span(ZONE)[1] + int(days_after * 86_400_000)
        return month_report(self.database.connection, self.reference, [self.owner], month, now_ms)

    def close(self) -> None:
        self.database.close()
