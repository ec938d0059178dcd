"""The rows of factor files: one record per kind of factor."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.core.carbon.fuel import fuel_factor_tco2_per_unit

Basis = Literal["average", "residual", "fossil"]
Status = Literal["seen", "secondary", "computed", "user"]
Kind = Literal[
    "fuel",
    "grid",
    "heat",
    "gwp",
    "material",
    "carbonate",
    "n2o",
    "abatement",
    "steam-saturated",
    "steam-superheated",
    "wastewater",
    "incineration",
    "landfill",
    "transport",
    "tce",
    "meter",
    "parameter",
]
Process = Literal["nitric", "adipic"]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class FactorSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the factors of one file come from."""

    id: str
    kind: Kind
    standard: str
    edition: str
    table: str
    status: Status
    source: str
    note: str = ""
    data_year: int | None = None
    valid_from: datetime.date | None = None
    valid_until: datetime.date | None = None
    supersedes: str = ""  # id of the set that this one follows under the same rules
    version: str = ""  # set when the file is read


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row with its names in both languages."""

    id: str
    name_zh: str
    name_en: str
    aliases: tuple[str, ...] = ()
    row: str = ""  # the row in the table of the standard
    note: str = ""


class Fuel(Named, frozen=True, kw_only=True):
    """Combustion parameters of one fuel."""

    unit: Literal["t", "10^4Nm3"]
    ncv_gj_per_unit: Positive
    carbon_content_tc_per_gj: Positive
    oxidation: Share

    @property
    def stream_unit(self) -> str:
        """The unit in which a meter's stream of this fuel is kept."""
        return "t" if self.unit == "t" else "Nm3"

    @property
    def tco2_per_unit(self) -> float:
        return fuel_factor_tco2_per_unit(
            ncv_gj_per_unit=self.ncv_gj_per_unit,
            carbon_content_tc_per_gj=self.carbon_content_tc_per_gj,
            oxidation=self.oxidation,
        )


class Grid(Named, frozen=True, kw_only=True):
    """CO2 per kWh of one grid or province."""

    level: Literal["national", "regional", "provincial"]
    basis: Basis
    kgco2_per_kwh: NotNegative


class Heat(Named, frozen=True, kw_only=True):
    """CO2 per GJ of purchased heat."""

    tco2_per_gj: NotNegative


class Gwp(Named, frozen=True, kw_only=True):
    """Global warming potentials of one assessment report, kgCO2e per kg."""

    ch4: Positive
    n2o: Positive


class Material(Named, frozen=True, kw_only=True):
    """Carbon in a raw material or product; ``formula`` where the pure substance has one."""

    carbon_tc_per_t: Fraction
    formula: str | None = None


class Carbonate(Named, frozen=True, kw_only=True):
    """CO2 of one carbonate."""

    tco2_per_t: Positive
    formula: str


class AcidN2o(Named, frozen=True, kw_only=True):
    """N2O of one technology of an acid plant before abatement."""

    process: Process
    kgn2o_per_t: NotNegative


class Abatement(Named, frozen=True, kw_only=True):
    """Share of the N2O that an abatement plant removes."""

    process: Process
    removal: Fraction
    removal_low: Fraction | None = None
    removal_high: Fraction | None = None


class SteamSaturated(Named, frozen=True, kw_only=True):
    """Saturated steam; ``printed_mpa`` where the standard prints a wrong pressure."""

    pressure_mpa: Positive
    temperature_c: float
    enthalpy_kj_per_kg: Positive
    printed_mpa: Positive | None = None


class SteamSuperheated(Named, frozen=True, kw_only=True):
    """Enthalpies over pressures at one temperature."""

    temperature_c: float
    pressures_mpa: tuple[float, ...]
    enthalpies_kj_per_kg: tuple[float, ...]


class Wastewater(Named, frozen=True, kw_only=True):
    """Methane correction factor of a waste-water treatment."""

    mcf: Fraction
    mcf_low: Fraction | None = None
    mcf_high: Fraction | None = None


class Incineration(Named, frozen=True, kw_only=True):
    """Carbon of a kind of waste, its fossil share and the burnt share."""

    carbon_fraction: Fraction
    fossil_fraction: Fraction
    efficiency: Fraction


class Landfill(Named, frozen=True, kw_only=True):
    """Methane correction factor of a kind of landfill."""

    mcf: Fraction


class Transport(Named, frozen=True, kw_only=True):
    """Emissions of one mode of transport."""

    kgco2e_per_tkm: NotNegative


class StandardCoal(Named, frozen=True, kw_only=True):
    """Coal equivalent of one energy carrier; no value where it follows the calorific value."""

    unit: Literal["kg", "m3", "MJ", "kWh"]
    kgce_per_unit: Positive | None = None
    calorific_kj_per_unit: Positive | None = None
    low: Positive | None = None
    high: Positive | None = None


class MeterAccuracy(Named, frozen=True, kw_only=True):
    """Accuracy that a kind of meter must have, in %."""

    accuracy_class_pct: Positive
    accuracy_class_best_pct: Positive | None = None


class Parameter(Named, frozen=True, kw_only=True):
    """A single number of a guide."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None


ROWS: Mapping[str, type[Named]] = {
    "fuel": Fuel,
    "grid": Grid,
    "heat": Heat,
    "gwp": Gwp,
    "material": Material,
    "carbonate": Carbonate,
    "n2o": AcidN2o,
    "abatement": Abatement,
    "steam-saturated": SteamSaturated,
    "steam-superheated": SteamSuperheated,
    "wastewater": Wastewater,
    "incineration": Incineration,
    "landfill": Landfill,
    "transport": Transport,
    "tce": StandardCoal,
    "meter": MeterAccuracy,
    "parameter": Parameter,
}
KIND_OF: Mapping[type[Named], str] = {row: kind for kind, row in ROWS.items()}
