"""What must hold for any inventory: balances close, sums agree, order changes nothing."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.carbon.allocation import CoProduct, allocate, divided
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.basis import CarbonInputError, Gases, WarmingPotentials
from agent.core.carbon.carbon_balance import CarbonFlow, carbon_balance_tco2
from agent.core.carbon.flare import flare_tco2
from agent.core.carbon.fuel import fuel_emission_tco2, fuel_factor_tco2_per_unit
from agent.core.carbon.inventory import SourceResult, totals
from agent.core.carbon.n2o import acid_plant_tn2o
from agent.core.carbon.uncertainty import UncertainTerm, half_width, relative_pct

AMOUNTS = st.floats(0, 1e9, allow_subnormal=False)
SHARES = st.floats(0, 1, allow_subnormal=False)
GWP = WarmingPotentials(id="AR5", ch4=28.0, n2o=265.0)


@given(
    carbon_in=st.lists(st.tuples(AMOUNTS, SHARES), min_size=1, max_size=6),
    split=SHARES,
)
def test_a_mass_balance_closes(carbon_in: list[tuple[float, float]], split: float) -> None:
    inputs = [CarbonFlow(amount=amount, carbon_tc_per_unit=c) for amount, c in carbon_in]
    total = math.fsum(amount * c for amount, c in carbon_in)
    products = [CarbonFlow(amount=total * split, carbon_tc_per_unit=1.0)]
    emitted = carbon_balance_tco2(inputs=inputs, products=products)
    out = products[0].amount + emitted * 12 / 44
    assert out == pytest.approx(total, rel=1e-12, abs=1e-12)


@given(amount=AMOUNTS, share=SHARES)
def test_what_goes_in_and_comes_out_emits_nothing(amount: float, share: float) -> None:
    flow = CarbonFlow(amount=amount, carbon_tc_per_unit=share)
    assert carbon_balance_tco2(inputs=[flow], products=[flow]) == 0.0


def test_a_small_remainder_keeps_its_digits() -> None:
    # 1,000,000.1 t at 0.3 less 300,000.02 tC leaves exactly 0.01 tC
    emitted = carbon_balance_tco2(
        inputs=[CarbonFlow(amount=1000000.1, carbon_tc_per_unit=0.3)],
        products=[CarbonFlow(amount=300000.02, carbon_tc_per_unit=1.0)],
    )
    assert emitted == float(Fraction(1, 100) * Fraction(44, 12))


@given(amount=st.floats(1, 1e6), more=st.floats(1e-3, 1e6))
def test_carbon_cannot_come_from_nothing(amount: float, more: float) -> None:
    with pytest.raises(CarbonInputError):
        carbon_balance_tco2(
            inputs=[CarbonFlow(amount=amount, carbon_tc_per_unit=0.5)],
            products=[CarbonFlow(amount=amount + more, carbon_tc_per_unit=0.5)],
        )


def _result(place: int, gases: Gases, kind: str = "fuel", group: str | None = None) -> SourceResult:
    return SourceResult(
        id=f"s{place}",
        kind=kind,
        gases=gases,
        activity=1.0,
        activity_unit="t",
        factors=(),
        uncertainty_activity_pct=2.0,
        uncertainty_factor_pct=5.0,
        factor_group=group,
    )


GASES = st.builds(Gases, tco2=st.floats(-1e6, 1e6), tch4=st.floats(0, 1e3), tn2o=st.floats(0, 1e3))


@given(st.lists(st.tuples(GASES, st.sampled_from(["fuel", "heat", "flare"])), max_size=12))
def test_the_total_is_the_sum_of_sources_of_kinds_and_of_gases(
    sources: list[tuple[Gases, str]],
) -> None:
    results = [_result(place, gases, kind) for place, (gases, kind) in enumerate(sources)]
    summed = totals(results, GWP)
    scale = sum(abs(one.gases.tco2e(GWP)) for one in results) + 1.0
    by_source = math.fsum(one.gases.tco2e(GWP) for one in results)
    assert summed.tco2e == pytest.approx(by_source, abs=1e-12 * scale)
    assert summed.tco2e == pytest.approx(sum(summed.subtotals.values()), abs=1e-12 * scale)
    assert summed.tco2e == pytest.approx(summed.gases.tco2e(GWP), abs=1e-12 * scale)


@given(st.data())
def test_the_order_of_sources_changes_no_digit(data: st.DataObject) -> None:
    sources = data.draw(st.lists(GASES, min_size=1, max_size=10))
    groups = [data.draw(st.sampled_from([None, "a", "b"])) for _ in sources]
    results = [
        _result(place, gases, "fuel", group)
        for place, (gases, group) in enumerate(zip(sources, groups, strict=True))
    ]
    shuffled = data.draw(st.permutations(results))
    one, other = totals(results, GWP), totals(shuffled, GWP)
    assert one.tco2e == other.tco2e
    assert one.gases == other.gases
    assert (one.lower_tco2e, one.upper_tco2e) == (other.lower_tco2e, other.upper_tco2e)


@given(AMOUNTS, SHARES)
def test_splitting_a_source_changes_neither_total_nor_shared_error(
    amount: float, cut: float
) -> None:
    def term(value: float) -> UncertainTerm:
        return UncertainTerm(
            value=value, activity_pct=3, factor_pct=7, activity_group="m", factor_group="f"
        )

    parts = [term(amount * cut), term(amount - amount * cut)]
    assert half_width(parts) == pytest.approx(half_width([term(amount)]), rel=1e-9)


def test_independent_errors_add_less_than_shared_ones() -> None:
    own = [UncertainTerm(value=100, activity_pct=5, factor_pct=10) for _ in range(4)]
    shared = [
        UncertainTerm(value=100, activity_pct=5, factor_pct=10, factor_group="coal")
        for _ in range(4)
    ]
    assert half_width(own) == pytest.approx(math.hypot(5, 10) * 2, rel=1e-12)
    assert half_width(shared) == pytest.approx(math.hypot(5 * 2, 40), rel=1e-12)
    assert half_width(own) < half_width(shared)


def test_a_purchase_and_an_export_by_one_factor_cancel_its_error() -> None:
    terms = [
        UncertainTerm(value=sign * 100, activity_pct=0, factor_pct=10, factor_group="grid")
        for sign in (1, -1)
    ]
    assert half_width(terms) == 0
    assert relative_pct(0, 0) == 0
    assert relative_pct(1, 0) is None


UNITS = st.sampled_from(
    [
        ("t", "kg"),
        ("t", "short-ton"),
        ("GJ", "MWh"),
        ("GJ", "MMBtu"),
        ("tce", "kcal"),
        ("10^4Nm3", "Nm3"),
        ("10^4Nm3", "m3@20C"),
        ("Nm3", "10^4m3@15C,98kPa"),
        ("bbl", "L"),
    ]
)


@given(st.floats(1e-6, 1e12), UNITS)
def test_units_convert_there_and_back(value: float, pair: tuple[str, str]) -> None:
    there = convert_amount(value, *pair)
    assert convert_amount(there, pair[1], pair[0]) == pytest.approx(value, rel=1e-12)


@given(
    total=st.floats(allow_nan=False, allow_infinity=False),
    weights=st.lists(st.floats(0, 1e12), min_size=1, max_size=20),
)
def test_parts_are_exactly_the_whole(total: float, weights: list[float]) -> None:
    exact = [Fraction(weight) for weight in weights]
    if sum(exact) == 0:
        return
    parts = divided(total, exact)
    assert sum(map(Fraction, parts)) == Fraction(total)
    assert sum(parts) == total
    assert sum(reversed(parts)) == total
    whole = sum(exact)
    for part, weight in zip(parts, exact, strict=True):
        assert abs(Fraction(part) - Fraction(total) * weight / whole) <= Fraction(math.ulp(total))
        assert part == 0 or (part > 0) == (total > 0)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=8), st.floats(-1e9, 1e9))
def test_shares_are_exactly_one(amounts: list[float], total: float) -> None:
    products = tuple(
        CoProduct(id=str(place), amount=amount, per_unit=0.5)
        for place, amount in enumerate(amounts)
    )
    for method in ("mass", "energy", "price", "carbon"):
        parts = allocate(total, products, method)  # type: ignore[arg-type]
        assert sum(part.share for part in parts) == 1.0
        assert sum(part.part for part in parts) == total


def test_nothing_to_share_is_refused() -> None:
    with pytest.raises(CarbonInputError):
        allocate(1.0, (CoProduct(id="a", amount=0),), "mass")
    with pytest.raises(CarbonInputError):
        allocate(1.0, (), "mass")
    with pytest.raises(CarbonInputError):
        allocate(math.inf, (CoProduct(id="a", amount=1),), "mass")


def _exact(number: float) -> Decimal:
    """The decimal number as it was written."""
    return Decimal(repr(number))


@given(
    amount=AMOUNTS,
    ncv=st.floats(1e-3, 1e3),
    carbon=st.floats(1e-4, 0.1),
    oxidation=st.floats(0.01, 1),
)
def test_fuel_against_exact_decimals(
    amount: float, ncv: float, carbon: float, oxidation: float
) -> None:
    with localcontext() as context:
        context.prec = 120
        exact = _exact(amount) * _exact(ncv) * _exact(carbon) * _exact(oxidation) * 44 / 12
    computed = fuel_emission_tco2(
        amount=amount,
        factor_tco2_per_unit=fuel_factor_tco2_per_unit(
            ncv_gj_per_unit=ncv, carbon_content_tc_per_gj=carbon, oxidation=oxidation
        ),
    )
    assert computed == pytest.approx(float(exact), rel=1e-12)


@given(volume=AMOUNTS, carbon=st.floats(0, 50), co2=SHARES, oxidation=SHARES, output=AMOUNTS)
def test_flare_and_acid_against_exact_decimals(
    volume: float, carbon: float, co2: float, oxidation: float, output: float
) -> None:
    with localcontext() as context:
        context.prec = 120
        burnt = _exact(carbon) * _exact(oxidation) * 44 / 12
        flare = _exact(volume) * (burnt + _exact(co2) * _exact(19.7))
        acid = _exact(output) * _exact(13.9) * (1 - _exact(co2) * _exact(oxidation)) / 1000
    assert flare_tco2(
        volume_1e4nm3=volume,
        carbon_tc_per_1e4nm3=carbon,
        co2_fraction=co2,
        oxidation=oxidation,
        co2_density_t_per_1e4nm3=19.7,
    ) == pytest.approx(float(flare), rel=1e-12)
    assert acid_plant_tn2o(
        output_t=output, factor_kgn2o_per_t=13.9, removal=co2, utilisation=oxidation
    ) == pytest.approx(float(acid), rel=1e-12)


@given(
    st.lists(st.tuples(AMOUNTS, SHARES, SHARES), min_size=1, max_size=8),
    SHARES,
)
def test_a_balance_against_exact_decimals(
    flows: list[tuple[float, float, float]], taken: float
) -> None:
    inputs = [
        CarbonFlow(amount=amount, carbon_tc_per_unit=carbon, purity=purity)
        for amount, carbon, purity in flows
    ]
    recovered = taken * (1 - 1e-9) * math.fsum(a * c * p for a, c, p in flows)
    with localcontext() as context:
        context.prec = 120
        entered = sum((_exact(a) * _exact(c) * _exact(p) for a, c, p in flows), Decimal(0))
        exact = (entered - _exact(recovered)) * 44 / 12
    computed = carbon_balance_tco2(inputs=inputs, products=[], recovered_tc=recovered)
    assert computed == pytest.approx(float(exact), rel=1e-12)
