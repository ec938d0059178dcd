"""A gateway gives back what it needed for a moment."""

from __future__ import annotations

import platform
import subprocess
import sys

from agent.daemon.memory import give_back_memory

FRAGMENTED = """
from agent.daemon.memory import give_back_memory

def resident_kb():
    return int(open("/proc/self/statm").read().split()[1]) * 4

pieces = [bytearray(b"x" * 64_000) for _ in range(800)]
kept = pieces[::40]
del pieces
before = resident_kb()
give_back_memory()
print(before - resident_kb())
"""


def test_free_memory_between_pieces_that_stay_goes_back() -> None:
    give_back_memory()
    if platform.libc_ver()[0] != "glibc":
        return
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) > 20_000
