"""A source on a stream books what `tanshu calc` computes of the same amount."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.config.inventory.sections import KINDS as CALC_KINDS
from agent.core.activity import ActivityKind
from agent.core.carbon.booking import emission_of
from agent.core.model import Provenance, Window
from tests.carbon.inventory_text import calculate
from tests.sources.plant import Plant, month
from tests.sources.site_text import UNITS, faults_of, site_with

JULY = month(7)
JULY_MS = JULY[0]
AMOUNT = 1234.5

# id, stream, the source's own keys, the amount as `tanshu calc` takes it
KINDS = [
    ("fuel-gas", "gas", 'kind = "fuel"\nfuel = "natural-gas"', 'amount = @\nunit = "Nm3"'),
    (
        "fuel-carbon",
        "mass",
        'kind = "fuel"\nfuel = "烟煤"\ncarbon_per_unit = 0.55\nbiogenic_share = 0.2',
        "amount = @",
    ),
    ("grid", "energy", 'kind = "electricity"\nregion = "四川"\nyear = 2023', "purchased_mwh = @k"),
    ("heat", "heat", 'kind = "heat"', "purchased_gj = @"),
    (
        "steam",
        "mass",
        'kind = "heat"\nsteam = { pressure_mpa = 1.0, temperature_c = 300 @,mass_t }',
        "",
    ),
    ("carbonate", "mass", 'kind = "carbonate"\ncarbonate = "CaCO3"\npurity = 0.97', "amount = @"),
    ("coke", "mass", 'kind = "coke_burn"\ncarbon_content = 0.95\noxidation = 0.98', "amount = @"),
    (
        "nitric",
        "mass",
        'kind = "nitric_acid"\ntechnology = "dual-pressure"\nremoval = 0.85',
        "output_t = @",
    ),
    ("adipic", "mass", 'kind = "adipic_acid"\nprocess = "硝酸氧化"', "output_t = @"),
    ("recovered", "gas", 'kind = "co2_recovery"\npurity = 0.99', "volume_1e4nm3 = @w"),
    (
        "flare",
        "gas",
        'kind = "flare"\ncomposition = { CH4 = 0.8, C2H6 = 0.12, CO2 = 0.05, N2 = 0.03 }',
        "volume_1e4nm3 = @w",
    ),
    (
        "effluent",
        "water",
        'kind = "wastewater"\ncod_in = 1.8\ncod_out = 0.1\ntreatment = "anaerobic-reactor"',
        "volume_m3 = @",
    ),
    ("burnt", "mass", 'kind = "incineration"\nwaste = "hazardous"', "amount = @"),
    ("buried", "mass", 'kind = "landfill"\nfactor = 0.05', "amount = @"),
    (
        "lorries",
        "mass",
        'kind = "transport"\ndistance_km = 480\nmode = "heavy-diesel-truck-30t"',
        "mass_t = @",
    ),
    (
        "calcination",
        "mass",
        'kind = "reaction"\nequation = "CaCO3 -> CaO + CO2"\nfeed = "CaCO3"\nconversion = 0.98',
        "amount = @",
    ),
    ("own", "energy", 'kind = "factor"\nfactor = 0.11\nunit = "MWh"\ngas = "n2o"', "amount = @k"),
    (
        "stack",
        "gas",
        'kind = "cems"\ngas = "n2o"\nconcentration_mg_nm3 = 120',
        "dry_flow_nm3_h = @\nhours = 1",
    ),
    ("weighed", "mass", 'kind = "cems"\ngas = "co2"', "mass_t = @"),
]


def calculated(name: str, keys: str, amount: str) -> dict[str, Any]:
    """What `tanshu calc` says of a source with the amount."""
    filled = keys.replace("@,mass_t", f", mass_t = {AMOUNT}")
    for sign, scale in (("@k", 1e3), ("@w", 1e4), ("@", 1.0)):
        amount = amount.replace(sign, repr(AMOUNT / scale))
    text = f'[[source]]\nid = "{name}"\n{filled}\n{amount}\n'
    found: dict[str, Any] = calculate(text)["sources"][0]
    return found


@pytest.mark.parametrize(("name", "point", "keys", "amount"), KINDS, ids=[one[0] for one in KINDS])
def test_a_kind_on_a_stream_is_what_calc_computes(
    tmp_path: Path, name: str, point: str, keys: str, amount: str
) -> None:
    written = keys.replace("@,mass_t", "")
    text = f'[[source]]\nid = "{name}"\ndevice = "d"\nstream = "m.{point}"\n{written}\n'
    plan = site_with(tmp_path, text).sources[name]
    window = Window(
        stream=f"m.{point}",
        start_ms=JULY_MS,
        length_ms=900_000,
        revision=0,
        value=AMOUNT,
        provenance=Provenance.MEASURED,
        method="",
        coverage=1.0,
    )
    booked = emission_of(
        name,
        window,
        plan.factor_at(JULY_MS),
        gases=plan.gases_at(JULY_MS),
        share=plan.section.share,
    )
    wanted = calculated(name, keys, amount)
    assert booked.kgco2e == pytest.approx(wanted["tco2e"] * 1000, rel=1e-12)
    assert booked.kgco2 == pytest.approx(wanted["tco2"] * 1000, rel=1e-12)
    assert booked.kgch4 == pytest.approx(wanted["tch4"] * 1000, rel=1e-12)
    assert booked.kgn2o == pytest.approx(wanted["tn2o"] * 1000, rel=1e-12)
    assert plan.uncertainty_factor_pct >= 0
    assert plan.factor.unit == f"kgCO2e/{UNITS[point]}"


@pytest.mark.parametrize(
    ("name", "point", "keys", "amount"),
    [one for one in KINDS if one[0] != "weighed"],
    ids=[one[0] for one in KINDS if one[0] != "weighed"],
)
def test_a_kind_of_entered_data_is_what_calc_computes(
    tmp_path: Path, name: str, point: str, keys: str, amount: str
) -> None:
    text = f'[[source]]\nid = "{name}"\ndevice = "d"\nactivity = "activity.raw-material.x"\n'
    text += keys.replace("@,mass_t", "") + "\n"
    plant = Plant(tmp_path, site_with(tmp_path, text), seen_ms=JULY[0])
    plant.enter(ActivityKind.RAW_MATERIAL, "x", AMOUNT, JULY, UNITS[point])
    plant.run(JULY[1])
    (booked,) = plant.emissions(name)
    plant.close()
    wanted = calculated(name, keys, amount)
    assert booked.kgco2e == pytest.approx(wanted["tco2e"] * 1000, rel=1e-9)
    assert booked.kgch4 == pytest.approx(wanted["tch4"] * 1000, rel=1e-9)
    assert booked.factor.id.partition("@")[0] == wanted["factors"][0]["id"].partition("@")[0]


def test_amounts_that_are_not_proportional_are_fed_per_period(tmp_path: Path) -> None:
    text = (
        '[[source]]\nid = "w"\ndevice = "d"\nkind = "wastewater"\ncod_in = 1.8\n'
        'treatment = "anaerobic-reactor"\nvolume_m3 = { stream = "m.water" }\n'
        'recovered_ch4_t = { activity = "activity.product.biogas" }\n'
        '[[source]]\nid = "l"\ndevice = "d"\nkind = "landfill"\ndoc = 0.09\n'
        'site = "managed-anaerobic"\nk = 0.06\nage_years = 3\n'
        'activity = "activity.waste.sludge-landfill"\n'
        '[[source]]\nid = "b"\ndevice = "d"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "methanol", activity = "activity.raw-material.methanol" }]\n'
        'intermediates = [{ material = "methanol", '
        'stock = "activity.intermediate-stock.methanol" }]\n'
    )
    plant = Plant(tmp_path, site_with(tmp_path, text), seen_ms=JULY[0])
    plant.windows("m.water", JULY, 42_000.0)
    plant.enter(ActivityKind.PRODUCT, "biogas", 9.0, JULY)
    plant.enter(ActivityKind.WASTE, "sludge", 190.0, JULY, treatment="landfill")
    plant.enter(ActivityKind.RAW_MATERIAL, "methanol", 50.0, JULY)
    plant.enter(ActivityKind.INTERMEDIATE_STOCK, "methanol", 5.0, (JULY[0] - 1000, JULY[0]))
    plant.enter(ActivityKind.INTERMEDIATE_STOCK, "methanol", 8.0, (JULY[1] - 1000, JULY[1]))
    assert plant.run(JULY[1]) == []
    wanted = calculate(
        '[[source]]\nid = "w"\nkind = "wastewater"\ncod_in = 1.8\n'
        'treatment = "anaerobic-reactor"\nvolume_m3 = 42000\nrecovered_ch4_t = 9\n'
        '[[source]]\nid = "l"\nkind = "landfill"\ndoc = 0.09\nsite = "managed-anaerobic"\n'
        "k = 0.06\nage_years = 3\namount = 190\n"
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "methanol", amount = 50 }]\n'
        'intermediates = [{ material = "methanol", stock_start = 5, stock_end = 8 }]\n'
    )["sources"]
    for one in wanted:
        (booked,) = plant.emissions(one["id"])
        assert booked.kgco2e == pytest.approx(one["tco2e"] * 1000, rel=1e-9)
    plant.close()


REFUSED = [
    ('kind = "carbonate"\nstream = "m.gas"\ncarbonate = "CaCO3"', "stream", "normal gas volume"),
    ('kind = "carbonate"\nstream = "m.mass"\ncarbonate = "CaCO"', "carbonate", "unknown"),
    ('kind = "carbonate"\nstream = "m.mass"\ncarbonate = "CaCO3"\npurity = 1.2', "purity", "1.2"),
    (
        'kind = "carbonate"\nstream = "m.mass"\ncarbonate = "CaCO3"\namount = 3.0',
        "amount",
        "holds for a period",
    ),
    ('kind = "carbonate"\nstream = "m.mass"\ncarbonat = "CaCO3"', "carbonat", "unknown key"),
    ('kind = "nitric_acid"\nstream = "m.mass"', "technology", "missing"),
    (
        'kind = "wastewater"\nstream = "m.water"\ncod_in = 2\ntreatment = "anaerobic-reactor"\n'
        "recovered_ch4_t = 4",
        "recovered_ch4_t",
        "holds for a period",
    ),
    (
        'kind = "heat"\nstream = "m.mass"\nsteam = { pressure_mpa = 90, temperature_c = 300 }',
        "steam",
        "",
    ),
    ('kind = "carbon_balance"\nstream = "m.mass"', "stream", "no share of one stream"),
    ('kind = "carbonate"\nstream = "m.mass"\nncv = 3', "ncv", "no meaning"),
    (
        'kind = "factor"\nstream = "m.mass"\nfactor = -1.0',
        "factor",
        "-1",
    ),
    ('kind = "flair"\nstream = "m.gas"', "kind", "flair"),
    (
        'kind = "incineration"\nstream = "m.mass"\nwaste = "hazardous"\nefficiency = 99',
        "efficiency",
        "99",
    ),
]


@pytest.mark.parametrize(("keys", "path", "words"), REFUSED)
def test_what_cannot_be_is_refused_at_its_key(
    tmp_path: Path, keys: str, path: str, words: str
) -> None:
    faults = faults_of(tmp_path, f'[[source]]\nid = "s"\ndevice = "d"\n{keys}\n')
    assert any(
        fault.path.startswith(f"source[s].{path}") and words in fault.what for fault in faults
    ), [str(fault) for fault in faults]


def test_an_unknown_name_comes_with_the_nearest_one(tmp_path: Path) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "carbonate"\nstream = "m.mass"\n'
    (fault,) = faults_of(tmp_path, text + 'carbonate = "CaCO"')
    assert "did you mean" in fault.hint


def test_recovered_co2_is_a_share_below_zero_and_its_factor_is_not(tmp_path: Path) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "co2_recovery"\nstream = "m.gas"\n'
    text += "purity = 1\n"
    plan = site_with(tmp_path, text).sources["s"]
    assert plan.factor.value > 0
    assert plan.section.share == -1.0


def test_own_factor_changes_by_day_for_every_kind(tmp_path: Path) -> None:
    text = (
        '[[source]]\nid = "s"\ndevice = "d"\nkind = "incineration"\nstream = "m.mass"\n'
        "factor = 3.2\nchanges = [{ since = 2026-07-01, factor = 3.0 }]\n"
    )
    plan = site_with(tmp_path, text).sources["s"]
    assert plan.factor_at(JULY_MS - 1).value == pytest.approx(3200)
    assert plan.factor_at(JULY_MS).value == pytest.approx(3000)
    assert plan.gases_at(JULY_MS - 1).kgco2 == pytest.approx(3200)


def test_the_class_of_the_meter_says_how_sure_the_amount_is(tmp_path: Path) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "electricity"\nstream = "m.energy"\n'
    classed = site_with(tmp_path, text, meter="accuracy_class = 0.5").sources["s"]
    assert classed.section.uncertainty_activity_pct == pytest.approx(0.57735, abs=1e-5)
    plain = site_with(tmp_path, text).sources["s"]
    assert plain.section.uncertainty_activity_pct == 2.0
    stated = site_with(tmp_path, text + "uncertainty_activity_pct = 1.5\n").sources["s"]
    assert stated.section.uncertainty_activity_pct == 1.5


def test_every_kind_of_calc_can_be_fed() -> None:
    seen = {str(_table(keys)["kind"]) for _, _, keys, _ in KINDS}
    assert seen | {"carbon_balance"} == set(CALC_KINDS)


def _table(keys: str) -> dict[str, Any]:
    return tomllib.loads(keys.replace("@,mass_t", ""))
