"""Emissions of many windows at once are those of one window after the other, bit for bit."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.carbon.booking import BookedWindow, emission_of, emissions_of
from agent.core.model import Emission, FactorRef, GasRates, Provenance, Window

AMOUNTS = st.floats(-1e9, 1e9) | st.sampled_from([0.0, -0.0, 0.1, 1e-300])


@st.composite
def booked_windows(draw: st.DrawFn) -> BookedWindow:
    value = draw(AMOUNTS | st.none())
    rate = draw(st.floats(0, 1e4))
    window = Window(
        stream="m.energy",
        start_ms=draw(st.integers(0, 10**13)),
        length_ms=60_000,
        revision=draw(st.integers(0, 3)),
        value=value,
        provenance=draw(st.sampled_from(list(Provenance))),
        method="",
        coverage=1.0,
        lower=None if value is None else draw(AMOUNTS | st.none()),
        upper=None if value is None else draw(AMOUNTS | st.none()),
    )
    return BookedWindow(
        source=draw(st.sampled_from(["a", "b"])),
        window=window,
        factor=FactorRef(id="f", version="1", value=rate, unit="kgCO2e/kWh"),
        gases=GasRates(
            kgco2=rate, kgch4=draw(st.floats(-1, 1)), kgn2o=draw(st.sampled_from([0.0, 0.3]))
        ),
        share=draw(st.floats(-2, 2)),
        uncertainty_activity_pct=draw(st.sampled_from([0.0, 2.0, 0.5773502691896258])),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(booked_windows(), max_size=12))
def test_arrays_and_single_windows_agree_to_the_last_bit(listed: list[BookedWindow]) -> None:
    single = [
        emission_of(
            one.source,
            one.window,
            one.factor,
            gases=one.gases,
            share=one.share,
            uncertainty_activity_pct=one.uncertainty_activity_pct,
        )
        for one in listed
    ]
    together = emissions_of(listed)
    assert together == single
    assert [bits(one) for one in together] == [bits(one) for one in single]


def bits(emission: Emission) -> list[bytes | None]:
    figures = (
        emission.kgco2,
        emission.kgch4,
        emission.kgn2o,
        emission.kgco2e,
        emission.lower,
        emission.upper,
    )
    return [None if value is None else struct.pack("<d", value) for value in figures]
