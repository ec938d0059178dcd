"""From sums of the book to the figures of the report: shares, groups, uncertainty."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from agent.core.carbon.inventory import PURCHASED_ENERGY, without_purchased
from agent.core.carbon.uncertainty import UncertainTerm, half_width
from agent.core.report.model import (
    NINETY_OF_NINETY_FIVE,
    NO_MASS,
    UNKNOWN,
    ZERO,
    DayFigures,
    GasFigures,
    GroupFigures,
    Mass,
    SourceFigures,
    SourcePlace,
    Totals,
    kept,
    kept_decimal,
    total_of,
)
from agent.core.report.sums import SourceSum, StreamSum
from agent.core.timebase import local_days

GAS_SLACK = Decimal("0.000001")  # of the sum: kept masses times a warming potential
GAS_SLACK_KG = Decimal("0.01")
_LEAST_RATIO = Decimal("0.5")  # of two sets of warming potentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """One source: where it stands, its sum, and the interval its stream's gaps leave (90 %)."""

    place: SourcePlace
    sum: SourceSum
    activity: float | None
    gap_share: float  # half of the stream's 90 % interval, in units of the stream
    own_plant: Mass = NO_MASS  # of purchased energy: what the site's own power plant burns

    @property
    def gap_half_95_kg(self) -> float:
        """The stream's gaps as an error of the emission, with the source's sign."""
        if not self.activity or not self.gap_share:
            return 0.0
        per_unit = float(self.sum.mass.kgco2e) / self.activity
        return per_unit * self.gap_share * self.place.share / NINETY_OF_NINETY_FIVE


def booked_sources(
    places: Iterable[SourcePlace],
    sums: Mapping[str, SourceSum],
    streams: Mapping[str, StreamSum],
) -> tuple[Booked, ...]:
    """Every configured source, and every other that the book knows of the month."""
    known = {place.id: place for place in places}
    for source, found in sums.items():
        known.setdefault(source, unknown_source(source, found.gateway))
    return tuple(_booked(place, sums, streams) for place in known.values())


def unknown_source(source: str, gateway: str = "") -> SourcePlace:
    """A source that was booked and is no longer configured: it counts, and its place is unknown."""
    return SourcePlace(
        id=source,
        name="",
        kind=UNKNOWN,
        stream="",
        unit_of_stream="",
        share=1.0,
        device="",
        device_name="",
        unit="",
        unit_name="",
        area="",
        area_name="",
        stage=UNKNOWN,
        gateway=gateway,
    )


def _booked(
    place: SourcePlace, sums: Mapping[str, SourceSum], streams: Mapping[str, StreamSum]
) -> Booked:
    found = sums.get(place.id) or nothing_booked(place.id)
    if place.period:
        amount, unit = period_activity(found)
        place = replace(place, unit_of_stream=unit)
        return Booked(place=place, sum=found, activity=amount, gap_share=0.0)
    stream = streams.get(place.stream)
    amount = None if stream is None else stream.figures.amount
    return Booked(
        place=place,
        sum=found,
        activity=None if amount is None else amount * place.share,
        gap_share=0.0 if stream is None else stream.half_90,
    )


def period_activity(found: SourceSum) -> tuple[float | None, str]:
    """The amount behind a source that is computed per period: emission by emission per unit.

    None where a factor of 0 says nothing of the amount, or where units differ.
    """
    units = {part.ref.unit.partition("/")[2] for part in found.by_factor}
    if len(units) != 1 or any(part.ref.value == 0 for part in found.by_factor):
        return None, ""
    parts = (float(part.mass.kgco2e) / part.ref.value for part in found.by_factor)
    return math.fsum(parts), units.pop()


def with_own_plant(source: Booked, grid_kg_per_mwh: Callable[[int], float | None]) -> Booked:
    """A source of purchased energy with what the site's own power plant burns set apart.

    The source is booked as ``net purchase · grid factor + fuel of the plant``, and its factor is
    that by the net purchase; so the purchase comes from the factor, and the fuel is the rest.
    ``grid_kg_per_mwh`` is the grid factor from a time on, None where no fuel is in the source.

    Example: 540 t at 0.6 t per MWh net are 900 MWh; of 0.15 t each, 135 t, so the plant burnt for
    405 t.
    """
    own = NO_MASS
    for part in source.sum.by_factor:
        grid = grid_kg_per_mwh(part.first_ms)
        if grid is None:
            continue
        booked = float(part.mass.kgco2e)
        net_mwh = booked / part.ref.value if part.ref.value else 0.0  # 0: all was given on
        burnt = kept(booked - net_mwh * grid)
        share = min(1.0, abs(float(burnt) / booked)) if booked else 0.0
        own += Mass(
            kgco2=burnt,
            kgco2e=burnt,
            estimated_kgco2e=kept(float(part.mass.estimated_kgco2e) * share),
        )
    return replace(source, own_plant=own)


def _without_purchase(source: Booked) -> Booked | None:
    """A source as it counts without purchased energy; None where it does not."""
    if source.place.kind not in PURCHASED_ENERGY:
        return source
    if not source.own_plant.kgco2e:
        return None
    whole = float(source.sum.mass.kgco2e)
    share = abs(float(source.own_plant.kgco2e) / whole) if whole else 1.0
    parts = source.sum.by_factor
    return replace(
        source,
        sum=replace(
            source.sum,
            mass=source.own_plant,
            by_factor=(replace(parts[0], mass=source.own_plant),) if parts else (),
            half_90_kg=source.sum.half_90_kg * min(1.0, share),
        ),
    )


def nothing_booked(source: str) -> SourceSum:
    return SourceSum(
        source=source,
        mass=Mass(),
        by_day={},
        by_factor=(),
        windows=0,
        missing_windows=0,
        missing_ms=0,
        booked_ms=0,
        revised_windows=0,
    )


def half_95_kg(sources: Iterable[Booked]) -> float:
    """Half of the 95 % interval of the sum of some sources, in kgCO2e.

    Approach 1 of IPCC 2006: errors that sources share (a factor, a meter with all its points, a
    gap of one stream) add with their signs, all others in quadrature.
    """
    terms: list[UncertainTerm] = []
    for source in sources:
        place = source.place
        value = float(source.sum.mass.kgco2e)
        terms.extend(_factor_terms(source))
        if place.period:  # its amounts are no stream of the report: their errors came with it
            half = source.sum.half_90_kg / NINETY_OF_NINETY_FIVE
            terms.append(UncertainTerm(value=half, activity_pct=100.0, factor_pct=0.0))
            continue
        terms.append(
            UncertainTerm(
                value=value,
                activity_pct=place.uncertainty_activity_pct,
                factor_pct=0.0,
                activity_group=_of_gateway(place, place.meter or place.stream),
            )
        )
        terms.append(
            UncertainTerm(
                value=source.gap_half_95_kg,
                activity_pct=100.0,
                factor_pct=0.0,
                activity_group=_of_gateway(place, place.stream and f"gaps of {place.stream}"),
            )
        )
    return half_width(terms)


def _of_gateway(place: SourcePlace, name: str) -> str | None:
    """A meter or stream of one gateway as a group of errors; None where there is none."""
    return f"{place.gateway} {name}" if name else None


def _factor_terms(source: Booked) -> Iterable[UncertainTerm]:
    for part in source.sum.by_factor:
        yield UncertainTerm(
            value=float(part.mass.kgco2e),
            activity_pct=0.0,
            factor_pct=source.place.uncertainty_factor_pct,
            factor_group=part.ref.id,
        )


def estimated_share(masses: Iterable[Mass]) -> float:
    """Which part of a sum is estimated, 0..1; each part weighs by its absolute emission."""
    listed = list(masses)
    weight = sum((abs(mass.kgco2e) for mass in listed), ZERO)
    guessed = sum((mass.estimated_kgco2e for mass in listed), ZERO)
    if not weight:
        return 1.0 if guessed else 0.0
    return min(1.0, float(guessed / weight))


def gross_kgco2e(sources: Iterable[Booked]) -> Decimal:
    """The sum of the sources that emit: what shares are taken of.

    Of a sum that exports and recovery make small or negative, shares would mean nothing.
    """
    return sum((max(ZERO, source.sum.mass.kgco2e) for source in sources), ZERO)


def share_of(part: Decimal, gross: Decimal) -> float | None:
    return float(part / gross) if gross else None


def source_figures(
    sources: Sequence[Booked],
    gross: Decimal,
    previous: Mapping[str, Decimal],
    last_year: Mapping[str, Decimal],
) -> tuple[SourceFigures, ...]:
    """Each source with its share of the gross sum, in the order they came."""
    return tuple(
        SourceFigures(
            place=source.place,
            mass=source.sum.mass,
            activity=source.activity,
            estimated_share=estimated_share([source.sum.mass]),
            share=share_of(source.sum.mass.kgco2e, gross),
            half_95_kg=half_95_kg([source]),
            windows=source.sum.windows,
            missing_windows=source.sum.missing_windows,
            missing_ms=source.sum.missing_ms,
            computed_ms=source.sum.booked_ms - source.sum.missing_ms,
            revised_windows=source.sum.revised_windows,
            spread=source.sum.spread,
            own_plant=source.own_plant,
            previous_kgco2e=previous.get(source.place.id),
            last_year_kgco2e=last_year.get(source.place.id),
        )
        for source in sources
    )


def group_figures(
    sources: Iterable[Booked],
    key: Callable[[SourcePlace], str],
    name: Callable[[SourcePlace], str],
    gross: Decimal,
) -> tuple[GroupFigures, ...]:
    """Sources summed by what ``key`` says, largest first."""
    groups: dict[str, list[Booked]] = {}
    for source in sources:
        groups.setdefault(key(source.place), []).append(source)
    figures = [
        GroupFigures(
            key=group,
            name=name(members[0].place),
            mass=(mass := total_of(member.sum.mass for member in members)),
            share=share_of(mass.kgco2e, gross),
            estimated_share=estimated_share(member.sum.mass for member in members),
            half_95_kg=half_95_kg(members),
        )
        for group, members in groups.items()
    ]
    return tuple(sorted(figures, key=lambda group: (-group.mass.kgco2e, group.key)))


def totals_of(sources: Sequence[Booked]) -> Totals:
    """The month's totals, with and without purchased energy."""
    direct = [part for source in sources if (part := _without_purchase(source))]
    return Totals(
        mass=total_of(source.sum.mass for source in sources),
        gross_kgco2e=gross_kgco2e(sources),
        without_energy=total_of(
            without_purchased(source.place.kind, source.sum.mass, source.own_plant)
            for source in sources
        ),
        estimated_share=estimated_share(source.sum.mass for source in sources),
        without_energy_estimated_share=estimated_share(source.sum.mass for source in direct),
        half_95_kg=half_95_kg(sources),
        without_energy_half_95_kg=half_95_kg(direct),
    )


def gas_figures(masses: Iterable[Mass], gwp_ch4: float, gwp_n2o: float) -> tuple[GasFigures, ...]:
    """A sum gas by gas, in kg and kgCO2e: ``kg · GWP``; ``masses`` are its parts by factor.

    What was booked with other potentials keeps the value it was booked with, and the potential of
    the gas is then the mean that its mass was booked with. Factors that are published in CO2
    equivalent alone belong to no gas and stand in a row of their own, so that the rows add up to
    the sum.
    """
    listed = list(masses)
    total = total_of(listed)
    ch4 = n2o = ZERO
    others = False
    for mass in listed:
        parts = [
            kept_decimal(kg * Decimal(repr(gwp)))
            for kg, gwp in ((mass.kgch4, gwp_ch4), (mass.kgn2o, gwp_n2o))
        ]
        scale = _booked_otherwise(mass, sum(parts, ZERO))
        others = others or scale != 1
        ch4 += kept_decimal(parts[0] * scale)
        n2o += kept_decimal(parts[1] * scale)
    figures = [
        GasFigures(
            gas=gas,
            gwp=float(f"{kgco2e / kg:.6g}") if others and kg else gwp,
            kg=kg,
            kgco2e=kgco2e,
        )
        for gas, gwp, kg, kgco2e in (
            ("CO2", 1.0, total.kgco2, total.kgco2),
            ("CH4", gwp_ch4, total.kgch4, ch4),
            ("N2O", gwp_n2o, total.kgn2o, n2o),
        )
    ]
    rest = total.kgco2e - total.kgco2 - ch4 - n2o
    if abs(rest) > max(GAS_SLACK_KG, GAS_SLACK * abs(total.kgco2e)):
        figures.append(GasFigures(gas="", gwp=None, kg=None, kgco2e=rest))
    return tuple(figures)


def _booked_otherwise(mass: Mass, by_gwp: Decimal) -> Decimal:
    """How far off the potentials CH4 and N2O of a mass were booked, as a ratio; else 1.

    Potentials of assessment reports differ by less than half; anything further off is no
    matter of potentials.
    """
    booked = mass.kgco2e - mass.kgco2
    if not by_gwp or abs(booked - by_gwp) <= max(GAS_SLACK_KG, GAS_SLACK * abs(mass.kgco2e)):
        return Decimal(1)
    ratio = booked / by_gwp
    return ratio if _LEAST_RATIO < ratio < 1 / _LEAST_RATIO else Decimal(1)


def day_figures(
    sources: Sequence[Booked], span: tuple[int, int], zone: ZoneInfo
) -> tuple[DayFigures, ...]:
    """Every local day of the month, also one without data."""
    days: list[datetime.date] = [day for day, _, _ in local_days(*span, zone)]
    return tuple(
        DayFigures(
            day=day,
            mass=total_of(source.sum.by_day[day] for source in sources if day in source.sum.by_day),
        )
        for day in days
    )


def expected_kg(source: Booked) -> float | None:
    """Activity times factor where one factor made the whole month; to compare with the book."""
    if len(source.sum.by_factor) != 1 or source.activity is None:
        return None
    expected = source.activity * source.sum.by_factor[0].ref.value
    return expected if math.isfinite(expected) else None
