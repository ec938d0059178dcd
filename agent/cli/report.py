"""`tanshu report`: the monthly report on paper, as a workbook or JSON, and its reviews."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from agent.cli.main import PROBLEMS
from agent.cli.options import find_site_file, json_option, site_option
from agent.core.errors import StoreError, SyncError, UsageError
from agent.core.report.month import Month

if TYPE_CHECKING:
    from agent.config.site import SiteConfig
    from agent.core.report.model import MonthReport
    from agent.web.report_view import ReviewSubmission

DEPARTMENTS = ("environment", "production")
TIMEOUT_S = 330.0  # a little longer than a gateway gives its worker


@click.group()
def report() -> None:
    """Make, print and review the monthly report."""


@report.command("month")
@click.argument("month", required=False)
@site_option
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a file to print.",
)
@click.option(
    "--xlsx",
    "xlsx_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a workbook.",
)
@click.option("--language", type=click.Choice(["zh-CN", "en"]), help="Default: that of the page.")
@click.option(
    "--db",
    "ledger_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A ledger's database instead of the gateway's own.",
)
@click.option(
    "--site",
    "ledger_sites",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --db: site file, the one that owns areas and units first.",
)
@click.option("--gateway", "gateways", multiple=True, help="With --db: only this gateway.")
@json_option
def month_command(
    month: str | None,
    site_file: Path | None,
    html_file: Path | None,
    xlsx_file: Path | None,
    language: str | None,
    ledger_file: Path | None,
    ledger_sites: tuple[Path, ...],
    gateways: tuple[str, ...],
    as_json: bool,
) -> int:
    """The report of MONTH (YYYY-MM), by default of the last month that is over.

    Reads the gateway's database and never writes to it, so it may run beside the gateway. With
    --db it reads a ledger's and merges the gateways of a site. Exit code 3 when findings of the
    first two levels are open.
    """
    from agent.clock import SystemClock
    from agent.daemon.report_worker import load_config, read_report
    from agent.web.report.forms import rendered
    from agent.web.report_view import ReportForm

    now_ms = SystemClock().now_ms()
    if ledger_file is not None:
        from agent.ledger.report import ledger_report

        configs = [load_config(file) for file in ledger_sites]
        wanted = None if month is None else Month.parse(month)
        made = ledger_report(ledger_file, configs, gateways, wanted, now_ms)
        words = language or (configs[0].web.language if configs else "zh-CN")
    elif ledger_sites or gateways:
        raise UsageError("is for a ledger", where="--site", hint="name its database with --db")
    else:
        config = load_config(find_site_file(site_file))
        made = read_report(config, _month(month, config, now_ms), now_ms)
        words = language or config.web.language
    for file, form in ((html_file, ReportForm.HTML), (xlsx_file, ReportForm.XLSX)):
        if file is not None:
            _write(file, rendered(made, form, words))
    if as_json:
        click.echo(rendered(made, ReportForm.JSON, words).decode())
    else:
        _print(made, words)
        for file in (html_file, xlsx_file):
            if file is not None:
                click.echo(str(file))
    open_findings = [one for one in made.findings if one.level < 3 and not one.settled_by]
    return PROBLEMS if open_findings else 0


@report.command("review")
@click.option("--month", required=True, help="YYYY-MM.")
@click.option("--department", required=True, type=click.Choice(DEPARTMENTS))
@click.option("--name", required=True, help="Who reviews.")
@click.option("--accept/--return", "accepted", default=None, help="Sign the figures, or return.")
@click.option("--note", default="", help="Why it is returned, or what should be known.")
@click.option("--figures", default="", help="Figures that were read, as the report prints them.")
@click.option("--settles", multiple=True, metavar="ID", help="Finding that this review settles.")
@click.option("--url", help="Address of the running gateway's page.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Token for a gateway on another machine.",
)
@site_option
@json_option
def review_command(
    month: str,
    department: str,
    name: str,
    accepted: bool | None,
    note: str,
    figures: str,
    settles: tuple[str, ...],
    url: str | None,
    token_file: Path | None,
    site_file: Path | None,
    as_json: bool,
) -> None:
    """Accept (sign) or return the figures of a month for one department.

    A figure that changes afterwards makes the sign-off void. The review goes through the running
    gateway; where none runs, into its file.
    """
    from agent.core.report.model import Decision, Department
    from agent.daemon.report_worker import load_config
    from agent.web.report_view import ReviewSubmission

    if accepted is None:
        raise UsageError("a review decides", where="--accept/--return", hint="give one of the two")
    submission = ReviewSubmission(
        month=Month.parse(month),
        department=Department(department),
        name=name,
        decision=Decision.ACCEPTED if accepted else Decision.RETURNED,
        note=note,
        figures=figures,
        settled=settles,
    )
    outcome, where = _submit(load_config(find_site_file(site_file)), submission, url, token_file)
    if as_json:
        click.echo(json.dumps({**outcome, "where": where}, ensure_ascii=False))
        return
    click.echo(
        f"{outcome['month']}: {outcome['department']} {outcome['decision']} by {outcome['name']}, "
        f"figures {outcome['figures'][:12]} ({where})"
    )


def _month(text: str | None, config: SiteConfig, now_ms: int) -> Month:
    if text is not None:
        return Month.parse(text)
    return Month.of(now_ms, ZoneInfo(config.site.timezone)).shifted(-1)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(file), hint="check folder and rights"
        ) from error


def _print(made: MonthReport, language: str) -> None:
    """The key figures, the summary and the findings as text."""
    from rich.console import Console
    from rich.table import Table

    from agent.config.language import load_language
    from agent.web.report.html import key_figures, shown
    from agent.web.report.tables_emissions import summary_table
    from agent.web.report.words import ReportWords

    text = load_language(language)
    words = ReportWords.of(made, text)
    console = Console(highlight=False)
    console.print(f"{text('report.title')} · {made.site.name} · {words.month(made)}", markup=False)
    state = text(f"signoff.{made.sign_off}")
    console.print(f"{made.site.rules} · {made.site.gwp} · {state}", markup=False)
    key = Table(show_header=False)
    for _ in range(3):
        key.add_column(overflow="fold")  # Chinese has no spaces to break at
    for figure in key_figures(made, words):
        key.add_row(figure.label, figure.value, figure.remark)
    console.print(key)
    summary = summary_table(made, words)
    lines = Table(*(column.title for column in summary.columns), title=summary.title)
    for row in summary.rows:
        lines.add_row(
            *(
                shown(value, column.form, summary.decimals_t)
                for column, value in zip(summary.columns, row, strict=True)
            )
        )
    console.print(lines)
    for finding in made.findings:
        console.print(f"{words.finding(finding)}", markup=False)
        console.print(f"    {words.settle(finding)} [{finding.id}]", markup=False)
    console.print(f"{text('report.figures')} {made.figures_hash}", markup=False)


def _submit(
    config: SiteConfig, submission: ReviewSubmission, url: str | None, token_file: Path | None
) -> tuple[dict[str, Any], str]:
    """Hand the review to the running gateway, or to its file if none runs."""
    from agent.cli.activity_door import running_gateway
    from agent.cli.address import checked_url

    address = running_gateway(config) if url is None else checked_url(url)
    if address is None:
        return _into_file(config, submission)
    return _post(address, config, submission, token_file), address


def _into_file(config: SiteConfig, submission: ReviewSubmission) -> tuple[dict[str, Any], str]:
    import msgspec

    from agent.book.reviews import ReviewBasis
    from agent.cli.activity_door import refuse_if_open
    from agent.clock import SystemClock
    from agent.daemon.report_worker import owner_of, read_report
    from agent.daemon.reports import book_review
    from agent.store.database import open_store

    path = config.path.parent / config.store.path
    if not path.exists():
        raise StoreError(
            "there is no such database", where=str(path), hint="has the gateway run yet?"
        )
    refuse_if_open(path)
    now_ms = SystemClock().now_ms()
    database = open_store(path)  # brings the file to this version before it is read
    try:
        basis = ReviewBasis.of(read_report(config, submission.month, now_ms))
        outcome = book_review(database, owner_of(config), basis, submission, now_ms, "cli")
    finally:
        database.close()
    found: dict[str, Any] = msgspec.to_builtins(outcome)
    return found, str(path)


def _post(
    address: str, config: SiteConfig, submission: ReviewSubmission, token_file: Path | None
) -> dict[str, Any]:
    from agent.cli.activity_door import token_of

    body = {
        "month": str(submission.month),
        "department": submission.department,
        "name": submission.name,
        "decision": submission.decision,
        "note": submission.note,
        "figures": submission.figures,
        "settled": list(submission.settled),
    }
    request = urllib.request.Request(  # noqa: S310
        f"{address}/api/v1/reviews",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    token = token_of(config, token_file)
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer
    except urllib.error.HTTPError as error:
        raise _refused(address, error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise SyncError(
            f"no gateway answers: {error}", where=address, hint="is `tanshu run` running?"
        ) from error


def _refused(address: str, error: urllib.error.HTTPError) -> UsageError | SyncError:
    try:
        words = json.load(error)
        what, where, hint = words["what"], words["where"], words["hint"]
    except (ValueError, KeyError, TypeError):
        return SyncError(f"the gateway refuses ({error.code})", where=address, hint="see its log")
    kind = UsageError if error.code == 400 else SyncError
    return kind(what, where=where, hint=hint)
