"""Memory of the resident gateway: 200 points at 1 s over Modbus TCP, page open, no OPC UA.

It runs in an environment with nothing but the product's own dependencies and reads the gateway's
own accounting in /proc: resident memory, its highest mark, and which shared objects are mapped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from agent.core import kernels

ENVIRONMENT = "runtime"
HOUSE = Path(__file__).resolve().parent.parent.parent
METERS = 20
POINTS = 10
BAR_MB = 80.0
START_LIMIT_S = 30.0

HEAD = """
[site]
id = "bench"
window_s = 5
[gateway]
id = "gw"
[web]
port = 0
[log]
format = "json"
level = "warning"
[[area]]
id = "hall"
[[unit]]
id = "line"
area = "hall"
[[bus]]
id = "tcp"
driver = "modbus-tcp"
host = "127.0.0.1"
port = {port}
"""
COUNTER = (
    '  { id = "energy", unit = "kWh", role = "counter", quantity = "energy-import", '
    'address = 0, type = "u32", scale = 0.01, resolution = 0.01, max_rate_per_h = 5000 },\n'
)
METER = """
[[meter]]
id = "m{unit}"
bus = "tcp"
unit = {unit}
period_s = 1
points = [
{counter}{gauges}]
[[device]]
id = "d{unit}"
unit = "line"
stage = "auxiliary"
streams = [{{ stream = "m{unit}.energy" }}]
[[source]]
id = "s{unit}"
device = "d{unit}"
kind = "electricity"
stream = "m{unit}.energy"
region = "全国"
year = 2023
"""


def site_text(port: int) -> str:
    """A site of 20 meters with 10 points each."""
    gauges = "".join(
        f'  {{ id = "p{index}", unit = "V", address = {index + 1}, type = "u16", scale = 0.1 }},\n'
        for index in range(1, POINTS)
    )
    return HEAD.format(port=port) + "".join(
        METER.format(unit=unit, counter=COUNTER, gauges=gauges) for unit in range(1, METERS + 1)
    )


def memory_kb(pid: int) -> dict[str, int]:
    """VmRSS and VmHWM of a process."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM", "Threads"):
            found[name] = int(value.split()[0])
    return found


def run(short: bool) -> list[dict[str, Any]]:
    """Start meters and gateway, read the page all the while, then look into /proc."""
    seconds = 20 if short else 120
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        meters = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("_tcp_meters.py"))],
            stdout=subprocess.PIPE,
        )
        assert meters.stdout is not None
        site = folder / "site.toml"
        site.write_text(site_text(int(meters.stdout.readline())), encoding="utf-8")
        gateway = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", "run", "--config", str(site),
             "--port-file", str(folder / "port")],
            cwd=HOUSE,
        )  # fmt: skip
        try:
            return measure(folder, gateway, seconds)
        finally:
            for process in (gateway, meters):
                process.terminate()
                process.wait(20)
            meters.stdout.close()


def measure(folder: Path, gateway: subprocess.Popen[bytes], seconds: float) -> list[dict[str, Any]]:
    """Let the gateway work with its page open and report what it holds."""
    limit = time.monotonic() + START_LIMIT_S
    while not (folder / "port").exists():
        if gateway.poll() is not None or time.monotonic() > limit:
            raise SystemExit("footprint: the gateway did not start")
        time.sleep(0.05)
    address = f"http://127.0.0.1:{(folder / 'port').read_text()}"
    before = cpu_s(gateway.pid)
    began = time.monotonic()
    live = urllib.request.urlopen(address + "/api/v1/live", timeout=30)
    while time.monotonic() - began < seconds:
        urllib.request.urlopen(address + "/", timeout=30).read()
        time.sleep(2)
    share = (cpu_s(gateway.pid) - before) / (time.monotonic() - began)
    status = json.load(urllib.request.urlopen(address + "/api/v1/status", timeout=30))
    live.close()
    memory = memory_kb(gateway.pid)
    maps = Path(f"/proc/{gateway.pid}/maps").read_text("utf-8")
    mapped = [word for word in ("llvmlite", "numba") if word in maps]
    readings = status["counts"]["readings_good"]
    rate = readings / (time.monotonic() - began)
    resident_mb = memory["VmRSS"] / 1024
    peak_mb = memory["VmHWM"] / 1024
    expected = METERS * POINTS
    return [
        row("resident memory", resident_mb, "MB", f"<= {BAR_MB:.0f}", resident_mb <= BAR_MB),
        row("highest resident memory", peak_mb, "MB", f"<= {BAR_MB:.0f}", peak_mb <= BAR_MB),
        row("numba or llvmlite mapped", len(mapped), "libraries", "= 0", not mapped),
        row("good readings", rate, "1/s", f">= {0.95 * expected:.0f}", rate >= 0.95 * expected),
        row("kernels", kernels.MODE, "", "", None),
        row("processor", 100 * share, "% of a core", "", None),
        row("threads", memory["Threads"], "", "", None),
    ]


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def row(what: str, value: Any, unit: str, bar: str, ok: bool | None) -> dict[str, Any]:
    """One line of the table; there is no rival to memory but the limit."""
    return {"what": what, "value": value, "unit": unit, "rival": None, "bar": bar, "ok": ok}
