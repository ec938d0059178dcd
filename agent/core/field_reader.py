"""Single fields as a person wrote them: text, words, numbers; what cannot be used is noted."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

from agent.core.activity import Evidence
from agent.core.activity_checks import Remark
from agent.core.activity_words import RETIRE_WORDS, plain

MOST_CHARACTERS = 400
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:e[+-]?\d+)?", re.I)
_SHA256 = re.compile(r"[0-9a-f]{64}")

W = TypeVar("W")


class FieldReader:
    """Takes fields one by one and notes what cannot be used."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields
        self.remarks: list[Remark] = []

    def add(self, field: str, what: str, hint: str) -> None:
        self.remarks.append(Remark(field=field, what=what, hint=hint))

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            self.add(name, "is not text", "write text")
            return ""
        text = plain("" if value is None else str(value))
        if not text and required:
            self.add(name, "missing", f"write the {name}")
        elif len(text) > MOST_CHARACTERS:
            self.add(name, f"has {len(text)} characters", f"at most {MOST_CHARACTERS}")
        elif any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text):
            self.add(name, "holds control characters", "write it on one line")
        else:
            return text
        return ""

    def word(self, name: str, words: Mapping[str, W], *, required: bool = False) -> W | None:
        before = len(self.remarks)
        text = self.text(name, required=required).casefold()
        if not text or len(self.remarks) > before:
            return None
        if text not in words:
            self.add(name, f'"{shortened(text)}" is unknown', near(text, words))
            return None
        return words[text]

    def number(self, name: str, *, percent: bool = False) -> float | None:
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        number = number_of(value, percent=percent)
        if number is None:
            self.add(name, f'"{shortened(value)}" is not a number', "write digits such as 1234.5")
        return number

    def retires(self, name: str) -> bool:
        """Whether a value is withdrawn instead of given."""
        value = self._fields.get(name, "")
        return value is None or (isinstance(value, str) and plain(value).casefold() in RETIRE_WORDS)

    def is_empty(self, name: str) -> bool:
        """Whether nothing was written."""
        return self._fields.get(name) in (None, "")

    def evidence(self) -> Evidence | None:
        name, digest = self.text("evidence_name"), self.text("evidence_sha256").lower()
        if not digest:
            if name:
                self.add("evidence_sha256", "missing", "the SHA-256 of the file in hex")
            return None
        if not _SHA256.fullmatch(digest):
            self.add("evidence_sha256", "is not a SHA-256", "64 hex digits")
            return None
        return Evidence(name=name or digest[:12], sha256=digest)

    def unknown(self, known: Collection[str]) -> None:
        """Note every field that does not belong to the entry."""
        for name in self._fields:
            if name not in known:
                self.add(shortened(name), "unknown field", near(name, known))


def number_of(value: object, *, percent: bool) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    if not isinstance(value, str):
        return None
    text = plain(value).replace(" ", "").replace("−", "-")
    if percent and text.endswith("%"):
        share = number_of(text[:-1], percent=False)
        return None if share is None else share / 100
    if not _NUMBER.fullmatch(text) or not any(character.isdigit() for character in text):
        return None
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def near(word: str, known: Collection[str] | Mapping[str, object]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(known) if known else "none is defined"


def shortened(value: object) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= 40 else text[:39] + "…"
