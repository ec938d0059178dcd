"""Shared by the tests of the contract: the generator, the committed schemas, the golden lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
SCHEMAS = ROOT / "config" / "schemas"

sys.path.insert(0, str(ROOT / "scripts"))
import contract_asyncapi  # noqa: E402, F401
import contract_records  # noqa: E402, F401
import contract_run  # noqa: E402


def validator(name: str) -> Draft202012Validator:
    """The validator of one committed schema."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


VALIDATORS = {name: validator(name) for name in sorted(contract_run.published())}


def faults(name: str, value: Any) -> list[str]:
    """What the committed schema of that name says against a value."""
    found = VALIDATORS[name].iter_errors(value)
    return [f"{name}: {error.json_path}: {error.message}" for error in found]


def faults_of_batch(data: bytes) -> list[str]:
    """What the schemas say against the lines of one batch or several."""
    found = []
    for line in data.splitlines():
        value = json.loads(line)
        found += faults(schema_of(value), value)
    return found


def schema_of(line: Any) -> str:
    """Which schema a line of a batch belongs to."""
    if isinstance(line, list):
        return f"record-{line[0]}"
    return "signature" if "sig" in line else "batch-header"


def golden_lines() -> Iterator[tuple[str, Any]]:
    """Schema name and value of every line of the golden batches."""
    for path in sorted(GOLDEN.glob("batch-*.txt")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            value = json.loads(line)
            yield schema_of(value), value


def undescribed(name: str, value: Any) -> Iterator[str]:
    """Members of a message that its schema does not name."""
    return _undescribed(VALIDATORS[name].schema, value, name)


def _undescribed(schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for member in value:
            yield from _undescribed(schema.get("items", {}), member, where)
    elif isinstance(value, dict):
        if "oneOf" in schema:
            schema = next(one for one in schema["oneOf"] if set(one["properties"]) == set(value))
        for key, member in value.items():
            if key in schema.get("properties", {}):
                yield from _undescribed(schema["properties"][key], member, f"{where}.{key}")
            elif not isinstance(schema.get("additionalProperties"), dict):
                yield f"{where}.{key}"
