"""All tables of a report, in the order in which they are shown."""

from __future__ import annotations

from agent.core.report.model import MonthReport
from agent.web.report.table import Table
from agent.web.report.tables_checks import (
    adjustments_table,
    composition_table,
    factors_table,
    findings_table,
    methods_table,
    reviews_table,
)
from agent.web.report.tables_data import (
    coal_table,
    energy_table,
    entries_table,
    products_table,
)
from agent.web.report.tables_emissions import (
    annex_table,
    days_table,
    gases_table,
    groups_table,
    kinds_table,
    sources_table,
    summary_table,
)
from agent.web.report.words import ReportWords


def tables_of(report: MonthReport, words: ReportWords) -> dict[str, Table]:
    """All tables of a report by key, in the order in which they are shown."""
    made = [
        summary_table(report, words),
        gases_table(report, words),
        kinds_table(report, words),
        sources_table(report.sources, "sources", words, report.totals),
        *(
            groups_table(key, groups, report, words)
            for key, groups in (
                ("stages", report.stages),
                ("areas", report.areas),
                ("units", report.units),
                ("devices", report.devices),
            )
        ),
        days_table(report, words),
        coal_table(report, words),
        products_table(report, words),
        energy_table(report, words),
        entries_table(report, words),
        methods_table(report, words),
        factors_table(report, words),
        composition_table(report, words),
        findings_table(report, words),
        reviews_table(report, words),
        *([adjustments_table(report, words)] if report.adjustments else []),
        annex_table(report, words),
    ]
    if report.compared:
        made.append(sources_table(report.compared, "compared", words, None))
    return {table.key: table for table in made}
