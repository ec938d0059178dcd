"""Which keys of a source are the site file's and which are those of its kind in `tanshu calc`."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.inventory.sections import KINDS
from agent.config.sections import Source

SITE_KEYS = frozenset(Source.__struct_encode_fields__)
CALC_KEYS: Mapping[str, frozenset[str]] = {
    kind: frozenset(table.__struct_encode_fields__) for kind, table in KINDS.items()
}
_ANY_CALC_KEY = frozenset().union(*CALC_KEYS.values())
# a stream says which meter it is of, and what of it is estimated
_NOT_IN_A_SITE = frozenset({"meter", "estimated_share"})


def read_now(kind: str, table: object) -> object:
    """A table without the keys that are read when the kind of source is known."""
    if kind != "source" or not isinstance(table, Mapping):
        return table
    return {
        key: value for key, value in table.items() if key in SITE_KEYS or key not in _ANY_CALC_KEY
    }


def is_of_kind(kind: str, key: str) -> bool:
    """Whether a key has a meaning for a source of that kind in a site file."""
    if key in _ANY_CALC_KEY:
        return key in CALC_KEYS[kind] and key not in _NOT_IN_A_SITE
    return key in SITE_KEYS


def kinds_with(key: str) -> list[str]:
    """The kinds that take a key."""
    return [kind for kind, keys in CALC_KEYS.items() if key in keys]


def other_keys(kind: str, table: Mapping[str, object]) -> list[str]:
    """The keys of a table that only `tanshu calc` has, besides those the site file knows."""
    return [key for key in table if key in CALC_KEYS[kind] and key not in SITE_KEYS]
