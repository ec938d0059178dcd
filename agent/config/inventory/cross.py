"""Faults that only show between sources: the same fuel counted twice."""

from __future__ import annotations

from collections.abc import Iterable

from agent.config.factors import FactorNotFound, Library
from agent.config.faults import Faults
from agent.config.inventory.sections import Electricity, Fuel, Source
from agent.config.rules import Rules


def check_across(
    sources: Iterable[tuple[str, Source]], library: Library, rules: Rules, faults: Faults
) -> None:
    """Refuse a fuel that is counted by two paths, and an own plant whose fuel is counted."""
    listed = list(sources)
    fuels = [(path, one) for path, one in listed if isinstance(one, Fuel)]
    _two_paths(fuels, library, rules, faults)
    for path, source in listed:
        if isinstance(source, Electricity) and source.own_plant is not None:
            _own_plant(path, source, fuels, library, rules, faults)


def _two_paths(
    fuels: list[tuple[str, Fuel]], library: Library, rules: Rules, faults: Faults
) -> None:
    """One fuel by calorific value in one source and by carbon per unit in another."""
    first: dict[str, tuple[str, Fuel]] = {}
    for path, source in fuels:
        if source.factor is not None or source.separate:
            continue
        name = _fuel_id(source.fuel, library, rules)
        known = first.setdefault(name, (path, source))
        if (known[1].carbon_per_unit is None) != (source.carbon_per_unit is None):
            faults.add(
                f"{path}.fuel",
                f"{name} is counted by another path in {known[0]}",
                "one path per fuel; separate = true if these are different amounts",
            )


def _own_plant(
    path: str,
    source: Electricity,
    fuels: list[tuple[str, Fuel]],
    library: Library,
    rules: Rules,
    faults: Faults,
) -> None:
    plant = source.own_plant
    assert plant is not None
    if plant.fuel_source is not None:
        if plant.fuel_source not in {one.id for _, one in fuels}:
            faults.add(
                f"{path}.own_plant.fuel_source",
                f'there is no fuel source "{plant.fuel_source}"',
                "the id of the fuel source that holds the plant's fuel",
            )
        return
    burnt = _fuel_id(plant.fuel, library, rules)
    for place, one in fuels:
        if _fuel_id(one.fuel, library, rules) == burnt and not one.separate:
            faults.add(
                f"{path}.own_plant.fuel",
                f"{burnt} is counted by {place} already",
                f'fuel_source = "{one.id}" if that holds the plant\'s fuel, else '
                f"separate = true in {place}",
            )
            return


def _fuel_id(name: str, library: Library, rules: Rules) -> str:
    try:
        return library.fuel(name, rules)[0].id
    except FactorNotFound:
        return name  # its own source says so
