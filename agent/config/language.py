"""Texts for people in every language the product speaks; shared by pages, CLI and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import TanshuError

LANGUAGES: tuple[str, ...] = ("zh-CN", "en")


class LanguageError(TanshuError):
    """A language file is missing or broken, or a text is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The texts of one language; call it with a key and the values of its placeholders."""

    code: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        try:
            text = self.texts[key]
        except KeyError:
            raise LanguageError(
                f"no text for the key {key!r}",
                where=f"config/i18n/{self.code}.json",
                hint="add the key to every language file",
            ) from None
        return text.format(**values) if values else text

    def named(self, group: str, code: str) -> str:
        """The label of a code (e.g. of an event), or the code itself where it has none."""
        return self.texts.get(f"{group}.{code}", code)


def language_folder() -> Path:
    """Where the language files are: beside the package when installed, else in the clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_config" / "i18n"
    return installed if installed.is_dir() else package.parent / "config" / "i18n"


def load_language(code: str, folder: Path | None = None) -> Language:
    """Read one language file.

    Raises LanguageError if the language is unknown, or its file is missing or not a flat table
    of texts.
    """
    if code not in LANGUAGES:
        raise LanguageError(
            f"unknown language {code!r}", where="language", hint=f"one of {', '.join(LANGUAGES)}"
        )
    path = (folder or language_folder()) / f"{code}.json"
    try:
        texts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LanguageError(
            f"cannot be read: {error}", where=str(path), hint="install the package again"
        ) from error
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise LanguageError(
            "is not a flat table of texts", where=str(path), hint="install the package again"
        )
    return Language(code=code, texts=texts)
