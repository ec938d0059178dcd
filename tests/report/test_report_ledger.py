"""The ledger's report of a month: the gateways' figures, their sign-offs, one site."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from report_month import OCTOBER, ZONE, BookedSite, measured

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.reviews import ReviewBasis, add_review, new_review
from agent.book.sqlite import SqliteBook
from agent.cli.main import cli
from agent.clock import SystemClock
from agent.config.load import load_site
from agent.core.chain import SigningKey
from agent.core.checks.finding import FindingCode
from agent.core.errors import StoreError, UsageError
from agent.core.model import Provenance
from agent.core.report.model import Decision, Department, MonthReport, SignOff
from agent.ledger.database import open_ledger
from agent.ledger.intake import Delivery, Intake
from agent.ledger.report import ledger_report
from agent.ledger.storage import LedgerStorage, Notice
from agent.ledger.verify import verify
from agent.pipeline.seal import Sealer
from agent.store.batches import Batches
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm

NOW_MS = OCTOBER.span(ZONE)[1] + 3 * 86_400_000
SITE = "plant-1"


class Central:
    """A ledger's file that takes what booked sites seal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database: Database = open_ledger(path)
        self._keys: dict[Owner, SigningKey] = {}

    def take(self, booked: BookedSite, *, epoch: str = "ab" * 16) -> None:
        """Seal what the site has not sealed and deliver every batch of the epoch."""
        owner = booked.owner
        if owner not in self._keys:
            self._keys[owner] = SigningKey.from_seed(secrets.token_bytes(32))
            with self.database.transaction() as connection:
                LedgerStorage(connection).enrol(owner, self._keys[owner].public, 0)
        sealer = Sealer(owner, self._keys[owner], lambda: epoch)
        with booked.database.transaction() as connection:
            batches = Batches(connection)
            if (current := batches.current_epoch()) is not None and current.id != epoch:
                batches.start_epoch(epoch, NOW_MS)
            sealer.seal(connection, NOW_MS, most=1000)
            last = batches.last(epoch)
            sealed = [batches.data(epoch, seq + 1) or b"" for seq in range(last.seq if last else 0)]
        deliveries = [Delivery(owner=owner, body=data, user={}) for data in sealed]
        outcome = Intake(self.database, SystemClock()).take(deliveries)
        assert outcome.refusals == ()

    def report(self, *files: Path, gateways: tuple[str, ...] = ()) -> MonthReport:
        configs = [load_site(file) for file in files]
        return ledger_report(self.path, configs, gateways, OCTOBER, NOW_MS)


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    made = Central(tmp_path / "ledger.db")
    yield made
    made.database.close()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[BookedSite]:
    folder = tmp_path / "second"
    folder.mkdir()
    made = BookedSite(folder, gateway="gw-02")
    yield made
    made.close()


def sign(booked: BookedSite, *departments: Department, note: str = "") -> MonthReport:
    report = booked.report()
    for department in departments or tuple(Department):
        given = new_review(
            ReviewBasis.of(report),
            department=department,
            name="李四",
            decision=Decision.RETURNED if note else Decision.ACCEPTED,
            note=note,
            seen="",
            settled=(),
            reviewed_ms=NOW_MS,
        )
        with booked.database.transaction() as connection:
            add_review(connection, booked.owner, given, report.figures)
    return booked.report()


def partly(meter: str, hour: int) -> tuple[float | None, Provenance]:
    if hour % 100 == 7:
        return 7.0, Provenance.ESTIMATED
    return measured(meter, hour)


def test_a_sign_off_of_the_gateway_holds_at_the_ledger(
    booked: BookedSite, central: Central
) -> None:
    booked.book(value=partly)
    signed = sign(booked)
    central.take(booked)
    report = central.report(booked.path)
    assert report.sign_off is signed.sign_off is SignOff.SIGNED
    assert report.figures_hash == signed.figures_hash
    assert report.totals == signed.totals
    assert report.sources == signed.sources
    assert [one.review for one in report.reviews] == [one.review for one in signed.reviews]
    assert verify(central.database).findings == []


def test_figures_that_change_after_the_sign_off_make_it_void_there_too(
    booked: BookedSite, central: Central
) -> None:
    booked.book(value=partly)
    sign(booked)
    central.take(booked)
    booked.book(value=measured, revision=1)
    central.take(booked)
    report = central.report(booked.path)
    assert report.sign_off is SignOff.VOID
    assert report.figures_hash == booked.report().figures_hash
    changed = [change.what for one in report.reviews for change in one.changes]
    assert "sources › f103-gas › kgco2e" in changed


def test_the_same_review_from_a_restored_gateway_is_booked_once(
    booked: BookedSite, central: Central
) -> None:
    booked.book(hours=24)
    sign(booked, Department.PRODUCTION, note="泵电表缺数")
    central.take(booked)
    with booked.database.transaction() as connection:  # as after a backup was put back
        connection.execute("DELETE FROM seal_marks")
    central.take(booked, epoch="cd" * 16)
    report = central.report(booked.path)
    assert [one.review.note for one in report.reviews] == ["泵电表缺数"]
    assert report.sign_off is SignOff.RETURNED
    assert verify(central.database).findings == []


def test_a_review_that_no_batch_brought_is_found(booked: BookedSite, central: Central) -> None:
    booked.book(hours=24)
    report = sign(booked, Department.PRODUCTION)
    central.take(booked)
    with central.database.transaction() as connection:
        add_review(connection, booked.owner, report.reviews[0].review, report.figures)
    found = verify(central.database).findings
    assert [finding.code for finding in found] == ["unsigned"]
    assert "reviews" in found[0].what


def test_without_a_site_file_the_batches_speak_and_the_report_says_so(
    booked: BookedSite, central: Central
) -> None:
    booked.book(value=partly)
    central.take(booked)
    bare = central.report()
    codes = {finding.code for finding in bare.findings}
    assert FindingCode.NO_SITE_FILE in codes
    assert FindingCode.UNKNOWN_SOURCE not in codes
    assert bare.totals.mass == booked.report().totals.mass
    assert {source.place.kind for source in bare.sources} == {"fuel", "electricity", "heat"}
    assert bare.totals.half_95_kg > 0.05 * float(bare.totals.mass.kgco2e)
    assert set(bare.energy.left_out) == {source.place.id for source in bare.sources}
    for language in ("zh-CN", "en"):
        for form in ReportForm:
            assert rendered(bare, form, language)
    sign(booked)
    central.take(booked)
    signed = central.report()
    assert (signed.sign_off, signed.site.rules) == (SignOff.SIGNED, "GB/T 32151.10-2023")
    assert signed.figures_hash == booked.report().figures_hash


def both(booked: BookedSite, second: BookedSite, central: Central) -> None:
    booked.book()
    second.book(hours=372)
    central.take(booked)
    central.take(second)


def test_gateways_of_a_site_are_one_report_and_signed_apart(
    booked: BookedSite, second: BookedSite, central: Central
) -> None:
    both(booked, second, central)
    report = central.report(booked.path, second.path)
    assert report.gateways == ("gw-01", "gw-02")
    parts = [booked.report().totals.mass, second.report().totals.mass]
    assert report.totals.mass == parts[0] + parts[1]
    gas = {s.place.gateway: s for s in report.sources if s.place.name == "F-103 燃料气"}
    assert {gateway: source.place.id for gateway, source in gas.items()} == {
        "gw-01": "f103-gas",
        "gw-02": "gw-02/f103-gas",
    }
    assert gas["gw-02"].activity == 372_000.0
    assert "gw-02 › 裂解车间" in rendered(report, ReportForm.HTML, "zh-CN").decode()

    signed = sign(second)
    sign(booked, Department.PRODUCTION)
    central.take(booked)
    central.take(second)
    report = central.report(booked.path, second.path)
    assert report.sign_off is SignOff.DRAFT
    missing = [one.subject for one in report.findings if one.code is FindingCode.REVIEW_MISSING]
    assert missing == ["environment@gw-01"]
    alone = central.report(booked.path, second.path, gateways=("gw-02",))
    assert (alone.sign_off, alone.figures_hash) == (SignOff.SIGNED, signed.figures_hash)


def test_one_file_for_the_site_serves_all_its_gateways(
    booked: BookedSite, second: BookedSite, central: Central
) -> None:
    second.book(meters=("pump",))
    booked.book(meters=("gas", "fan", "steam"))
    central.take(second)
    central.take(booked)
    report = central.report(booked.path)
    places = {source.place.id: source.place for source in report.sources}
    assert (places["ct1-pump"].gateway, places["ct1-pump"].device) == ("gw-02", "ct1")
    assert FindingCode.UNKNOWN_SOURCE not in {finding.code for finding in report.findings}


def test_the_first_file_owns_the_places_and_others_that_differ_are_named(
    booked: BookedSite, second: BookedSite, central: Central
) -> None:
    both(booked, second, central)
    text = second.path.read_text(encoding="utf-8").replace("裂解炉区", "二号炉区")
    second.path.write_text(text, encoding="utf-8")
    birth = {
        "site": {"rules": "NDRC-2013", "gwp": "AR5"},
        "areas": [{"id": "cracking", "name": "裂解车间"}],
        "units": [],
    }
    with central.database.transaction() as connection:
        LedgerStorage(connection).keep_notice(
            Notice(
                owner=booked.owner,
                topic="birth",
                received_ms=0,
                payload=json.dumps(birth).encode(),
            )
        )
    report = central.report(booked.path, second.path)
    found = {
        finding.subject: finding.detail
        for finding in report.findings
        if finding.code is FindingCode.PLACE_CONFLICT
    }
    assert found == {
        "gw-02:furnaces": "furnaces: 二号炉区 (cracking) ≠ 裂解炉区 (cracking)",
        "gw-01:rules": "rules: NDRC-2013, AR5 ≠ GB/T 32151.10-2023, AR5",
    }
    assert {group.name for group in report.units} == {"裂解炉区", "循环水站"}


def test_what_the_ledger_does_not_hold_is_refused(booked: BookedSite, central: Central) -> None:
    with pytest.raises(UsageError, match="no site"):
        central.report()
    with pytest.raises(UsageError, match="nothing is booked for site plant-1"):
        central.report(booked.path)
    booked.book(hours=1)
    central.take(booked)
    with pytest.raises(UsageError, match="nothing is booked for gateway gw-09"):
        central.report(booked.path, gateways=("gw-09",))
    with central.database.transaction() as connection:
        SqliteBook(connection).series(Owner(site="plant-2", gateway="gw-01"), "source", "x")
    with pytest.raises(UsageError, match="plant-1, plant-2"):
        central.report()
    with pytest.raises(StoreError, match="no such database"):
        ledger_report(central.path.parent / "none.db", [], (), OCTOBER, NOW_MS)


def test_the_command_reads_a_ledger(booked: BookedSite, central: Central, run: Run) -> None:
    booked.book()
    sign(booked)
    central.take(booked)
    words = ("report", "month", str(OCTOBER), "--db", str(central.path))
    document = json.loads(run(*words, "--site", str(booked.path), "--json"))
    assert (document["sign_off"], document["gateways"]) == ("signed", ["gw-01"])
    assert "没有厂区文件" not in run(*words, "--site", str(booked.path))
    assert "未提供厂区文件" in run(*words)


Run = Callable[..., str]


@pytest.fixture
def run() -> Run:
    def invoke(*words: str) -> str:
        done = CliRunner().invoke(cli, words, standalone_mode=False)
        assert done.exception is None, done.exception
        return done.output

    return invoke
