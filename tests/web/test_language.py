"""Every text exists in every language, is used, and takes the same values."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from string import Formatter

import pytest

from agent.config.factor_rows import FactorSet
from agent.config.language import LANGUAGES, LanguageError, language_folder, load_language
from agent.config.sections import Device, Source, Target
from agent.core.activity import TREATMENTS, ActivityKind, Origin
from agent.core.adjustment import Reason
from agent.core.balance import Verdict
from agent.core.checks.finding import FindingCode
from agent.core.model import Provenance, Quality, Severity, StreamKind
from agent.core.report.model import Decision, Department, SignOff
from agent.core.report.rounding import Line
from agent.web.factor_view import PackState
from agent.web.view import BusState, DeviceState, ProblemCode, TargetState

ROOT = Path(__file__).resolve().parents[2]
STATES = {
    "quality": Quality,
    "provenance": Provenance,
    "severity": Severity,
    "stream": StreamKind,
    "state": DeviceState,
    "bus": BusState,
    "target": TargetState,
    "finding": FindingCode,
    "settle": FindingCode,
    "problem": ProblemCode,
    "problem_hint": ProblemCode,
    "signoff": SignOff,
    "department": Department,
    "decision": Decision,
    "line": Line,
    "activity": ActivityKind,
    "origin": Origin,
    "pack": PackState,
    "adjusted": Reason,
    "verdict": Verdict,
}
OPEN_GROUPS = (
    "event.",
    "detail.",
    "quantity.",
    "method.",
    "cited.",
    "figure.",
    "kind.",
)  # looked up by codes that drivers may add


def texts(code: str) -> dict[str, str]:
    loaded: dict[str, str] = json.loads(
        (language_folder() / f"{code}.json").read_text(encoding="utf-8")
    )
    return loaded


def choices(section: type, name: str) -> tuple[str, ...]:
    from typing import get_args, get_type_hints

    return get_args(get_type_hints(section)[name])


def grouped_keys() -> set[str]:
    keys = {f"{group}.{member}" for group, kind in STATES.items() for member in kind}
    keys |= {f"stage.{stage}" for stage in choices(Device, "stage")}
    keys |= {f"kind.{kind}" for kind in choices(Source, "kind")}
    keys |= {f"treatment.{treatment}" for treatment in TREATMENTS}
    keys |= {f"status.{status}" for status in (*choices(FactorSet, "status"), "unknown")}
    return keys | {f"confirm.{way}" for way in choices(Target, "confirm")}


def test_languages_have_the_same_keys_and_placeholders() -> None:
    chinese, english = texts("zh-CN"), texts("en")
    assert list(chinese) == list(english) == sorted(chinese)
    for key, text in chinese.items():
        fields = {field for _, field, _, _ in Formatter().parse(text) if field}
        other = {field for _, field, _, _ in Formatter().parse(english[key]) if field}
        assert fields == other, key
        assert text.strip()
        assert english[key].strip()


def test_no_chinese_in_english_and_no_english_sentence_in_chinese() -> None:
    assert [k for k, text in texts("en").items() if re.search(r"[\u4e00-\u9fff]", text)] == []
    # names of standards and of the MQTT message are the same in both languages
    bare = {
        key: re.sub(r"\{\w+\}|PUBACK|P95|ms|CO₂e?|CH₄|kgce|tce|kg|GB/T", "", text)
        for key, text in texts("zh-CN").items()
    }
    assert [key for key, text in bare.items() if re.search(r"[A-Za-z]{2}", text)] == []


def test_every_key_is_used_and_every_used_key_exists() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("agent", "scripts")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html"} and path.is_file()
    ]
    written = set(re.findall(r"""["']([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)["']""", "\n".join(sources)))
    keys = set(texts("en"))
    assert grouped_keys() <= keys
    unused = {key for key in keys - written - grouped_keys() if not key.startswith(OPEN_GROUPS)}
    assert unused == set()
    pages = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "agent" / "web").rglob("*")
        if path.suffix in {".py", ".html"}
    )
    called = set(re.findall(r"""(?:\bt|\btext)\(\s*["']([a-z0-9_.-]+)["']\s*[,)]""", pages))
    assert called - keys == set()


def test_details_are_of_events_that_have_a_name() -> None:
    keys = set(texts("en"))
    details = {key.removeprefix("detail.") for key in keys if key.startswith("detail.")}
    assert {code for code in details if f"event.{code}" not in keys} == set()


def test_every_quantity_of_the_templates_has_a_name() -> None:
    templates = [
        tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "config" / "templates").rglob("*.toml"))
    ]
    written = "\n".join(json.dumps(template) for template in templates)
    quantities = set(re.findall(r'"quantity": "([^"]+)"', written))
    assert quantities
    assert {q for q in quantities if f"quantity.{q}" not in texts("en")} == set()


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_text_takes_its_values(code: str) -> None:
    language = load_language(code)
    assert "18" in language("age.minutes", n=18)
    assert language.named("event", "vendor.special") == "vendor.special"
    with pytest.raises(LanguageError, match="no text for the key"):
        language("no.such.key")


def test_broken_language_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LanguageError, match="unknown language"):
        load_language("fr")
    with pytest.raises(LanguageError, match="cannot be read"):
        load_language("en", tmp_path)
    (tmp_path / "en.json").write_text('{"a": {"b": "c"}}', encoding="utf-8")
    with pytest.raises(LanguageError, match="not a flat table"):
        load_language("en", tmp_path)
