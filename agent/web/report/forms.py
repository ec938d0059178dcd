"""A report in the form that was asked for."""

from __future__ import annotations

from agent.config.language import load_language
from agent.core.report.model import MonthReport
from agent.web.report.document import render_json
from agent.web.report.html import render_body, render_print
from agent.web.report.xlsx import render_xlsx
from agent.web.report_view import ReportForm


def rendered(report: MonthReport, form: ReportForm, language: str) -> bytes:
    """The report in one form and language; raises ``LanguageError`` for an unknown one."""
    words = load_language(language)
    match form:
        case ReportForm.BODY:
            return render_body(report, words).encode()
        case ReportForm.HTML:
            return render_print(report, words).encode()
        case ReportForm.XLSX:
            return render_xlsx(report, words)
        case ReportForm.JSON:
            return render_json(report, words)
