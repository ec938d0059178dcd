"""Collecting faults of configuration files, so that all of them show at once."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from agent.core.errors import Fault

_NAMED = 3  # how many words a hint proposes


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
    """A hint that names the closest known words, or else all of them."""
    words = sorted(set(known))
    everything = otherwise or ("known: " + ", ".join(words) if words else "none is defined")
    close = _beginning_with(word, words) or _resembling(word, words)
    if not close:
        return everything
    named = " or ".join(f'"{one}"' for one in close)
    # a Chinese name of two characters resembles many
    return f"did you mean {named}?" + ("" if word.isascii() else f" {everything}")


def _beginning_with(word: str, words: list[str]) -> list[str]:
    """Words of which only the beginning was written: anaerobic for anaerobic-reactor."""
    found = [one for one in words if one.casefold().startswith(word.strip().casefold())]
    return found if len(word.strip()) > 1 and len(found) <= _NAMED else []


def _resembling(word: str, words: list[str]) -> list[str]:
    """The word that is spelt most like it; of the short Chinese names all that are."""
    if word.isascii():
        return get_close_matches(word, words, n=1, cutoff=0.6)
    return get_close_matches(word, words, n=_NAMED, cutoff=0.5)


def render_faults(faults: Iterable[Fault]) -> str:
    """One line per fault, what must be repaired first, then warnings; empty without faults."""
    ordered = sorted(faults, key=lambda fault: fault.warning)
    return "\n".join(f"{'warning: ' if fault.warning else ''}{fault}" for fault in ordered)
