"""Writes the contract for central systems, unless it would break a reader of v1.

Usage: scripts/contract. The files that are there are what has been published: what they promise
must still hold. Exit code 1 names what does not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HOUSE), str(HOUSE / "scripts")]

from contract_asyncapi import asyncapi_text  # noqa: E402
from contract_messages import message_schemas  # noqa: E402
from contract_records import ContractError, Schema, record_schemas  # noqa: E402

FOLDER = Path("config", "schemas")
ASYNCAPI = Path("docs", "asyncapi.yaml")
BOUNDS = {"minimum": 1, "minItems": 1, "minLength": 1, "maximum": -1, "maxItems": -1}
WORDS = {"title", "description", "$id", "$schema"}


def schemas() -> dict[str, Schema]:
    """Every schema by its name."""
    return {**message_schemas(), **record_schemas()}


def files() -> dict[Path, str]:
    """Path in the repository and text of every file of the contract."""
    made = {
        FOLDER / f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas().items()
    }
    return {**made, ASYNCAPI: asyncapi_text(sorted(schemas()))}


def published() -> dict[str, Schema]:
    """The schemas that are committed."""
    return {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8"))
        for path in sorted((HOUSE / FOLDER).glob("*.schema.json"))
    }


def breaks(before: dict[str, Schema], after: dict[str, Schema]) -> list[str]:
    """What readers of the schemas before could not read, one line each.

    Whatever is written by the schemas after must be valid by those before: kinds, members and
    columns may be added (columns at the end), nothing may be taken away, moved or widened.
    """
    found = [f"{name}: taken away" for name in sorted(before.keys() - after.keys())]
    for name in sorted(before.keys() & after.keys()):
        found += _wider(before[name], after[name], name)
    return found


def _wider(before: Any, after: Any, where: str) -> Iterator[str]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            yield f"{where}: was {before!r}"
        return
    for key in before.keys() - WORDS:
        place = f"{where}/{key}"
        if key not in after:
            yield f"{place}: taken away"
        elif key in ("required", "type", "enum"):
            yield from _wider_set(key, before[key], after[key], place)
        elif key in BOUNDS:
            if (after[key] - before[key]) * BOUNDS[key] < 0:
                yield f"{place}: was {before[key]}"
        elif key in ("prefixItems", "oneOf"):
            if len(after[key]) < len(before[key]):
                yield f"{place}: {len(after[key])} where {len(before[key])} were"
            for number, (old, new) in enumerate(zip(before[key], after[key], strict=False)):
                title = old.get("title", number)
                if title != new.get("title", number):
                    yield f"{place}/{title}: is {new.get('title')} now"
                yield from _wider(old, new, f"{place}/{title}")
        else:
            yield from _wider(before[key], after[key], place)


def _wider_set(key: str, before: Any, after: Any, place: str) -> Iterator[str]:
    old, new = ({*one} if isinstance(one, list) else {one} for one in (before, after))
    lost = old - new if key == "required" else new - old
    if lost:
        verb = "taken away" if key == "required" else "added"
        yield f"{place}: {verb}: {', '.join(sorted(map(str, lost)))}"


def main() -> int:
    try:
        broken = breaks(published(), schemas())
        made = files()
    except ContractError as fault:
        print(f"contract: {fault}", file=sys.stderr)
        return 1
    if broken:
        print("contract: readers of v1 could not read this:", *broken, sep="\n  ", file=sys.stderr)
        return 1
    (HOUSE / FOLDER).mkdir(exist_ok=True)
    for path, text in made.items():
        (HOUSE / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
