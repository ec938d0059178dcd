"""A table of a report as plain values; HTML and workbook show the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from agent.core.report.rounding import KG_PER_T

Value = str | int | float | Decimal | None


class Form(StrEnum):
    """How a column is written."""

    TEXT = "text"
    WORD = "word"  # a short word that is not broken
    CODE = "code"  # ids and versions
    LONG = "long"  # sentences
    COUNT = "count"
    SUMMARY = "summary"  # tonnes as the rules round them
    TONNES = "tonnes"  # three decimals: to the kilogram
    AMOUNT = "amount"
    PERCENT = "percent"  # a share of 0..1
    EXACT = "exact"  # kilograms to the milligram
    FACTOR = "factor"  # all digits but the noise of binary fractions
    SHORT = "short"  # a coefficient to four figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    form: Form = Form.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of values; ``sums`` are the places of rows that are sums of others."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    sums: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    empty: str = ""
    decimals_t: int = 0


def tonnes(kg: Decimal) -> Decimal:
    return kg / KG_PER_T
