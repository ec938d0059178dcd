"""A pack is what its issuer signed, byte for byte, or it is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.factor_install import FactorFile, install, prepare
from agent.config.factor_pack import (
    MAX_PACK_BYTES,
    SCHEMA,
    is_pack_name,
    open_pack,
    pack_name,
    parsed_sets,
)
from agent.core.errors import ConfigError, ProofError, StoreError
from agent.core.payload import signature_line
from tests.factors.packs import ISSUER_KEY, OTHER_KEY, grid_table, pack, table

PACK = pack(grid_table(), table("gwp.toml"), serial=7, note="电网因子更新")
KEYS = [ISSUER_KEY.public, OTHER_KEY.public]


def resigned(body: bytes) -> bytes:
    """Another content with a good signature of the issuer."""
    return body + signature_line(SCHEMA, sha256(body).digest(), ISSUER_KEY) + b"\n"


def with_header(**changes: object) -> bytes:
    line, _, rest = PACK.partition(b"\n")
    header = json.loads(line) | changes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return resigned(text + b"\n" + rest[: rest.rfind(b'{"key":"')])


def test_a_pack_is_read_as_it_was_made() -> None:
    read = open_pack(PACK, KEYS, name=pack_name(PACK))
    assert (read.issuer, read.serial, read.issued, read.note) == (
        "部委",
        7,
        "2026-11-22",
        "电网因子更新",
    )
    assert [one.content for one in read.sets] == [grid_table(), table("gwp.toml")]
    assert [one.set.id for one in parsed_sets(read)] == [one.id for one in read.sets]
    assert (read.hash, read.key_id) == (sha256(PACK).hexdigest(), ISSUER_KEY.public.id)
    assert is_pack_name(pack_name(PACK))
    assert pack(grid_table(), table("gwp.toml"), serial=7, note="电网因子更新") == PACK


@settings(max_examples=400)
@given(place=st.integers(0, len(PACK) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, flip: int) -> None:
    changed = bytearray(PACK)
    changed[place] ^= flip
    with pytest.raises(ProofError):
        open_pack(bytes(changed), KEYS)


@given(cut=st.integers(0, len(PACK) - 1))
def test_a_pack_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(ProofError):
        open_pack(PACK[:cut], KEYS)


@given(more=st.binary(min_size=1, max_size=200), at_end=st.booleans())
def test_bytes_before_or_after_a_pack_are_refused(more: bytes, at_end: bool) -> None:
    with pytest.raises(ProofError):
        open_pack(PACK + more if at_end else more + PACK, KEYS)


@given(data=st.binary(max_size=400))
def test_whatever_else_is_found_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(ProofError):
        open_pack(data, KEYS)


def test_only_pinned_keys_count() -> None:
    with pytest.raises(ProofError, match="does not know"):
        open_pack(PACK, [OTHER_KEY.public])
    with pytest.raises(ProofError, match="does not know"):
        open_pack(PACK, [])


def test_the_name_must_be_the_hash() -> None:
    with pytest.raises(ProofError, match="hash"):
        open_pack(PACK, KEYS, name="0" * 64 + ".tanshu-factors")
    assert not is_pack_name("../" + pack_name(PACK))
    assert not is_pack_name(pack_name(PACK) + "\n")


def test_a_signature_of_another_kind_of_message_is_none_here() -> None:
    body = PACK[: PACK.rfind(b'{"key":"')]
    foreign = signature_line("tanshu/v1/batch", sha256(body).digest(), ISSUER_KEY)
    with pytest.raises(ProofError, match="signature"):
        open_pack(body + foreign + b"\n", KEYS)


def test_a_huge_file_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(ProofError, match="larger"):
        open_pack(b"{" * (MAX_PACK_BYTES + 1), KEYS)
    with pytest.raises(ProofError, match="two packs"):
        small = table("gwp.toml")
        pack(small + b"#" * (MAX_PACK_BYTES - len(small)))


@pytest.mark.parametrize(
    "changes",
    [
        {"serial": 0},
        {"serial": True},
        {"serial": 1 << 63},
        {"issued": "2026-13-01"},
        {"issued": "20261122"},
        {"issuer": ""},
        {"issuer": "two\nlines"},
        {"note": "x" * 401},
        {"note": None},
        {"sets": []},
        {"sets": "all"},
        {"sets": [{"kind": "grid", "id": "x", "bytes": 10}]},
        {"sets": [{"kind": "../x", "id": "x", "bytes": 10}]},
        {"sets": [{"kind": "grid", "id": "x", "bytes": 10, "more": 1}]},
        {"schema": "tanshu/v2/factors"},
        {"extra": 1},
    ],
)
def test_a_header_that_cannot_be_is_refused_though_signed(changes: dict[str, object]) -> None:
    with pytest.raises(ProofError):
        open_pack(with_header(**changes), KEYS)


def test_one_content_has_one_spelling() -> None:
    line, _, rest = PACK.partition(b"\n")
    spaced = json.dumps(json.loads(line), ensure_ascii=False).encode()
    with pytest.raises(ProofError, match="spelling"):
        open_pack(resigned(spaced + b"\n" + rest[: rest.rfind(b'{"key":"')]), KEYS)


def test_a_signed_pack_of_bad_factors_is_refused_with_its_faults() -> None:
    bad = grid_table().replace(b"kgco2_per_kwh = 0.54", b"kgco2_per_kwh = -1.0 ")
    line, _, _ = pack(grid_table(0.5400)).partition(b"\n")
    sized = json.loads(line)
    sized["sets"][0]["bytes"] = len(bad)
    header = json.dumps(sized, ensure_ascii=False, separators=(",", ":")).encode()
    opened = open_pack(resigned(header + b"\n" + bad), KEYS)
    with pytest.raises(ConfigError, match="kgco2_per_kwh"):
        parsed_sets(opened)
    with pytest.raises(ConfigError):
        pack(b"not = [ toml")
    with pytest.raises(ProofError, match="twice"):
        pack(grid_table(), grid_table(0.5))


def test_a_pack_that_names_another_set_than_it_holds_is_refused() -> None:
    line, _, _ = PACK.partition(b"\n")
    header = json.loads(line)
    header["sets"][0]["id"] = "another"
    opened = open_pack(with_header(sets=header["sets"]), KEYS)
    with pytest.raises(ProofError, match="says it holds"):
        parsed_sets(opened)


def grid_file(content: bytes) -> FactorFile:
    return FactorFile(kind="grid", id="cn-2023", content=content)


def test_what_a_file_replaces_is_kept_and_repeating_changes_nothing(tmp_path: Path) -> None:
    (target,) = install(tmp_path, [grid_file(grid_table(0.5))])
    install(tmp_path, [grid_file(grid_table())])
    kept = target.with_name(f"{target.name}.{sha256(grid_table(0.5)).hexdigest()[:12]}")
    assert (target.read_bytes(), kept.read_bytes()) == (grid_table(), grid_table(0.5))
    before = sorted(path.name for path in tmp_path.iterdir())
    install(tmp_path, [grid_file(grid_table())])
    assert sorted(path.name for path in tmp_path.iterdir()) == before == [target.name, kept.name]


def test_a_second_file_of_the_same_set_is_refused(tmp_path: Path) -> None:
    set_id = open_pack(PACK, KEYS).sets[0].id
    (tmp_path / "zz-own.toml").write_bytes(grid_table(0.5))
    with pytest.raises(StoreError, match="under another name"):
        prepare(tmp_path, [FactorFile(kind="grid", id=set_id, content=grid_table())])
    assert not list(tmp_path.glob(".*"))
