"""`tanshu calc --json` on a file of 30 sources of every kind, from start to finish.

Each run is a process of its own, as a program or a shell would start it; the file uses steam, so
that the package behind IAPWS-IF97 is loaded too. Beside it the bare interpreter, which is the part
nobody can save.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ENVIRONMENT = "runtime"
HOUSE = Path(__file__).resolve().parent.parent.parent
SOURCES = 30
BAR_MS = 300.0
HEAD = '[inventory]\nname = "bench"\nrules = "GB/T 32151.10-2023"\n'
KINDS = [
    'kind = "fuel"\nfuel = "natural-gas"\namount = 100000\nunit = "m3@20C"',
    'kind = "fuel"\nfuel = "烟煤"\namount = 500\nncv = 20.1',
    'kind = "electricity"\npurchased_mwh = 1000\nregion = "四川"\nyear = 2026',
    'kind = "heat"\nsteam = { mass_t = 10, pressure_mpa = 1.0, temperature_c = 300 }',
    'kind = "carbon_balance"\ninputs = [{ material = "乙烯", amount = 1000 }]\n'
    'products = [{ material = "环氧乙烷", amount = 1400 }]',
    'kind = "reaction"\nequation = "CH4 + 2 O2 -> CO2 + 2 H2O"\nfeed = "CH4"\namount = 10',
    'kind = "coke_burn"\namount = 100',
    'kind = "carbonate"\ncarbonate = "CaCO3"\namount = 1000\npurity = 0.97',
    'kind = "nitric_acid"\ntechnology = "高压"\noutput_t = 10000\nremoval = 0.85',
    'kind = "adipic_acid"\nprocess = "硝酸氧化"\noutput_t = 100\nabatement = "catalytic"',
    'kind = "co2_recovery"\nvolume_1e4nm3 = 50\npurity = 0.99',
    'kind = "flare"\nvolume_1e4nm3 = 10\ncarbon = 5',
    'kind = "wastewater"\nvolume_m3 = 1000\ncod_in = 0.5\ntreatment = "anaerobic-reactor"',
    'kind = "incineration"\namount = 100\nwaste = "hazardous"',
    'kind = "landfill"\namount = 100\nfactor = 0.05',
    'kind = "transport"\nmass_t = 100\ndistance_km = 500\nmode = "槽车"',
    'kind = "cems"\nconcentration_pct = 11\ndry_flow_nm3_h = 100000\nhours = 100',
    'kind = "factor"\namount = 10\nfactor = 2',
]


def run(short: bool = False) -> list[dict[str, Any]]:
    """Start both in turn and compare the median time to the bar."""
    runs = 5 if short else 25
    text = HEAD + "".join(
        f'[[source]]\nid = "s{place}"\n{KINDS[place % len(KINDS)]}\n' for place in range(SOURCES)
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "inventory.toml"
        path.write_text(text, encoding="utf-8")
        calc = [sys.executable, "-m", "agent.cli.main", "calc", str(path), "--json"]
        computed = json.loads(started(calc)[1])["sources"]
        times, bare = [], []
        for _ in range(runs):
            times.append(started(calc)[0])
            bare.append(started([sys.executable, "-c", "pass"])[0])
    taken, interpreter = statistics.median(times), statistics.median(bare)
    return [
        row(f"calc, {len(computed)} sources", taken, "ms", f"<= {BAR_MS:.0f}", taken <= BAR_MS),
        row("calc, slowest run", max(times), "ms", "", None),
        row("bare interpreter", interpreter, "ms", "", None),
    ]


def started(command: list[str]) -> tuple[float, bytes]:
    """Milliseconds from start to end of a process, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=HOUSE, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000, done.stdout


def row(what: str, value: float, unit: str, bar: str, ok: bool | None) -> dict[str, Any]:
    """One line of the table."""
    return {"what": what, "value": value, "unit": unit, "rival": None, "bar": bar, "ok": ok}
