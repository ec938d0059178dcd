"""Kernels over many rows: compiled in this process if that is possible, else in a worker.

Without the compiled extension a loop over a year of readings would keep the gateway busy for
minutes; compiling it in this process would cost 140 MB for ever. The three ways give results that
are identical to the bit.
"""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Final

import structlog

from agent.core import kernels
from agent.core.kernels.arrays import AnyArray
from agent.pipeline.jit_worker import read_arrays, write_arrays

SMALL_ROWS: Final = 100_000
WORKER_TIMEOUT_S: Final = 600.0

_log = structlog.get_logger(__name__)


def run(name: str, *arrays: AnyArray) -> int:
    """Run a kernel on arrays of any size; fills those that the kernel fills, returns its count.

    May block for seconds: call it from a thread or a command, not from the event loop.
    """
    rows = max(len(array) for array in arrays)
    if kernels.MODE == "aot" or rows < SMALL_ROWS:
        return kernels.run(name, *arrays)
    count = run_in_worker(name, *arrays)
    return kernels.run_plain(name, *arrays) if count is None else count


def run_in_worker(name: str, *arrays: AnyArray) -> int | None:
    """Run a kernel in a process of its own; None where that cannot compile (no numba, no W^X)."""
    kernel = kernels.KERNELS[name]
    kernels.check(kernel, arrays)
    request = io.BytesIO()
    write_arrays(request, arrays)
    command = [sys.executable, "-m", "agent.pipeline.jit_worker", name]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=request.getbuffer(),
            capture_output=True,
            timeout=WORKER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("kernels.worker_failed", kernel=name, error=str(error))
        return None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        _log.warning("kernels.worker_failed", kernel=name, error=lines[-1] if lines else "")
        return None
    count, *filled = read_arrays(done.stdout, 1 + len(kernel.filled))
    for position, result in zip(kernel.filled, filled, strict=True):
        arrays[position][:] = result
    return int(count[0])
