"""Factor packs for tests: two issuers, and a grid table with one number changed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from agent.config.factor_pack import make_pack, pack_name
from agent.config.resources import resource_dir
from agent.core.chain import SigningKey
from tests.pipeline.site import GRID_2023

ISSUER_KEY = SigningKey.from_seed(b"key of the issuer of the packs..")
OTHER_KEY = SigningKey.from_seed(b"key of another issuer of packs..")
FACTORS = resource_dir() / "factors"
CORRECTED = 0.5400


def grid_table(value: float = CORRECTED) -> bytes:
    """The grid factors of 2023 with the number of the whole country changed."""
    text = (FACTORS / "grid-cn-2023.toml").read_text(encoding="utf-8")
    assert text.count(f"kgco2_per_kwh = {GRID_2023}") == 1
    return text.replace(f"kgco2_per_kwh = {GRID_2023}", f"kgco2_per_kwh = {value}").encode()


def table(name: str) -> bytes:
    return (FACTORS / name).read_bytes()


def pack(
    *files: bytes,
    serial: int = 1,
    key: SigningKey = ISSUER_KEY,
    issuer: str = "部委",
    note: str = "",
) -> bytes:
    return make_pack(
        files or (grid_table(),),
        issuer=issuer,
        serial=serial,
        issued=date(2026, 11, 22),
        key=key,
        note=note,
    )


def put(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / pack_name(data)
    file.write_bytes(data)
    return file
