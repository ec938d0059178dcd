"""The main job on the virtual plant: meters, gateway, broker, ledger and page, as real processes.

Everything lives in var/demo of the clone and is made anew at each start. With --seconds it stops
by itself and compares three books: the gateway's, the ledger's and the plant's own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOUSE))
WINDOW_S = 5
DRAIN_S = 15
START_LIMIT_S = 60
SEED = 1

BROKER = """
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 17825792
max_inflight_count = 100
dynamic_filters = true
"""

SITE_TAIL = """
[[target]]
id = "ledger"
url = "mqtt://127.0.0.1:{broker}"
ledger_key = "{key}"

[web]
port = {page}
language = "zh-CN"

[store]
path = "gateway.db"

[log]
format = "json"
"""


class Demo:
    """The processes of one run, started in order and ended by their own handles."""

    def __init__(self, folder: Path, page: int, faults: Sequence[str]) -> None:
        self.folder = folder
        self.page = page
        self.faults = list(faults)
        self.broker_port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def launch(self, name: str, *words: str) -> None:
        """Start one process with its output in a log file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=HOUSE,
                stdin=subprocess.PIPE if name == "broker" else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> None:
        """Broker, plant and ledger side by side, then the gateway on what they tell."""
        from agent.core.chain import SigningKey
        from agent.ledger.database import open_ledger
        from agent.ledger.enrolment import enrol
        from agent.sync.keys import load_or_create_key

        folder = self.folder
        (folder / "broker.toml").write_text(BROKER.format(port=self.broker_port))
        self.launch("broker", "iotcore", "--config", str(folder / "broker.toml"))
        tail = folder / "tail.toml"
        ledger_key: SigningKey = load_or_create_key(folder / "ledger.key")
        gateway_key: SigningKey = load_or_create_key(folder / "gateway.key")
        tail.write_text(
            SITE_TAIL.format(broker=self.broker_port, key=ledger_key.public.text, page=self.page)
        )
        plant = ["--write-site", str(folder / "site.toml"), "--append", str(tail)]
        plant += ["--window-s", str(WINDOW_S), "--seed", str(SEED)]
        plant += [word for fault in self.faults for word in ("--fault", fault)]
        self.launch("plant", "agent.cli.main", "plant", *plant)
        enrolment = folder / "enrolment.json"
        enrolment.write_text(
            json.dumps({"site": "plant-1", "gateway": "gw-01", "key": gateway_key.public.text})
        )
        ledger = open_ledger(folder / "ledger.db")
        enrol(ledger, enrolment, now_ms=time.time_ns() // 1_000_000)
        ledger.close()
        broker_url = f"mqtt://127.0.0.1:{self.broker_port}"
        self.launch(
            "ledger", "agent.cli.main", "ledger", "run",
            "--db", str(folder / "ledger.db"), "--key-file", str(folder / "ledger.key"),
            "--broker", broker_url,
        )  # fmt: skip
        self.await_file("plant", folder / "site.toml")
        self.launch(
            "gateway", "agent.cli.main", "run",
            "--config", str(folder / "site.toml"), "--port-file", str(folder / "page.port"),
            "--drain-s", str(DRAIN_S),
        )  # fmt: skip
        self.await_file("gateway", folder / "page.port")
        self.page = int((folder / "page.port").read_text())

    def await_file(self, name: str, file: Path) -> None:
        """Wait for what a process writes when it is ready; its log tells why it is not."""
        limit = time.monotonic() + START_LIMIT_S
        while not file.exists():
            if self.processes[name].poll() is not None or time.monotonic() > limit:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                raise SystemExit(f"demo: {name} did not start:\n{log[-2000:]}")
            time.sleep(0.02)

    def watch(self, seconds: float | None) -> None:
        """Wait for the end; a process that ends by itself ends the demo."""
        limit = time.monotonic() + seconds if seconds is not None else None
        while limit is None or time.monotonic() < limit:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise SystemExit(f"demo: {name} ended; see {self.folder / name}.log")
            time.sleep(0.1)

    def stop(self, name: str, limit_s: float) -> None:
        """End one process politely, then not."""
        process = self.processes.pop(name, None)
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        """The gateway drains first, so that the ledger still answers it."""
        for name, limit_s in (("gateway", DRAIN_S + 15), ("plant", 10), ("ledger", 10)):
            self.stop(name, limit_s)
        self.stop("broker", 5)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def page_port() -> int:
    """8600 if it is free, else any."""
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", 8600))
        except OSError:
            return 0
        return 8600


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, help="poll so long, then stop and compare")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON line")
    parser.add_argument("--fault", action="append", default=[], help="e.g. dead:em-reactor@20+15")
    parser.add_argument("--folder", type=Path, default=HOUSE / "var" / "demo")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    began = time.monotonic()
    demo = Demo(options.folder, page_port(), options.fault)
    try:
        demo.start()
        print(
            f"page: http://127.0.0.1:{demo.page}  (started in {time.monotonic() - began:.1f} s; "
            f"logs and databases in {options.folder})",
            file=sys.stderr if options.json else sys.stdout,
            flush=True,
        )
        demo.watch(options.seconds)
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        demo.stop_all()
    from demo_summary import summarise

    summary = summarise(options.folder, seed=SEED, window_s=WINDOW_S, seconds=options.seconds)
    if options.json:
        print(json.dumps(summary))
    else:
        print_summary(summary)
    sys.exit(0 if summary["ok"] else 1)


def print_summary(summary: dict) -> None:  # type: ignore[type-arg]
    """The summary for people."""
    print(
        f"{summary['readings']} readings ({summary['good_share']:.4%} good), "
        f"{summary['windows']} windows, kernels {summary['kernels']}"
    )
    print(
        f"{summary['batches_sent']} batches sent, {summary['batches_receipted']} receipted, "
        f"{summary['mismatches']} mismatches between gateway and ledger"
    )
    print(f"{'device':14}{'gateway kg':>12}{'ledger kg':>12}{'plant kg':>12}{'bound kg':>10}")
    for name, device in summary["devices"].items():
        print(
            f"{name:14}{device['gateway_kgco2e']:12.3f}{device['ledger_kgco2e']:12.3f}"
            f"{device['truth_kgco2e']:12.3f}{device['bound_kgco2e']:10.3f}"
        )
    print("ok" if summary["ok"] else "NOT ok: " + "; ".join(summary["faults"]))


if __name__ == "__main__":
    main()
