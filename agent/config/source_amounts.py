"""Where a metered or entered amount goes in the table of a kind, as `tanshu calc` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from agent.config.inventory.sections import KINDS
from agent.core.carbon.amounts import convert_amount

Path = tuple[str | int, ...]  # keys and places from 0, from the source's table down

# The key that the amount of `stream` or `activity` stands for.
MAIN: Mapping[str, Path] = {
    "fuel": ("amount",),
    "electricity": ("purchased_mwh",),
    "heat": ("purchased_gj",),
    "reaction": ("amount",),
    "coke_burn": ("amount",),
    "carbonate": ("amount",),
    "nitric_acid": ("output_t",),
    "adipic_acid": ("output_t",),
    "co2_recovery": ("volume_1e4nm3",),
    "flare": ("volume_1e4nm3",),
    "wastewater": ("volume_m3",),
    "incineration": ("amount",),
    "landfill": ("amount",),
    "transport": ("mass_t",),
    "cems": ("dry_flow_nm3_h",),
    "factor": ("amount",),
}

# Keys that hold an amount of a period, and its unit; «amount» and stocks have a `unit` beside them.
KEY_UNITS: Mapping[str, str] = {
    "purchased_mwh": "MWh",
    "exported_mwh": "MWh",
    "generated_mwh": "MWh",
    "purchased_gj": "GJ",
    "exported_gj": "GJ",
    "output_t": "t",
    "mass_t": "t",
    "recovered_c_t": "t",
    "recovered_ch4_t": "t",
    "sludge_cod_kg": "kg",
    "volume_1e4nm3": "10^4Nm3",
    "volume_m3": "m3",
    "dry_flow_nm3_h": "Nm3",  # with hours = 1
}
_WITH_UNIT = ("amount", "stock_start", "stock_end")
_UNIT_OF_AMOUNT = {"factor": "t"}

# What holds for a period as a whole, so that it cannot be booked window by window.
PERIOD_KEYS: Mapping[str, tuple[str, ...]] = {
    "fuel": ("amount",),
    "electricity": ("purchased_mwh", "exported_mwh", "own_plant"),
    "heat": ("purchased_gj", "exported_gj", "exported_steam", "exported_hot_water"),
    "wastewater": ("sludge_cod_kg", "recovered_ch4_t"),
    "landfill": ("deposits", "age_years", "k", "recovered_ch4_t"),
    "flare": ("rate_1e4nm3_h", "hours"),
    "cems": ("hours",),
}


def main_path(kind: str, table: Mapping[str, Any], unit: str) -> Path | None:
    """The path of the key that takes the amount; None where a kind has more than one.

    Heat of steam or hot water is metered by its mass; a gas that a stack meter weighs itself has
    no flow.
    """
    if kind == "heat":
        for carrier in ("steam", "hot_water"):
            if carrier in table:
                return (carrier, "mass_t")
    if kind == "cems" and unit in ("t", "kg"):
        return ("mass_t",)
    return MAIN.get(kind)


def with_amount(table: Mapping[str, Any], path: Path, amount: float, unit: str) -> dict[str, Any]:
    """A copy of a source's table with an amount put in, in the unit that the key takes.

    Raises:
        UnitError: the amount is of another dimension than the key.
    """
    copy = deepcopy(dict(table))
    put(copy, path, amount, unit)
    return copy


def put(table: dict[str, Any], path: Path, amount: float, unit: str) -> None:
    """Put an amount into a table of a source, converted; see `with_amount`."""
    holder: Any = table
    for step in path[:-1]:
        holder = holder[step]
    key = str(path[-1])
    if key in _WITH_UNIT:
        wanted = holder.get("unit") or _UNIT_OF_AMOUNT.get(str(table["kind"]), unit)
        holder["unit"] = wanted
        holder[key] = convert_amount(amount, unit, wanted)
    elif key == "mass_t" and unit == "t·km":
        holder[key], holder["distance_km"] = amount, 1.0
    else:
        holder[key] = convert_amount(amount, unit, KEY_UNITS[key])
    if key == "dry_flow_nm3_h":
        holder["hours"] = 1.0


def calc_fields(kind: str) -> Sequence[str]:
    """The keys that `tanshu calc` knows of a kind."""
    return KINDS[kind].__struct_encode_fields__


def calc_table(kind: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a site file's source that `tanshu calc` reads too."""
    fields = calc_fields(kind)
    return deepcopy({key: value for key, value in table.items() if key in fields})
