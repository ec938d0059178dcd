"""`tanshu report` as a person calls it, and the worker of a running gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openpyxl import load_workbook
from report_month import OWNER, BookedSite, Month, measured

from agent.cli.report import _month
from agent.clock import SystemClock
from agent.core.errors import StoreError, UsageError
from agent.core.model import Provenance
from agent.core.report.model import Decision, Department
from agent.daemon.reports import Reports
from agent.web.report_view import ReportForm, ReviewSubmission

ROOT = Path(__file__).resolve().parents[2]
DONE = Month(2025, 10)  # a month that is over whenever the test runs


def tanshu(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *words],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_month_is_printed_written_and_read_by_programs(booked: BookedSite) -> None:
    booked.book(DONE)
    booked.close()
    folder = booked.path.parent
    html, xlsx = folder / "report.html", folder / "report.xlsx"
    said = tanshu(
        *("report", "month", str(DONE), "--config", str(booked.path), "--language", "en"),
        *("--html", str(html), "--xlsx", str(xlsx)),
    )
    assert said.returncode == 0, said.stderr
    assert "Monthly greenhouse gas report" in said.stdout
    assert "1\N{NO-BREAK SPACE}682 t CO₂e" in said.stdout
    assert "<style>" in html.read_text(encoding="utf-8")
    assert load_workbook(xlsx).sheetnames[0] == "Summary"
    read = tanshu("report", "month", str(DONE), "--config", str(booked.path), "--json")
    assert json.loads(read.stdout)["summary"]["total_tco2e"] == 1682


def test_open_findings_end_with_code_3(booked: BookedSite) -> None:
    def holed(meter: str, hour: int) -> tuple[float | None, Provenance]:
        return (None, Provenance.MISSING) if hour < 3 else measured(meter, hour)

    booked.book(DONE, value=holed)
    booked.close()
    said = tanshu("report", "month", str(DONE), "--config", str(booked.path))
    assert said.returncode == 3
    assert "允许 0 h" in said.stdout


def test_two_departments_sign_on_the_command_line(booked: BookedSite) -> None:
    booked.book(DONE)
    booked.close()
    common = ("--month", str(DONE), "--config", str(booked.path), "--json")
    refused = tanshu("report", "review", "--department", "production", "--name", "李四", *common)
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["where"] == "--accept/--return"
    for department in Department:
        said = tanshu(
            *("report", "review", "--department", department, "--name", "李四", "--accept"),
            *common,
        )
        assert said.returncode == 0, said.stdout
    read = tanshu("report", "month", str(DONE), "--config", str(booked.path), "--json")
    document = json.loads(read.stdout)
    assert document["sign_off"] == "signed"
    assert json.loads(said.stdout)["figures"] == document["figures_hash"]


def test_what_cannot_be_is_refused_with_advice(booked: BookedSite) -> None:
    site = str(booked.path)
    assert tanshu("report", "month", "2026-13", "--config", site).returncode == 2
    booked.close()
    (booked.path.parent / "tanshu.db").unlink()
    said = tanshu("report", "month", str(DONE), "--config", site)
    assert said.returncode == 1
    assert "has the gateway run yet?" in said.stderr


def test_the_default_month_is_the_last_that_is_over(booked: BookedSite) -> None:
    new_year_ms = 1_798_732_799_000  # 2026-12-31T15:59:59Z, one second before it in Shanghai
    assert _month(None, booked.config, new_year_ms) == Month(2026, 11)
    assert _month(None, booked.config, new_year_ms + 1000) == Month(2026, 12)
    assert _month("2026-02", booked.config, new_year_ms) == Month(2026, 2)


def gateway(booked: BookedSite) -> Any:
    """As much of a gateway as reports need; ``rung`` counts how often the pipeline was woken."""
    rung: list[int] = []
    return SimpleNamespace(
        config=booked.config,
        database=booked.database,
        owner=OWNER,
        clock=SystemClock(),
        wake=SimpleNamespace(ring=lambda: rung.append(1)),
        rung=rung,
    )


def submission(**words: Any) -> ReviewSubmission:
    given: dict[str, Any] = {
        "month": DONE,
        "department": Department.PRODUCTION,
        "name": "王五",
        "decision": Decision.ACCEPTED,
        **words,
    }
    return ReviewSubmission(**given)


async def test_a_running_gateway_makes_reports_in_a_worker(booked: BookedSite) -> None:
    booked.book(DONE)
    reports = Reports(gateway(booked))
    body = (await reports.report(DONE, ReportForm.BODY, "en")).decode()
    assert body.startswith("\n") or "<article" in body
    assert "1\N{NO-BREAK SPACE}682 t CO₂e" in body
    assert await reports.report(DONE, ReportForm.BODY, "en") == body.encode()
    workbook = await reports.report(DONE, ReportForm.XLSX, "zh-CN")
    assert workbook.startswith(b"PK")
    assert [month.month for month in reports.months()] == [str(DONE)]


async def test_a_running_gateway_books_reviews_of_what_it_says_now(booked: BookedSite) -> None:
    booked.book(DONE)
    running = gateway(booked)
    reports = Reports(running)
    before = json.loads(await reports.report(DONE, ReportForm.JSON, "en"))
    with pytest.raises(UsageError, match="the figures are"):
        await reports.review(submission(figures="0" * 64))
    outcome = await reports.review(submission(figures=before["figures_hash"]))
    assert outcome.figures == before["figures_hash"]
    assert running.rung == [1]  # the review is sealed at once
    after = json.loads(await reports.report(DONE, ReportForm.JSON, "en"))
    assert [review["name"] for review in after["reviews"]] == ["王五"]
    audit = booked.database.connection.execute("SELECT action, subject, detail FROM audit")
    action, subject, detail = audit.fetchone()
    assert (action, subject) == ("report.review", str(DONE))
    assert outcome.figures in detail


async def test_what_goes_wrong_in_the_worker_is_told_here(booked: BookedSite) -> None:
    reports = Reports(gateway(booked))
    booked.path.write_text("not toml [", encoding="utf-8")
    with pytest.raises(StoreError) as refused:
        await reports.report(DONE, ReportForm.BODY, "en")
    assert "site.toml" in str(refused.value)
