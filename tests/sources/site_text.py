"""A site file with a meter for every unit that a source can be fed in."""

from __future__ import annotations

from pathlib import Path

from agent.config.load import load_site, read_site
from agent.config.site import SiteConfig
from agent.core.errors import Fault

UNITS = {"mass": "t", "gas": "Nm3", "water": "m3", "energy": "kWh", "heat": "GJ"}
POINTS = ",\n".join(
    f'  {{ id = "{name}", unit = "{unit}", role = "counter", quantity = "{name}", '
    f'address = {4 * place}, type = "u32", resolution = 0.01 }}'
    for place, (name, unit) in enumerate(UNITS.items())
)
HEAD = f"""
[site]
id = "plant"
window_s = 900
@site@
[gateway]
id = "gw"
[[area]]
id = "hall"
[[unit]]
id = "line"
area = "hall"
[[bus]]
id = "tcp"
driver = "modbus-tcp"
host = "127.0.0.1"
port = 1502
[[meter]]
id = "m"
bus = "tcp"
unit = 1
@meter@
points = [
{POINTS}
]
reference = {{ temperature_c = 0, pressure_kpa = 101.325 }}
[[device]]
id = "d"
unit = "line"
stage = "reaction"
"""


def write_site(folder: Path, sources: str, *, site: str = "", meter: str = "") -> Path:
    """The site file with these sources."""
    path = folder / "site.toml"
    head = HEAD.replace("@site@", site).replace("@meter@", meter)
    path.write_text(head + sources, encoding="utf-8")
    return path


def site_with(folder: Path, sources: str, *, site: str = "", meter: str = "") -> SiteConfig:
    """The checked site."""
    return load_site(write_site(folder, sources, site=site, meter=meter))


def faults_of(folder: Path, sources: str) -> list[Fault]:
    """What is wrong with the sources."""
    return list(read_site(write_site(folder, sources))[1])
