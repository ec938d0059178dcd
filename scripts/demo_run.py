"""The main job on the virtual plant: meters, gateway, broker, ledger and page, as real processes.

Everything lives in var/demo of the clone and is made anew at each start. It ends after --seconds
or at Ctrl-C, SIGTERM or SIGHUP, and compares three books: the gateway's, the ledger's and the
plant's own.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HOUSE), str(HOUSE / "scripts")]

from demo_folder import FolderRefusedError, claim  # noqa: E402

DEFAULT_FOLDER = HOUSE / "var" / "demo"
PAGE_PORT = 8600
WINDOW_S = 5
DRAIN_S = 15
START_LIMIT_S = 60
# In the order of stopping: the gateway drains first, so that the ledger still answers it.
STOP_LIMITS_S = {"gateway": DRAIN_S + 15, "plant": 10, "ledger": 10, "broker": 5}
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


# Ends the processes whose numbers it read once the demo is gone, however the demo went.
GUARD = 'pids=; while read -r pid; do pids="$pids $pid"; done; [ -z "$pids" ] || kill $pids'


class StoppedError(Exception):
    """Somebody asked the demo to end."""


class StopRequest:
    """Notes that a signal asked for the end; the second one changes nothing."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take the signals; SIGINT also if a shell's background job inherited it as ignored."""
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGTERM, self._note)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to outlive it
            signal.signal(signal.SIGHUP, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def check(self) -> None:
        """End the demo here if somebody asked for it."""
        if self.asked:
            raise StoppedError


class Demo:
    """The processes of one run, started in order and ended by their own handles."""

    def __init__(self, folder: Path, page: int, faults: Sequence[str], stop: StopRequest) -> None:
        self.folder = folder
        self.stop_request = stop
        self.page = page
        self.faults = list(faults)
        self.broker_port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True
        )

    def launch(self, name: str, *words: str) -> None:
        """Start one process with a log file, out of reach of the terminal's Ctrl-C."""
        self.stop_request.check()
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=HOUSE,
                stdin=subprocess.PIPE if name == "broker" else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process
        assert self.guard.stdin is not None
        self.guard.stdin.write(b"%d\n" % process.pid)
        self.guard.stdin.flush()

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
            self.stop_request.check()
            if self.processes[name].poll() is not None or time.monotonic() > limit:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                raise SystemExit(f"demo: {name} did not start:\n{log[-2000:]}")
            time.sleep(0.02)

    def watch(self, seconds: float | None) -> None:
        """Wait for the end; a process that ends by itself ends the demo."""
        limit = time.monotonic() + seconds if seconds is not None else None
        while limit is None or time.monotonic() < limit:
            self.stop_request.check()
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
        """End every process; the guard goes first, before a number it knows can be used again."""
        self.guard.kill()
        self.guard.wait()
        for name, limit_s in STOP_LIMITS_S.items():
            self.stop(name, limit_s)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def page_port(preferred: int = PAGE_PORT) -> int:
    """The usual port of the page if it is free, else any free one."""
    with socket.socket() as listener:
        # As the page's own listener: connections of an earlier run that linger are no hindrance.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
        return preferred


def duration_s(text: str) -> float:
    """A time to run, in seconds, longer than none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a run."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=duration_s, help="poll so long, then stop and compare")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON line")
    parser.add_argument("--fault", action="append", default=[], help="e.g. dead:em-reactor@20+15")
    parser.add_argument(
        "--folder",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where logs and databases go (var/demo unless told): new, empty, or left by an "
        "earlier demo, which is then EMPTIED at the start; any other folder is refused",
    )
    return parser.parse_args(words)


def main() -> None:
    options = parse()
    folder: Path = options.folder.resolve()
    try:
        marker = claim(folder, earlier=folder == DEFAULT_FOLDER.resolve())
    except FolderRefusedError as refusal:
        print(f"demo: {refusal}", file=sys.stderr)
        sys.exit(2)
    with marker:
        summary = run(folder, options)
    if options.json:
        print(json.dumps(summary))
    else:
        print_summary(summary)
    sys.exit(0 if summary["ok"] else 1)


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything from the first process to the comparison of the books."""
    began = time.monotonic()
    stop = StopRequest()
    stop.listen()
    demo = Demo(folder, page_port(), options.fault, stop)
    try:
        demo.start()
        print(
            f"page: http://127.0.0.1:{demo.page}  (started in {time.monotonic() - began:.1f} s; "
            f"logs and databases in {folder})",
            file=sys.stderr if options.json else sys.stdout,
            flush=True,
        )
        demo.watch(options.seconds)
    except StoppedError:
        print(f"stopping (up to {sum(STOP_LIMITS_S.values())} s)", file=sys.stderr, flush=True)
    finally:
        demo.stop_all()
    from demo_summary import summarise

    return summarise(folder, seed=SEED, window_s=WINDOW_S, seconds=options.seconds)


def print_summary(summary: dict[str, Any]) -> None:
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
