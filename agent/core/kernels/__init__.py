"""Loops over arrays: compiled ahead of time where that was possible, else as plain Python.

`run` gives the same result to the bit in both ways. Nothing here imports numba; what is too much
for plain Python goes to a short-lived worker (`agent.pipeline.bulk`).
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Final, Literal

from agent.core.kernels.arrays import AnyArray
from agent.core.kernels.table import KERNELS, Kernel, fingerprint

__all__ = ["KERNELS", "MODE", "Kernel", "check", "run", "run_plain"]


def _load_compiled() -> ModuleType | None:
    try:
        module = importlib.import_module("agent.core.kernels._compiled")
    except ImportError:
        return None
    return module if module.source_fingerprint() == fingerprint() else None


_compiled = _load_compiled()
MODE: Final[Literal["aot", "python"]] = "python" if _compiled is None else "aot"


def check(kernel: Kernel, arrays: tuple[AnyArray, ...]) -> None:
    """Refuse arrays that compiled code would misread: it trusts their layout blindly."""
    if len(arrays) != len(kernel.arguments):
        raise TypeError(f"{kernel.name} takes {len(kernel.arguments)} arrays, not {len(arrays)}")
    for position, (array, dtype) in enumerate(zip(arrays, kernel.dtypes, strict=True)):
        if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
            raise TypeError(
                f"{kernel.name}: argument {position} must be a contiguous vector of {dtype}"
            )
        if position in kernel.filled and not array.flags.writeable:
            raise TypeError(f"{kernel.name}: argument {position} is filled, but is read-only")


def run_plain(name: str, *arrays: AnyArray) -> int:
    """Run a kernel as plain Python; memory views spare the cost of numpy scalars."""
    kernel = KERNELS[name]
    check(kernel, arrays)
    return kernel.function(*(array.data for array in arrays))


def run(name: str, *arrays: AnyArray) -> int:
    """Run a kernel in this process; the arrays named in ``KERNELS[name].filled`` are written."""
    if _compiled is None:
        return run_plain(name, *arrays)
    check(KERNELS[name], arrays)
    return int(getattr(_compiled, name)(*arrays))
