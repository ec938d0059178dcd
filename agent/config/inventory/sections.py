"""The tables of an inventory file, one record per kind of source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.config.factor_rows import Basis

Text = Annotated[str, Meta(min_length=1, max_length=200)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Share = Annotated[float, Meta(gt=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=1000)]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; unknown keys are faults."""


class Heading(Table, frozen=True, kw_only=True):
    """`[inventory]`: what is reported, under which rules."""

    name: str = ""
    rules: Text
    gwp: Literal["SAR", "AR4", "AR5", "AR6"] | None = None  # default: that of the rules


class Source(Table, frozen=True, kw_only=True):
    """What every source may say, whatever its kind."""

    id: Text
    kind: str
    name: str = ""
    note: str = ""
    factor: NotNegative | None = None
    evidence: Text | None = None  # contract, settlement, certificates, laboratory report
    meter: Text | None = None  # sources of one meter share its error
    meter_class: Text | Positive | None = None
    uncertainty_activity_pct: Percent | None = None
    uncertainty_factor_pct: Percent | None = None
    estimated_share: Fraction = 0.0


class Fuel(Source, frozen=True, kw_only=True):
    fuel: Text
    amount: NotNegative
    unit: Text | None = None
    ncv: Positive | None = None
    carbon_content: Positive | None = None
    oxidation: Fraction | None = None
    carbon_per_unit: Positive | None = None
    biogenic_share: Fraction = 0.0
    separate: bool = False  # not a part of the amount of another source of the same fuel


class OwnPlant(Table, frozen=True, kw_only=True):
    """A power plant of the site: its electricity is counted by its fuel, once."""

    fuel: Text
    generated_mwh: NotNegative
    efficiency: Share
    carbon_content: Positive | None = None
    oxidation: Fraction | None = None
    fuel_source: Text | None = None  # the fuel source that counts the fuel already


class Electricity(Source, frozen=True, kw_only=True):
    purchased_mwh: NotNegative | None = None
    exported_mwh: NotNegative | None = None
    region: Text | None = None
    year: int | None = None
    basis: Basis | None = None
    own_plant: OwnPlant | None = None
    equivalent_kgce_per_kwh: Positive | None = None  # coal use of the year for power supply


class Steam(Table, frozen=True, kw_only=True):
    mass_t: NotNegative
    pressure_mpa: Positive | None = None
    temperature_c: float | None = None
    saturated: bool = False
    enthalpy_kj_per_kg: Positive | None = None


class HotWater(Table, frozen=True, kw_only=True):
    mass_t: NotNegative
    temperature_c: float


class Heat(Source, frozen=True, kw_only=True):
    purchased_gj: NotNegative | None = None
    exported_gj: NotNegative | None = None
    steam: Steam | None = None
    hot_water: HotWater | None = None
    exported_steam: Steam | None = None
    exported_hot_water: HotWater | None = None


class Flow(Table, frozen=True, kw_only=True):
    """A material that went into or came out of a process."""

    material: Text
    amount: NotNegative
    unit: Text | None = None
    carbon_content: NotNegative | None = None
    purity: Fraction = 1.0
    stock_start: NotNegative = 0.0
    stock_end: NotNegative = 0.0


class Intermediate(Table, frozen=True, kw_only=True):
    """A material whose stock inside the process changed."""

    material: Text
    amount: NotNegative = 0.0
    unit: Text | None = None
    carbon_content: NotNegative | None = None
    purity: Fraction = 1.0
    stock_start: NotNegative = 0.0
    stock_end: NotNegative = 0.0


class CarbonBalance(Source, frozen=True, kw_only=True):
    inputs: tuple[Flow, ...]
    products: tuple[Flow, ...] = ()
    wastes: tuple[Flow, ...] = ()
    intermediates: tuple[Intermediate, ...] = ()
    recovered_c_t: NotNegative = 0.0


class Reaction(Source, frozen=True, kw_only=True):
    equation: Text | None = None
    feed: Text | None = None
    amount: NotNegative
    unit: Text | None = None
    conversion: Fraction = 1.0
    purity: Fraction = 1.0
    masses: Literal["rounded", "standard"] = "rounded"


class CokeBurn(Source, frozen=True, kw_only=True):
    amount: NotNegative
    unit: Text | None = None
    carbon_content: Fraction | None = None
    oxidation: Fraction | None = None


class Component(Table, frozen=True, kw_only=True):
    carbonate: Text
    purity: Fraction


class Carbonate(Source, frozen=True, kw_only=True):
    carbonate: Text | None = None
    amount: NotNegative
    unit: Text | None = None
    purity: Fraction = 1.0
    conversion: Fraction = 1.0
    components: tuple[Component, ...] = ()


class NitricAcid(Source, frozen=True, kw_only=True):
    technology: Text | None = None
    output_t: NotNegative
    abatement: Text | None = None
    removal: Fraction | None = None
    utilisation: Fraction = 1.0


class AdipicAcid(Source, frozen=True, kw_only=True):
    process: Text | None = None
    output_t: NotNegative
    abatement: Text | None = None
    removal: Fraction | None = None
    utilisation: Fraction = 1.0


class Co2Recovery(Source, frozen=True, kw_only=True):
    volume_1e4nm3: NotNegative
    purity: Fraction


class Flare(Source, frozen=True, kw_only=True):
    volume_1e4nm3: NotNegative | None = None
    carbon: NotNegative | None = None
    composition: dict[str, Fraction] | None = None
    co2_fraction: Fraction | None = None
    oxidation: Fraction | None = None
    rate_1e4nm3_h: NotNegative | None = None
    hours: NotNegative | None = None
    carbon_number: Positive | None = None


class Wastewater(Source, frozen=True, kw_only=True):
    volume_m3: NotNegative
    cod_in: NotNegative
    cod_out: NotNegative = 0.0
    treatment: Text | None = None
    b0: NotNegative | None = None
    mcf: Fraction | None = None
    sludge_cod_kg: NotNegative = 0.0
    recovered_ch4_t: NotNegative = 0.0


class Incineration(Source, frozen=True, kw_only=True):
    amount: NotNegative
    unit: Text | None = None
    waste: Text | None = None
    carbon_fraction: Fraction | None = None
    fossil_fraction: Fraction | None = None
    efficiency: Fraction | None = None


class Landfill(Source, frozen=True, kw_only=True):
    amount: NotNegative | None = None
    age_years: Annotated[int, Meta(ge=0, le=200)] | None = None  # since amount was deposited
    deposits: tuple[NotNegative, ...] = ()  # t of successive years, the last is the reported one
    unit: Text | None = None
    site: Text | None = None
    doc: Fraction | None = None
    doc_f: Fraction | None = None
    mcf: Fraction | None = None
    k: Positive | None = None
    methane_fraction: Fraction | None = None
    oxidation: Fraction | None = None
    recovered_ch4_t: NotNegative = 0.0


class Transport(Source, frozen=True, kw_only=True):
    mass_t: NotNegative
    distance_km: NotNegative
    mode: Text | None = None


class Cems(Source, frozen=True, kw_only=True):
    gas: Literal["co2", "ch4", "n2o"] = "co2"
    concentration_mg_nm3: NotNegative | None = None
    concentration_pct: Annotated[float, Meta(ge=0, le=100)] | None = None
    dry_flow_nm3_h: NotNegative | None = None
    hours: NotNegative | None = None
    mass_t: NotNegative | None = None  # of the gas, where the instrument itself counts it


class Factor(Source, frozen=True, kw_only=True):
    amount: NotNegative
    factor: NotNegative
    unit: Text = "t"
    gas: Literal["co2e", "co2", "ch4", "n2o"] = "co2e"


class Product(Table, frozen=True, kw_only=True):
    """A co-product that bears a part of the total; per unit of its amount."""

    id: Text
    amount: NotNegative = 0.0
    energy_gj: NotNegative | None = None
    price: NotNegative | None = None
    carbon_content: NotNegative | None = None
    share: Fraction | None = None


class Allocation(Table, frozen=True, kw_only=True):
    method: Literal["mass", "energy", "price", "carbon", "agreed"]
    product: tuple[Product, ...]
    sources: tuple[Text, ...] = ()  # which sources are shared; none named: all


KINDS: Mapping[str, type[Source]] = {
    "fuel": Fuel,
    "electricity": Electricity,
    "heat": Heat,
    "carbon_balance": CarbonBalance,
    "reaction": Reaction,
    "coke_burn": CokeBurn,
    "carbonate": Carbonate,
    "nitric_acid": NitricAcid,
    "adipic_acid": AdipicAcid,
    "co2_recovery": Co2Recovery,
    "flare": Flare,
    "wastewater": Wastewater,
    "incineration": Incineration,
    "landfill": Landfill,
    "transport": Transport,
    "cems": Cems,
    "factor": Factor,
}
