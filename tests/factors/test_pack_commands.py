"""The commands around packs, where no gateway runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.book.ports import Owner
from agent.cli.main import main
from agent.config.factor_pack import open_pack
from agent.config.factors import forget_library
from agent.daemon.factor_desk import FactorDesk
from agent.daemon.factor_review import differences, summary_of
from agent.store.database import open_store
from agent.sync.keys import load_key
from tests.factors.packs import ISSUER_KEY, grid_table, pack
from tests.pipeline.site import ENERGY, SITE

NOW_MS = 1_795_000_000_000
TABLE = f'[factors]\nkeys = ["{ISSUER_KEY.public.text}"]\n[web]\nenabled = false\n'

Tanshu = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tanshu(capsys: pytest.CaptureFixture[str]) -> Tanshu:
    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["factors", *(str(word) for word in words)])
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, said.out, said.err

    return call


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TANSHU_FACTORS", str(tmp_path / "factors"))
    forget_library()
    file = tmp_path / "site.toml"
    file.write_text(SITE.replace("@energy@", ENERGY) + TABLE, encoding="utf-8")
    yield file
    forget_library()


def staged(folder: Path, data: bytes) -> str:
    database = open_store(folder / "tanshu.db")
    opened = open_pack(data, [ISSUER_KEY.public])
    desk = FactorDesk(database, Owner(site="plant", gateway="gw"), folder / "factors")
    desk.stage(opened, summary_of(differences(opened)), "/mnt/share", NOW_MS)
    database.close()
    return opened.hash


def test_an_issuer_makes_a_key_and_a_pack(tanshu: Tanshu, tmp_path: Path) -> None:
    table = tmp_path / "grid.toml"
    table.write_bytes(grid_table())
    key = tmp_path / "issuer.key"
    code, out, _ = tanshu("pack", "--new-key", key, "--json")
    assert (code, json.loads(out)["key"]) == (0, load_key(key).public.text)
    assert tanshu("pack", "--new-key", key)[0] == 2  # never over another key
    words = (
        "pack",
        table,
        "--key",
        key,
        "--issuer",
        "集团",
        "--serial",
        3,
        "--out",
        tmp_path / "o",
    )
    code, out, err = tanshu(*words, "--issued", "2026-11-22", "--json")
    assert code == 0, err
    made = Path(json.loads(out)["pack"])
    opened = open_pack(made.read_bytes(), [load_key(key).public], name=made.name)
    assert (opened.issuer, opened.serial, opened.issued) == ("集团", 3, "2026-11-22")
    assert [path.name for path in made.parent.iterdir()] == [made.name]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("pack",), 2),
        (("pack", "@table@", "--key", "@none@", "--issuer", "x", "--serial", 1), 1),
        (("pack", "@table@", "--issuer", "x", "--serial", 1), 2),
        (("pack", "@table@", "--key", "@none@", "--issuer", "x", "--serial", 0), 2),
        (("pack", "@none@", "--key", "@none@", "--issuer", "x", "--serial", 1), 1),
    ],
)
def test_what_a_pack_lacks_is_said(
    tanshu: Tanshu, tmp_path: Path, words: tuple[object, ...], code: int
) -> None:
    (tmp_path / "table").write_bytes(grid_table())
    named = {"@table@": tmp_path / "table", "@none@": tmp_path / "none"}
    done = tanshu(*(named.get(str(word), word) for word in words))
    assert done[0] == code
    assert done[2].strip()
    assert "Traceback" not in done[2]


def test_a_pack_is_decided_while_the_gateway_stands(
    tanshu: Tanshu, site: Path, tmp_path: Path
) -> None:
    digest = staged(tmp_path, pack())
    code, out, _ = tanshu("packs", "--config", site)
    assert code == 0
    assert f"{digest[:12]}  staged  部委 no. 1" in out
    code, out, _ = tanshu("review", digest[:8], "--config", site)
    assert code == 0
    assert "quanguo/average" in out
    assert "no booked emission changes" in out
    code, out, err = tanshu("approve", digest[:8], "--by", "王工", "--config", site, "--json")
    assert code == 0, err
    assert json.loads(out)["state"] == "approved"
    assert [path.read_bytes() for path in (tmp_path / "factors").glob("*.toml")] == [grid_table()]
    code, _, err = tanshu("reject", digest, "--by", "x", "--why", "y", "--config", site)
    assert code == 2
    assert "approved by 王工" in err


def test_decisions_that_cannot_be_are_refused(tanshu: Tanshu, site: Path, tmp_path: Path) -> None:
    code, _, err = tanshu("approve", "0" * 12, "--by", "x", "--config", site)
    assert (code, "no database" in err) == (1, True)
    digest = staged(tmp_path, pack())
    assert tanshu("approve", "0" * 12, "--by", "x", "--config", site)[0] == 2
    assert tanshu("approve", digest, "--config", site)[0] == 2
    assert tanshu("reject", digest, "--by", "x", "--config", site)[0] == 2
    code, _, err = tanshu("check", "--config", site)
    assert (code, "no gateway answers" in err) == (1, True)
