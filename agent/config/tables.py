"""TOML tables to typed records, field by field, so that every fault of a table shows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect, structs

from agent.config.faults import Faults, nearest

S = TypeVar("S", bound=msgspec.Struct)

_SHOWN_CHARACTERS = 60


def read_table(
    kind: type[S], table: object, path: str, faults: Faults, *, fatal: bool = False
) -> S | None:
    """``table`` as a ``kind``; None, with every fault noted, if any field cannot be used."""
    values = read_fields(kind, table, path, faults, fatal=fatal)
    return None if values is None else kind(**values)


def read_fields(
    kind: type[S],
    table: object,
    path: str,
    faults: Faults,
    *,
    fatal: bool = False,
    keep_good: bool = False,
) -> dict[str, Any] | None:
    """The converted fields of ``table``; None if any is faulty, unless ``keep_good``."""
    if not isinstance(table, Mapping):
        hint = f"write [{path}]" if bare(path) == path else "write a table { key = value, … }"
        faults.add(path, f"{show(table)} is not a table", hint, fatal=fatal)
        return {} if keep_good else None
    before = len(faults.found)
    fields = _fields(kind)
    for key in table:
        if key not in fields:
            faults.add(f"{path}.{bare(key)}", "unknown key", nearest(key, fields), fatal=fatal)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            converted = read_value(field.type, table[name], f"{path}.{name}", faults, fatal=fatal)
            if converted is not None:
                values[field.name] = converted
        elif field.required:
            wanted = describe(inspect.type_info(field.type))
            faults.add(f"{path}.{name}", "missing", f"write {wanted}", fatal=fatal)
    if len(faults.found) > before and not keep_good:
        return None
    return values


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, structs.FieldInfo]:
    return {field.encode_name: field for field in structs.fields(kind)}


def read_value(
    wanted: Any, value: object, path: str, faults: Faults, *, fatal: bool = False
) -> Any:
    """``value`` as ``wanted``; None with a fault if it cannot be."""
    info = inspect.type_info(wanted)
    struct = _struct_of(info)
    if struct is not None:
        return read_table(struct, value, path, faults, fatal=fatal)
    if isinstance(info, inspect.VarTupleType):
        return _read_array(info, value, path, faults, fatal=fatal)
    try:
        if any(not math.isfinite(number) for number in _floats(value)):
            raise msgspec.ValidationError("not finite")
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        faults.add(path, f"{show(value)} cannot be used", _advice(info, value), fatal=fatal)
        return None


def show(value: object) -> str:
    """A value as a person would write it in TOML, shortened."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Mapping):
        text = "a table"
    elif isinstance(value, list):
        text = "an array"
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def bare(key: str) -> str:
    """A key as it stands in a TOML path: quoted where TOML wants quotes."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else show(key)


def describe(info: inspect.Type) -> str:
    """What a field takes, in words."""
    if isinstance(info, inspect.UnionType):
        parts = [describe(part) for part in info.types if not isinstance(part, inspect.NoneType)]
        return " or ".join(parts)
    if isinstance(info, inspect.LiteralType):
        words = [show(value) for value in info.values]
        return " or ".join(words) if len(words) < 3 else "one of " + ", ".join(words)
    if isinstance(info, inspect.IntType):
        return f"an integer{_range(info)}"
    if isinstance(info, inspect.FloatType):
        return f"a number{_range(info)}"
    if isinstance(info, inspect.StrType):
        return "text in quotes" if info.pattern is None else _pattern_words(info, info.pattern)
    if isinstance(info, inspect.BoolType):
        return "true or false"
    if isinstance(info, inspect.VarTupleType):
        return "an array"
    if isinstance(info, inspect.DateType):
        return "a date such as 2024-07-01"
    if isinstance(info, inspect.StructType):
        keys = ", ".join(field.encode_name for field in info.fields if field.required)
        return f"a table with {keys}"
    return "another type"


def _pattern_words(info: inspect.StrType, pattern: str) -> str:
    if ":" in pattern:
        return 'a time of day such as "08:00"'
    length = f", at most {info.max_length} characters" if info.max_length else ""
    return f'an id of a-z, 0-9 and "-"{length}'


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge:g} to {info.le:g}" if info.le < 1e6 else f" from {info.ge:g}"
    if info.ge is not None:
        return f" from {info.ge:g}"
    return f" above {info.gt:g}" if info.gt is not None else ""


def _advice(info: inspect.Type, value: object) -> str:
    words = describe(info)
    literals = [v for v in _literals(info) if isinstance(v, str)]
    if isinstance(value, str) and literals:
        guess = nearest(value, literals, otherwise="-")
        if guess != "-":
            return f"write {words}; {guess}"
    return f"write {words}"


def _literals(info: inspect.Type) -> tuple[object, ...]:
    return tuple(info.values) if isinstance(info, inspect.LiteralType) else ()


def _struct_of(info: inspect.Type) -> type[msgspec.Struct] | None:
    if isinstance(info, inspect.UnionType):
        found = [_struct_of(part) for part in info.types]
        return next((kind for kind in found if kind is not None), None)
    return info.cls if isinstance(info, inspect.StructType) else None


def _read_array(
    info: inspect.VarTupleType, value: object, path: str, faults: Faults, *, fatal: bool
) -> tuple[Any, ...] | None:
    if not isinstance(value, list):
        faults.add(path, f"{show(value)} is not an array", "write [ … ]", fatal=fatal)
        return None
    struct = _struct_of(info.item_type)
    read = []
    for place, element in enumerate(value, start=1):
        where = f"{path}[{item_label(element, place)}]"
        if struct is not None:
            read.append(read_table(struct, element, where, faults, fatal=fatal))
        elif not _fits(info.item_type, element):
            advice = _advice(info.item_type, element)
            faults.add(where, f"{show(element)} cannot be used", advice, fatal=fatal)
            read.append(None)
        else:
            read.append(element)
    return None if any(element is None for element in read) else tuple(read)


def _fits(info: inspect.Type, element: object) -> bool:
    """Whether an element of an array is the text or number that it takes."""
    if isinstance(info, inspect.StrType):
        return isinstance(element, str) and re.search(info.pattern or "", element) is not None
    if isinstance(info, inspect.FloatType):
        if isinstance(element, bool) or not isinstance(element, int | float):
            return False
        return math.isfinite(element) and (info.ge is None or element >= info.ge)
    return True


def item_label(element: object, place: int) -> str:
    """How an element of an array is named in a path: by its id, else its place from 1."""
    if isinstance(element, Mapping):
        name = element.get("id", element.get("stream"))
        if isinstance(name, str) and name:
            return bare(name) if "." not in name else show(name).strip('"')
    return str(place)


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _floats(element)
