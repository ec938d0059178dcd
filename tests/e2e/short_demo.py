"""A shortened run of the demo, as a user starts it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.plant_site import ROOT


@dataclass(frozen=True)
class DemoRun:
    """What a run of the demo left behind."""

    folder: Path
    done: subprocess.CompletedProcess[str]


def run_demo(folder: Path, _broker: str) -> DemoRun:
    """Let the demo poll for half a minute in a folder of its own; it brings its own broker."""
    command = [sys.executable, str(ROOT / "scripts" / "demo_run.py")]
    command += ["--seconds", "30", "--json", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    return DemoRun(folder, done)
