"""Carbon contents of the materials in a carbon balance."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.config.factor_rows import FactorSet, Material, Named
from agent.config.factors import FactorNotFound
from agent.config.inventory.sections import Flow, Intermediate
from agent.config.inventory.work import SUSPICIOUS, SourceFault, Work
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.basis import CarbonInputError
from agent.core.carbon.carbon_balance import CarbonFlow
from agent.core.carbon.formula import FormulaError, carbon_share
from agent.core.units import UnitError

_GAS_UNIT = "10^4Nm3"


def carbon_flows(
    key: str,
    written: Iterable[Flow | Intermediate],
    carbon_of: Callable[[CarbonFlow], float],
    work: Work,
) -> tuple[CarbonFlow, ...]:
    """The flows of one array with their carbon contents; ``carbon_of`` refuses impossible ones."""
    flows = []
    for place, flow in enumerate(written, start=1):
        where = f"{key}[{place}]"
        base = _GAS_UNIT if _is_gas(flow.unit) else "t"
        work.key = f"{where}.unit"
        scale = 1.0 if flow.unit is None else convert_amount(1.0, flow.unit, base)
        made = CarbonFlow(
            amount=flow.amount * scale,
            carbon_tc_per_unit=_carbon_content(flow, where, base, work),
            purity=_purity(flow, work),
            stock_start=flow.stock_start * scale,
            stock_end=flow.stock_end * scale,
        )
        try:
            carbon_of(made)
        except CarbonInputError as error:
            place_of_fault = f"{where}.{error.where}"
            raise SourceFault(error.what, where=place_of_fault, hint=error.hint) from None
        flows.append(made)
    return tuple(flows)


def _purity(flow: Flow | Intermediate, work: Work) -> float:
    if flow.purity == 1.0:
        return 1.0
    return work.own(f"material/{flow.material}/purity", flow.purity, "1")


def _is_gas(symbol: str | None) -> bool:
    try:
        return symbol is not None and convert_amount(1.0, symbol, "Nm3") > 0
    except UnitError:
        return False


def _carbon_content(flow: Flow | Intermediate, where: str, base: str, work: Work) -> float:
    """Carbon in tC per ``base``: the file's own, or of the tables."""
    work.key = f"{where}.material"
    if flow.carbon_content is not None:
        return _own_content(flow, flow.carbon_content, where, base, work)
    if base == _GAS_UNIT:
        fuel, fuel_set = work.library.fuel(flow.material, work.rules)
        if fuel.unit != base:
            raise SourceFault(
                f'"{flow.material}" is not a gas in the fuel table',
                where=f"{where}.unit",
                hint="an amount in t, or carbon_content in tC per 10^4Nm3",
            )
        carbon = fuel.ncv_gj_per_unit * fuel.carbon_content_tc_per_gj
        return work.cite(f"material/{fuel.id}", carbon, f"tC/{base}", fuel, fuel_set)
    row, factor_set, carbon = _material(flow.material, work)
    return work.cite(f"material/{row.id}", carbon, "tC/t", row, factor_set)


def _own_content(
    flow: Flow | Intermediate, content: float, where: str, base: str, work: Work
) -> float:
    if content > 1 and base == "t":
        if flow.unit is not None:
            raise SourceFault(
                f"{content:g} tC/t is more carbon than mass",
                where=f"{where}.carbon_content",
                hint="a share from 0 to 1, or a gas volume as unit",
            )
        work.warnings.append(
            f"{flow.material}: {content:g} tC per unit is only possible per {_GAS_UNIT}"
        )
    unit = base if flow.unit is not None else "unit"
    return work.own(f"material/{flow.material}", content, f"tC/{unit}")


def _material(name: str, work: Work) -> tuple[Named, FactorSet, float]:
    """A material of the tables, of the fuel table by mass, or a chemical formula."""
    try:
        row, factor_set = work.library.material(name, work.rules)
    except FactorNotFound as unknown:
        try:
            fuel, fuel_set = work.library.fuel(name, work.rules)
        except FactorNotFound:
            return _by_formula(name, unknown)
        if fuel.unit != "t":
            raise SourceFault(
                f'"{name}" is measured by volume',
                where=work.key.replace(".material", ".unit"),
                hint='unit = "10^4Nm3", or carbon_content in tC per t',
            ) from None
        return fuel, fuel_set, fuel.ncv_gj_per_unit * fuel.carbon_content_tc_per_gj
    _compare_with_formula(row, work)
    return row, factor_set, row.carbon_tc_per_t


def _by_formula(name: str, unknown: FactorNotFound) -> tuple[Named, FactorSet, float]:
    """A substance named by its formula: chemical calculation, as the report form allows."""
    try:
        carbon = carbon_share(name)
    except FormulaError:
        raise unknown from None
    row = Named(id=name, name_zh=name, name_en=name, row=name)
    factor_set = FactorSet(
        id="formula",
        kind="material",
        standard="chemical formula",
        edition="IUPAC 2021",
        table="standard atomic weights",
        status="computed",
        source="computed from the formula",
    )
    return row, factor_set, carbon


def _compare_with_formula(row: Material, work: Work) -> None:
    if row.formula is None:
        return
    physical = carbon_share(row.formula)
    if abs(row.carbon_tc_per_t - physical) > SUSPICIOUS * physical:
        work.warnings.append(
            f"{row.name_en}: the table has {row.carbon_tc_per_t:g} tC/t, the formula "
            f"{row.formula} gives {physical:.4f} "
            f"({(row.carbon_tc_per_t / physical - 1) * 100:+.1f} %): the table value is used"
        )
