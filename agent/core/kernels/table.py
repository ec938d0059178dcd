"""The one table of kernels: name, plain function, compiled signature, arguments it fills."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.core.kernels import analogues, arithmetic, counting, cutting, filling, quality

_TYPES: dict[str, np.dtype[Any]] = {
    "f8": np.dtype(np.float64),
    "i8": np.dtype(np.int64),
    "u1": np.dtype(np.uint8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One loop over arrays; ``filled`` are the positions of the arguments that it writes."""

    name: str
    function: Callable[..., int]
    arguments: tuple[str, ...]
    filled: tuple[int, ...]

    @property
    def signature(self) -> str:
        """The signature in numba's notation: contiguous arrays in, a 64-bit count out."""
        return f"i8({', '.join(f'{kind}[::1]' for kind in self.arguments)})"

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The element type of each argument."""
        return tuple(_TYPES[kind] for kind in self.arguments)


def _kernel(function: Callable[..., int], arguments: str, filled: tuple[int, ...]) -> Kernel:
    return Kernel(
        name=function.__name__,
        function=function,
        arguments=tuple(arguments.split()),
        filled=filled,
    )


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel(counting.classify_counter, "i8 f8 f8 f8 i8 u1 f8 i8", (3, 4, 5, 6, 7)),
        _kernel(counting.integrate_rate, "i8 f8 f8 f8 i8 u1 f8 i8", (3, 4, 5, 6, 7)),
        _kernel(cutting.place_boundaries, "i8 f8 i8 i8 i8 i8 u1 f8", (5, 6, 7)),
        _kernel(cutting.covered_ms, "i8 i8 i8 i8 i8", (4,)),
        _kernel(cutting.step_means, "i8 f8 i8 i8 f8 i8", (4, 5)),
        _kernel(arithmetic.emissions, "f8 f8 f8", (2,)),
        _kernel(analogues.block_distances, "f8 i8 i8 i8 f8 f8 i8 f8", (7,)),
        _kernel(filling.fill_lines, "f8 i8 f8 u1", (2, 3)),
        _kernel(filling.exponential_means, "f8 f8 f8", (2,)),
        _kernel(quality.hampel, "f8 f8 f8 u1 f8", (2, 3, 4)),
        _kernel(quality.find_spikes, "f8 f8 f8 f8 i8 u1", (2, 3, 4, 5)),
    )
}


def fingerprint() -> int:
    """Checksum of the kernels' sources: tells an extension built from other sources."""
    checksum = 0
    for module in (
        counting,
        cutting,
        arithmetic,
        analogues,
        filling,
        quality,
        sys.modules[__name__],
    ):
        checksum = zlib.crc32(Path(str(module.__file__)).read_bytes(), checksum)
    return checksum
