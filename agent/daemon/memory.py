"""Memory that is free goes back to the system: a gateway runs for years on a small box."""

from __future__ import annotations

import ctypes


def give_back_memory() -> None:
    """Have the C library return free pages; one that cannot (musl) keeps them.

    Compiling a page's template takes some MB for a moment, between pieces that stay: without this
    they would count as resident for good.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
