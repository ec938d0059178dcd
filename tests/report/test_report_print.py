"""The printed report in a real browser: A4 pages, nothing cut off, nothing asked for."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from report_month import HOURS, BookedSite, Month, measured

from agent.core.model import Provenance
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm

A4_POINTS = (595, 842)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
LIMIT_S = 120.0  # only a guard against a browser that hangs


def chromium(program: str, profile: Path, *arguments: str) -> str:
    finished = subprocess.run(
        [program, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return finished.stdout


def half_estimated(meter: str, hour: int) -> tuple[float | None, Provenance]:
    if meter == "gas" and hour >= HOURS // 2:
        return 900.0, Provenance.ESTIMATED
    return measured(meter, hour)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_report_prints_on_a4(
    booked: BookedSite, needs: Callable[[str], str], tmp_path: Path, language: str
) -> None:
    program = needs("chromium")
    booked.book(value=half_estimated)
    booked.book(Month(2026, 9))
    page = tmp_path / "report.html"
    page.write_bytes(rendered(booked.report(), ReportForm.HTML, language))
    pdf = tmp_path / "report.pdf"
    chromium(
        program,
        tmp_path / "profile",
        "--no-pdf-header-footer",
        f"--print-to-pdf={pdf}",
        page.as_uri(),
    )
    content = pdf.read_bytes()
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert 3 <= len(boxes) <= 8
    for width, height in boxes:
        assert (round(float(width)), round(float(height))) == pytest.approx(A4_POINTS, abs=1)


MEASURE = """<script>
addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth - innerWidth;
  const cells = [...document.querySelectorAll("th.num, td.num")];
  const cut = cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length;
  const bars = document.querySelectorAll(".plot .measured, .plot .estimated").length;
  document.title = JSON.stringify({ wide, cut, bars });
});
</script>"""


def test_nothing_is_cut_off_on_a_screen_of_paper_width(
    booked: BookedSite, needs: Callable[[str], str], tmp_path: Path
) -> None:
    program = needs("chromium")
    booked.book(value=half_estimated)
    text = rendered(booked.report(), ReportForm.HTML, "en").decode()
    page = tmp_path / "report.html"
    page.write_text(text.replace("</head>", f"{MEASURE}</head>"), encoding="utf-8")
    dom = chromium(
        program, tmp_path / "profile", "--window-size=1240,900", "--dump-dom", page.as_uri()
    )
    title = re.search(r"<title>(\{.*?\})</title>", dom)
    assert title is not None
    seen = json.loads(title[1])
    assert seen["wide"] <= 0
    assert seen["cut"] == 0
    assert seen["bars"] == 31 + 16
