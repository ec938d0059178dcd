"""Process emissions: carbon balances, reactions, carbonates, acids, recovered CO2."""

from __future__ import annotations

import math

from agent.config.factor_rows import Process
from agent.config.inventory.materials import carbon_flows
from agent.config.inventory.sections import (
    AdipicAcid,
    Carbonate,
    CarbonBalance,
    Co2Recovery,
    CokeBurn,
    NitricAcid,
    Reaction,
)
from agent.config.inventory.work import (
    SUSPICIOUS,
    Outcome,
    SourceFault,
    Work,
    missing,
    refuse_other_path,
)
from agent.core.carbon.basis import Gases, require_amount
from agent.core.carbon.carbon_balance import (
    carbon_balance_tco2,
    consumed_tc,
    produced_tc,
    stored_tc,
)
from agent.core.carbon.carbonate import carbonate_tco2, stoichiometric_factor_tco2_per_t
from agent.core.carbon.coke_burn import coke_burn_tco2
from agent.core.carbon.n2o import acid_plant_tn2o
from agent.core.carbon.reaction import reaction_factors_t_per_t, reaction_gases
from agent.core.carbon.recovery import recovered_tco2
from agent.core.carbon.uncertainty import spread_of_difference

_GAS_UNIT = "10^4Nm3"


def carbon_balance_outcome(source: CarbonBalance, work: Work) -> Outcome:
    """Carbon in less carbon out, by the materials' carbon contents."""
    if not source.inputs:
        raise missing("inputs", "[{ material = …, amount = … }]")
    if source.factor is not None:
        return _balance_by_factor(source, work)
    inputs = carbon_flows("inputs", source.inputs, consumed_tc, work)
    products = carbon_flows("products", source.products, produced_tc, work)
    wastes = carbon_flows("wastes", source.wastes, produced_tc, work)
    kept = carbon_flows("intermediates", source.intermediates, stored_tc, work)
    emitted = carbon_balance_tco2(
        inputs=inputs,
        products=products,
        wastes=wastes,
        intermediates=kept,
        recovered_tc=source.recovered_c_t,
    )
    taken_in = [consumed_tc(flow) for flow in inputs]
    taken_out = [produced_tc(flow) for flow in (*products, *wastes)]
    taken_out += [*(stored_tc(flow) for flow in kept), source.recovered_c_t]
    return Outcome(
        gases=Gases(tco2=emitted),
        activity=math.fsum(taken_in),
        activity_spread=spread_of_difference(taken_in, taken_out),
        activity_unit="tC",
        uncertainty="process",
    )


def _balance_by_factor(source: CarbonBalance, work: Work) -> Outcome:
    """A factor per t of input takes the place of the balance."""
    refuse_other_path(source, "products", "wastes", "intermediates", "recovered_c_t")
    used = math.fsum(
        work.amount_in("t", flow.amount + flow.stock_start - flow.stock_end, flow.unit)
        for flow in source.inputs
    )
    factor = work.own("carbon-balance", source.factor or 0.0, "tCO2/t")
    return Outcome(
        gases=Gases(tco2=require_amount("inputs", used) * factor),
        activity=used,
        activity_unit="t",
        uncertainty="process",
    )


def reaction_outcome(source: Reaction, work: Work) -> Outcome:
    """Gases formed by stoichiometry."""
    amount = work.amount_in("t", source.amount, source.unit)
    refuse_other_path(source, "equation", "feed")
    if source.factor is not None:
        reacted = amount * source.purity * source.conversion
        factor = work.own("reaction", source.factor, "tCO2/t")
        gases = Gases(tco2=reacted * factor)
    else:
        if source.equation is None:
            raise missing("equation", 'such as "CH4 + 2 O2 -> CO2 + 2 H2O"')
        if source.feed is None:
            raise missing("feed", "the species of the left side that amount is of")
        work.key = "equation"
        factors = reaction_factors_t_per_t(
            equation=source.equation, feed=source.feed, masses=source.masses
        )
        for gas, value in factors.items():
            if value:
                how = f"{source.equation}, {source.masses} atomic masses [computed]"
                work.derived(f"reaction/{source.feed}/{gas}", value, f"t{gas}/t", how)
        gases = reaction_gases(
            equation=source.equation,
            feed=source.feed,
            amount_t=amount,
            conversion=source.conversion,
            purity=source.purity,
            masses=source.masses,
        )
    return Outcome(gases=gases, activity=amount, activity_unit="t", uncertainty="process")


def coke_burn_outcome(source: CokeBurn, work: Work) -> Outcome:
    """Coke burnt off a catalyst."""
    amount = work.amount_in("t", source.amount, source.unit)
    refuse_other_path(source, "carbon_content", "oxidation")
    if source.factor is not None:
        emitted = amount * work.own("coke-burn", source.factor, "tCO2/t")
    else:
        carbon = work.chosen("carbon-content", source.carbon_content, "coke-carbon-content", source)
        oxidation = work.chosen("oxidation", source.oxidation, "coke-burn-oxidation", source)
        emitted = coke_burn_tco2(
            burned_t=amount, carbon_content_tc_per_t=carbon, oxidation=oxidation
        )
    return Outcome(
        gases=Gases(tco2=emitted), activity=amount, activity_unit="t", uncertainty="process"
    )


def carbonate_outcome(source: Carbonate, work: Work) -> Outcome:
    """One carbonate, or a material with several."""
    amount = work.amount_in("t", source.amount, source.unit)
    if source.components:
        if source.carbonate is not None or source.factor is not None:
            key = "carbonate" if source.carbonate is not None else "factor"
            raise SourceFault("stands beside components", where=key, hint="one of them")
        parts = [(one.carbonate, one.purity) for one in source.components]
        whole = sum(purity for _, purity in parts)
        if whole > 1 + 1e-9:
            raise SourceFault(
                f"the carbonates sum to {whole:g} of the material",
                where="components",
                hint="shares of the mass, together at most 1",
            )
    elif source.carbonate is None and source.factor is None:
        raise missing("carbonate", 'a formula such as "CaCO3"')
    else:
        parts = [(source.carbonate or "", source.purity)]
    emitted = 0.0
    for name, purity in parts:
        factor = _carbonate_factor(source, name, work)
        emitted += carbonate_tco2(
            amount_t=amount,
            factor_tco2_per_t=factor,
            purity=purity,
            conversion=source.conversion,
        )
    return Outcome(
        gases=Gases(tco2=emitted), activity=amount, activity_unit="t", uncertainty="process"
    )


def _carbonate_factor(source: Carbonate, name: str, work: Work) -> float:
    if source.factor is not None:
        return work.own(f"carbonate/{name or 'own'}", source.factor, "tCO2/t")
    work.key = "components" if source.components else "carbonate"
    row, factor_set = work.library.carbonate(name, work.rules)
    physical = stoichiometric_factor_tco2_per_t(row.formula)
    if abs(row.tco2_per_t - physical) > SUSPICIOUS * physical:
        work.warnings.append(
            f"{row.id}: the table has {row.tco2_per_t:g} tCO2/t, the formula gives "
            f"{physical:.4f}: the table value is used"
        )
    return work.cite(f"carbonate/{row.id}", row.tco2_per_t, "tCO2/t", row, factor_set)


def nitric_acid_outcome(source: NitricAcid, work: Work) -> Outcome:
    """N2O of a nitric acid plant."""
    return _acid(source, "nitric", source.technology, "technology", work)


def adipic_acid_outcome(source: AdipicAcid, work: Work) -> Outcome:
    """N2O of an adipic acid plant."""
    return _acid(source, "adipic", source.process, "process", work)


def _acid(
    source: NitricAcid | AdipicAcid, process: Process, name: str | None, key: str, work: Work
) -> Outcome:
    if source.factor is not None:
        factor = work.own(f"{process}-acid/{name or 'own'}", source.factor, "kgN2O/t")
    elif name is None:
        raise missing(key, "or factor in kg N2O/t")
    else:
        work.key = key
        row, factor_set = work.library.acid_n2o(process, name, work.rules)
        factor = work.cite(f"{process}-acid/{row.id}", row.kgn2o_per_t, "kgN2O/t", row, factor_set)
    removal = _removal(source, process, work)
    emitted = acid_plant_tn2o(
        output_t=source.output_t,
        factor_kgn2o_per_t=factor,
        removal=removal,
        utilisation=source.utilisation,
    )
    return Outcome(
        gases=Gases(tn2o=emitted), activity=source.output_t, activity_unit="t", uncertainty="n2o"
    )


def _removal(source: NitricAcid | AdipicAcid, process: Process, work: Work) -> float:
    if source.removal is not None:
        return work.own(f"{process}-acid/removal", source.removal, "1")
    if source.abatement is None:
        return 0.0
    work.key = "abatement"
    row, factor_set = work.library.abatement(process, source.abatement)
    return work.cite(f"abatement/{row.id}", row.removal, "1", row, factor_set)


def co2_recovery_outcome(source: Co2Recovery, work: Work) -> Outcome:
    """Recovered CO2, which is negative."""
    if source.factor is not None:
        density = work.own("co2-density", source.factor, "tCO2/10^4Nm3")
    else:
        row, factor_set = work.library.parameter("co2-density")
        density = work.cite("co2-density", row.value, row.unit, row, factor_set)
    recovered = recovered_tco2(
        volume_1e4nm3=source.volume_1e4nm3,
        purity=source.purity,
        density_tco2_per_1e4nm3=density,
    )
    return Outcome(
        gases=Gases(tco2=-recovered),
        activity=source.volume_1e4nm3,
        activity_unit=_GAS_UNIT,
        uncertainty="process",
    )
