"""Collecting faults of configuration files, so that all of them show at once."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from agent.core.errors import Fault


class Faults:
    """The faults found so far in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Fault] = []

    def add(
        self, path: str, what: str, hint: str, *, fatal: bool = False, warning: bool = False
    ) -> None:
        """Note one fault; ``path`` is its TOML path. What was written may hold any character."""
        self._found.append(
            Fault(
                file=self.file,
                path=_one_line(path),
                what=_one_line(what),
                hint=_one_line(hint),
                fatal=fatal,
                warning=warning,
            )
        )

    def extend(self, faults: Iterable[Fault]) -> None:
        self._found.extend(faults)

    @property
    def found(self) -> tuple[Fault, ...]:
        return tuple(self._found)

    @property
    def errors(self) -> tuple[Fault, ...]:
        """Everything that must be repaired, without the warnings."""
        return tuple(fault for fault in self._found if not fault.warning)

    @property
    def fatal(self) -> bool:
        return any(fault.fatal for fault in self._found)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def nearest(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint that names the closest known word, or else all of them."""
    words = sorted(set(known))
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    if otherwise:
        return otherwise
    return "known: " + ", ".join(words) if words else "none is defined"


def render_faults(faults: Iterable[Fault]) -> str:
    """One line per fault, what must be repaired first, then warnings; empty without faults."""
    ordered = sorted(faults, key=lambda fault: fault.warning)
    return "\n".join(f"{'warning: ' if fault.warning else ''}{fault}" for fault in ordered)
