"""Booked emissions computed again, in bulk; a gateway and its ledger run the same function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from agent.core import kernels
from agent.core.carbon.booking import intervals_of
from agent.core.recalculation import MOST_EMISSIONS, Run, Terms, Totals

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice

SAME_SHARE = 1e-9

# One revised emission under the hash: little-endian, missing figures as NaN.
DIGEST_ROW = np.dtype(
    [
        *((name, "<i8") for name in ("start_ms", "length_ms", "revision")),
        *((name, "<f8") for name in ("kgco2", "kgch4", "kgn2o", "kgco2e", "lower", "upper")),
        ("estimated_share", "<f8"),
        *((name, "<i8") for name in ("era", "window_revision")),
    ]
)


@dataclass(frozen=True, slots=True)
class BookedEmissions:
    """Emissions of one source beside the windows that they were booked from.

    NaN stands for «no value»; ``factor`` is the book's number of the factor, ``factor_value`` its
    value in kgCO2e per unit; ``window_revision`` is -1 where there is no such window.
    """

    start_ms: Integers
    length_ms: Integers
    revision: Integers
    factor: Integers
    window_revision: Integers
    kgco2: Floats
    kgch4: Floats
    kgn2o: Floats
    kgco2e: Floats
    estimated_share: Floats
    factor_value: Floats
    value: Floats
    window_lower: Floats
    window_upper: Floats

    def __len__(self) -> int:
        return len(self.start_ms)

    def only(self, chosen: Indices) -> BookedEmissions:
        """The rows that are chosen, in that order."""
        return BookedEmissions(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the emissions come to by other terms; ``era`` says by which of their factors."""

    era: Integers
    kgco2: Floats
    kgch4: Floats
    kgn2o: Floats
    kgco2e: Floats
    lower: Floats
    upper: Floats


def recompute(booked: BookedEmissions, terms: Terms) -> Figures:
    """The emissions of the same windows by other factors, as `emission_of` computes each.

    ``terms`` hold the factors over time in kgCO2e per unit of the stream, the gases in kg per unit,
    the configured share, and the uncertainty of the activity data in % (half of a 95 % interval).

    Only multiplication, division and square root of IEEE 754 numbers are used, so that every
    machine comes to the same bits.

    Example: 123.5 Nm3, booked at 2.1622 kgCO2e/Nm3 and now at 2.2, come to 271.7 kgCO2e.
    """
    era = era_of(booked.start_ms, terms)
    share = _booked_shares(booked, terms.share)

    def scale(rates: list[float]) -> Floats:
        return share * np.array(rates, np.float64)[era]

    by_factor = scale([one.factor.value for one in terms.eras])
    lower, upper = intervals_of(
        booked.value,
        booked.window_lower,
        booked.window_upper,
        by_factor,
        np.full(len(booked), terms.uncertainty_activity_pct),
    )
    return Figures(
        era=era,
        kgco2=_products(booked.value, scale([one.gases.kgco2 for one in terms.eras])),
        kgch4=_products(booked.value, scale([one.gases.kgch4 for one in terms.eras])),
        kgn2o=_products(booked.value, scale([one.gases.kgn2o for one in terms.eras])),
        kgco2e=_products(booked.value, by_factor),
        lower=lower,
        upper=upper,
    )


def era_of(start_ms: Integers, terms: Terms) -> Integers:
    """Which of the factors holds at each start."""
    ends = np.array([era.until_ms for era in terms.eras[:-1]], np.int64)
    return np.searchsorted(ends, start_ms, "right").astype(np.int64)


def totals(figures: BookedEmissions | Figures) -> Totals:
    """The sums of each gas, added one by one in the order of the rows: the same everywhere."""
    return Totals(
        kgco2=_sum(figures.kgco2),
        kgch4=_sum(figures.kgch4),
        kgn2o=_sum(figures.kgn2o),
        kgco2e=_sum(figures.kgco2e),
    )


def digest(booked: BookedEmissions, figures: Figures) -> str:
    """SHA-256 over the keys of ``booked`` with these figures, row by row (`DIGEST_ROW`).

    Zero has no sign and a missing figure is the NaN ``7ff8000000000000``.
    """
    table = np.empty(len(booked), DIGEST_ROW)
    table["start_ms"] = booked.start_ms
    table["length_ms"] = booked.length_ms
    table["revision"] = booked.revision
    for name in ("kgco2", "kgch4", "kgn2o", "kgco2e", "lower", "upper"):
        table[name] = _canonical(getattr(figures, name))
    table["estimated_share"] = _canonical(booked.estimated_share)
    table["era"] = figures.era
    table["window_revision"] = booked.window_revision
    return sha256(table.data).hexdigest()


def runs_of(booked: BookedEmissions) -> Iterator[tuple[slice, Run]]:
    """The rows as runs, none longer than a record may be, with the slices that they stand for."""
    start_ms, length_ms, revision = booked.start_ms, booked.length_ms, booked.revision
    broken = (
        (np.diff(start_ms) != length_ms[:-1]) | (np.diff(length_ms) != 0) | (np.diff(revision) != 0)
    )
    edges = [0, *(np.flatnonzero(broken) + 1).tolist(), len(booked)]
    for begin, end in pairwise(edges):
        for first in range(begin, end, MOST_EMISSIONS):
            part = slice(first, min(first + MOST_EMISSIONS, end))
            run = Run(
                start_ms=int(start_ms[first]),
                length_ms=int(length_ms[first]),
                count=part.stop - first,
                revision=int(revision[first]),
            )
            yield part, run


def _booked_shares(booked: BookedEmissions, share: float) -> Floats:
    """The share each emission was booked with: a changed share holds from then on only.

    It is what the figure says, taken as the configured share where both agree to the last digits.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = booked.kgco2e / (booked.value * booked.factor_value)
    unknown = ~np.isfinite(shares) | (np.abs(shares - share) <= SAME_SHARE * abs(share))
    return np.where(unknown, share, shares)


def _products(amounts: Floats, scales: Floats) -> Floats:
    result = np.empty(len(amounts), np.float64)
    kernels.run("emissions", amounts, scales, result)
    return result


def _sum(values: Floats) -> float:
    if not len(values):
        return 0.0
    # `sum` adds in an order that depends on the machine
    return float(np.add.accumulate(np.where(np.isnan(values), 0.0, values))[-1]) + 0.0


def _canonical(values: Floats) -> Floats:
    return np.where(np.isnan(values), np.nan, values + 0.0)
