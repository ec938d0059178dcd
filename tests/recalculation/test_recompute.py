"""Bulk arithmetic is that of a single window, to the last bit, and its record says all of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.carbon.booking import emission_of
from agent.core.carbon.recompute import BookedEmissions, digest, recompute, runs_of, totals
from agent.core.errors import ProofError
from agent.core.model import FactorRef, GasRates, Provenance, Window
from agent.core.recalculation import BulkRecalculation, FactorEra, Run, Terms, Totals
from agent.core.record import COLUMNS, decode_record, encode_record

# a meter has a resolution; below 1e-300 no share can be read out of a figure any more
amounts = st.floats(-1e9, 1e9).map(lambda value: round(value, 6)) | st.sampled_from([-0.0, 0.1])
rates = st.floats(0, 1e4)
LENGTH_MS = 900_000


@st.composite
def terms_of(draw: st.DrawFn) -> Terms:
    ends = sorted(draw(st.lists(st.integers(0, 10**8), max_size=3, unique=True)))
    return Terms(
        eras=tuple(
            FactorEra(
                until_ms=until_ms,
                factor=FactorRef(id="f", version=str(place), value=draw(rates), unit="kgCO2e/t"),
                gases=GasRates(
                    kgco2=draw(rates), kgch4=draw(rates), kgn2o=draw(st.sampled_from([0.0, 0.3]))
                ),
            )
            for place, until_ms in enumerate([*ends, None])
        ),
        share=draw(st.floats(0.001, 2)) * draw(st.sampled_from([1.0, -1.0])),
        uncertainty_activity_pct=draw(st.sampled_from([0.0, 2.0, 0.5773502691896258])),
    )


@st.composite
def windows_of(draw: st.DrawFn) -> list[Window]:
    starts = draw(st.lists(st.integers(0, 100), min_size=1, max_size=8, unique=True))
    return [
        Window(
            stream="m.energy",
            start_ms=start * LENGTH_MS,
            length_ms=LENGTH_MS,
            revision=draw(st.integers(0, 2)),
            value=(value := draw(amounts | st.none())),
            provenance=Provenance.MEASURED,
            method="",
            coverage=1.0,
            lower=None if value is None else draw(amounts | st.none()),
            upper=None if value is None else draw(amounts | st.none()),
        )
        for start in sorted(starts)
    ]


def booked_from(windows: list[Window], share: float) -> BookedEmissions:
    """Emissions of the windows by a factor of 0.5 and that share."""

    def floats(values: list[float | None]) -> Any:
        return np.array([np.nan if value is None else value for value in values], np.float64)

    values = floats([window.value for window in windows])
    whole = np.array([window.start_ms for window in windows], np.int64)
    return BookedEmissions(
        start_ms=whole,
        length_ms=np.full_like(whole, LENGTH_MS),
        revision=np.zeros_like(whole),
        factor=np.ones_like(whole),
        window_revision=np.array([window.revision for window in windows], np.int64),
        kgco2=values * (share * 0.5),
        kgch4=values * 0.0,
        kgn2o=values * 0.0,
        kgco2e=values * (share * 0.5),
        estimated_share=np.zeros(len(windows)),
        value=values,
        window_lower=floats([window.lower for window in windows]),
        window_upper=floats([window.upper for window in windows]),
        factor_value=np.full(len(windows), 0.5),
    )


@settings(max_examples=300, deadline=None)
@given(windows_of(), terms_of())
def test_bulk_and_single_arithmetic_agree_to_the_last_bit(
    windows: list[Window], terms: Terms
) -> None:
    figures = recompute(booked_from(windows, terms.share), terms)
    for place, window in enumerate(windows):
        era = next(
            era for era in terms.eras if era.until_ms is None or window.start_ms < era.until_ms
        )
        single = emission_of(
            "s",
            window,
            era.factor,
            gases=era.gases,
            share=terms.share,
            uncertainty_activity_pct=terms.uncertainty_activity_pct,
        )
        for name in ("kgco2", "kgch4", "kgn2o", "kgco2e", "lower", "upper"):
            value = float(getattr(figures, name)[place])
            expected = getattr(single, name)
            assert (None if value != value else value) == expected


def test_an_emission_keeps_the_share_that_it_was_booked_with() -> None:
    window = Window(
        stream="m.energy",
        start_ms=0,
        length_ms=LENGTH_MS,
        revision=0,
        value=8.0,
        provenance=Provenance.MEASURED,
        method="",
        coverage=1.0,
    )
    era = FactorEra(
        until_ms=None,
        factor=FactorRef(id="f", version="2", value=3.0, unit="kgCO2e/t"),
        gases=GasRates(kgco2=3.0),
    )
    terms = Terms(eras=(era,), share=1.0, uncertainty_activity_pct=0.0)
    assert recompute(booked_from([window], 0.25), terms).kgco2e.tolist() == [6.0]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([1, 2]), st.integers(0, 1)),
        unique_by=lambda key: key[:2],
    )
)
def test_runs_name_every_emission_once_and_in_order(listed: list[tuple[int, int, int]]) -> None:
    keys = sorted(listed)
    columns = np.array(keys, np.int64).reshape(-1, 3).T.copy()
    nothing = np.zeros(len(keys))
    whole = np.zeros(len(keys), np.int64)
    booked = BookedEmissions(*columns, whole, whole, *([nothing] * 9))
    runs = list(runs_of(booked))
    named = [
        (run.start_ms + place * run.length_ms, run.length_ms, run.revision)
        for _, run in runs
        for place in range(run.count)
    ]
    assert named == keys
    assert [part.stop - part.start for part, _ in runs] == [run.count for _, run in runs]
    assert all(one.stop == following.start for (one, _), (following, _) in pairwise(runs))


def test_zero_has_no_sign_under_the_hash_and_every_nan_is_the_same() -> None:
    window = Window(
        stream="m.energy",
        start_ms=0,
        length_ms=LENGTH_MS,
        revision=0,
        value=0.0,
        provenance=Provenance.MEASURED,
        method="",
        coverage=1.0,
    )
    booked = booked_from([window], 1.0)
    era = FactorEra(
        until_ms=None,
        factor=FactorRef(id="f", version="2", value=3.0, unit="kgCO2e/t"),
        gases=GasRates(kgco2=3.0),
    )
    figures = recompute(booked, Terms(eras=(era,), share=1.0, uncertainty_activity_pct=0.0))
    minus = replace(figures, kgco2e=-figures.kgco2e, lower=-figures.lower)
    assert digest(booked, minus) == digest(booked, figures)
    assert totals(minus) == totals(figures)
    assert str(totals(minus).kgco2e) == "0.0"


RECORD = BulkRecalculation(
    source="锅炉",
    stream="meter.gas",
    start_ms=0,
    end_ms=3_600_000,
    runs=(
        Run(start_ms=0, length_ms=900_000, count=3, revision=0),
        Run(start_ms=2_700_000, length_ms=900_000, count=1, revision=4),
    ),
    terms=Terms(
        eras=(
            FactorEra(
                until_ms=1_800_000,
                factor=FactorRef(id="a", version="1", value=0.1 + 0.2, unit="kgCO2e/t"),
                gases=GasRates(kgco2=0.1 + 0.2),
            ),
            FactorEra(
                until_ms=None,
                factor=FactorRef(id="a", version="2", value=5e-324, unit="kgCO2e/t"),
                gases=GasRates(kgco2=1.0, kgch4=2.0, kgn2o=3.0),
            ),
        ),
        share=-0.5,
        uncertainty_activity_pct=2.0,
    ),
    library="0123456789ab",
    count=4,
    before=Totals(kgco2=1.0, kgch4=2.0, kgn2o=3.0, kgco2e=4.0),
    after=Totals(kgco2=1.5, kgch4=2.5, kgn2o=3.5, kgco2e=4.5),
    sha256="ab" * 32,
)


def test_a_record_comes_back_as_it_went_in() -> None:
    assert decode_record(encode_record(RECORD), COLUMNS) == RECORD
    assert list(RECORD.replaced()) == [
        (0, 900_000, 0),
        (900_000, 900_000, 0),
        (1_800_000, 900_000, 0),
        (2_700_000, 900_000, 4),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 5},
        {"runs": ()},
        {"start_ms": 1},
        {"end_ms": 3_599_999},
        {"end_ms": 2**60},
        {"runs": (Run(start_ms=0, length_ms=1, count=10**12, revision=0),), "count": 10**12},
        {"terms": replace(RECORD.terms, eras=RECORD.terms.eras[:1])},
        {"terms": replace(RECORD.terms, eras=RECORD.terms.eras[::-1])},
        {"terms": replace(RECORD.terms, eras=())},
        {"terms": replace(RECORD.terms, share=inf)},
    ],
)
def test_what_cannot_be_a_recalculation_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProofError):
        decode_record(encode_record(replace(RECORD, **changes)), COLUMNS)
