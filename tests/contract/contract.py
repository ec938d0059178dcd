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
import contract_run  # noqa: E402, F401


def validator(name: str) -> Draft202012Validator:
    """The validator of one committed schema."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


VALIDATORS = {path.name.split(".")[0]: validator(path.name.split(".")[0])
              for path in sorted(SCHEMAS.glob("*.json"))}  # fmt: skip


def faults(name: str, value: Any) -> list[str]:
    """What the committed schema of that name says against a value."""
    return [f"{name}: {error.json_path}: {error.message}" for error in
            VALIDATORS[name].iter_errors(value)]  # fmt: skip


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
