"""A short-lived process that compiles one kernel, runs it once and ends: ``… KERNEL``.

Arrays come in on standard input and go out on standard output in numpy's own format, never pickled.
Only this process imports numba; the resident gateway must not carry its 140 MB.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import numpy as np

from agent.core.kernels.arrays import AnyArray
from agent.core.kernels.table import KERNELS


def write_arrays(stream: BinaryIO, arrays: Iterable[AnyArray]) -> None:
    """Write arrays one after the other."""
    for array in arrays:
        np.save(stream, array, allow_pickle=False)


def read_arrays(data: bytes, count: int) -> list[AnyArray]:
    """Read so many arrays; the copies are writable and contiguous."""
    stream = io.BytesIO(data)
    return [np.load(stream, allow_pickle=False) for _ in range(count)]


def main(arguments: Sequence[str]) -> int:
    """Run one kernel: its arrays in, its count and the arrays it fills out."""
    kernel = KERNELS[arguments[0]]
    arrays = read_arrays(sys.stdin.buffer.read(), len(kernel.arguments))
    warnings.simplefilter("ignore")
    import numba

    compiled = numba.njit([kernel.signature])(kernel.function)
    count = np.array([compiled(*arrays)], np.int64)
    write_arrays(sys.stdout.buffer, (count, *(arrays[position] for position in kernel.filled)))
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
