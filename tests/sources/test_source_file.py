"""The example of every way to write a source, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.load import read_site
from tests.sources.site_text import faults_of, site_with

EXAMPLE = Path(__file__).parents[2] / "config" / "sources.example.toml"


def test_the_example_is_without_fault_and_shows_both_ways() -> None:
    site, faults = read_site(EXAMPLE)
    assert [str(fault) for fault in faults] == []
    assert site is not None
    assert len(site.sources) == 6
    assert len(site.period_sources) == 7
    assert site.sources["stack"].section.stream == "virtual.stack-co2"
    assert {stream for plan in site.period_sources.values() for stream in plan.streams} <= set(
        site.streams
    )


REFUSED = [
    ('kind = "incineration"\nwaste = "hazardous"', "stream", "missing"),
    ('kind = "incineration"\nactivity = "act.x"', "activity", "no series of entries"),
    (
        'kind = "incineration"\nactivity = "activity.carbon-content.x"',
        "activity",
        '"carbon-content" has no amounts',
    ),
    (
        'kind = "incineration"\nwaste = "hazardus"\nactivity = "activity.waste.x"',
        "waste",
        "unknown kind of waste",
    ),
    (
        'kind = "incineration"\nwaste = "hazardous"\nactivity = "activity.waste.x"\namount = 3',
        "amount",
        "stands beside what feeds it",
    ),
    (
        'kind = "incineration"\nwaste = "hazardous"\nactivity = "activity.waste.x"\n'
        'stream = "m.mass"',
        "activity",
        "stands beside stream",
    ),
    ('kind = "carbon_balance"\nactivity = "activity.product.x"', "activity", "more than one"),
    (
        'kind = "carbon_balance"\ninputs = [{ material = "napta", '
        'activity = "activity.raw-material.x" }]',
        "inputs[1].material",
        'unknown material "napta"',
    ),
    (
        'kind = "carbon_balance"\ninputs = [{ material = "naphtha", stream = "m.mas" }]',
        "inputs[1].stream",
        'no point "mas"',
    ),
    (
        'kind = "carbon_balance"\ninputs = [{ material = "naphtha", stream = "m.mass", '
        'activity = "activity.raw-material.x" }]',
        "inputs[1].stream",
        "stands beside activity",
    ),
    (
        'kind = "carbon_balance"\ninputs = [{ material = "naphtha", stream = "m.mass", '
        "purity = 1.1 }]",
        "inputs[1].purity",
        "1.1",
    ),
    (
        'kind = "electricity"\npurchased_mwh = { stream = "m.gas" }',
        "purchased_mwh.stream",
        "normal gas volume",
    ),
    (
        'kind = "electricity"\npurchased_mwh = { strem = "m.energy" }',
        "purchased_mwh.strem",
        "unknown key",
    ),
    (
        'kind = "fuel"\nfuel = "烟煤"\nactivity = "activity.product.x"\nstock = "activity.x.y"',
        "stock",
        "no kind of entry",
    ),
    ('kind = "fuel"\nfuel = "烟煤"\nstream = "m.mass"\nperiod = "day"', "period", "beside stream"),
    (
        'kind = "carbonate"\ncarbonate = "CaCO3"\nactivity = "activity.raw-material.x"\n'
        'content = "activity.carbon-content.x"',
        "content",
        "takes no carbon content",
    ),
]


@pytest.mark.parametrize(("keys", "path", "words"), REFUSED)
def test_what_cannot_be_is_refused_at_its_key(
    tmp_path: Path, keys: str, path: str, words: str
) -> None:
    faults = faults_of(tmp_path, f'[[source]]\nid = "s"\ndevice = "d"\n{keys}\n')
    assert any(fault.path == f"source[s].{path}" and words in fault.what for fault in faults), [
        str(fault) for fault in faults
    ]


def test_one_fuel_by_two_paths_is_refused(tmp_path: Path) -> None:
    head = '[[source]]\nid = "@"\ndevice = "d"\nkind = "fuel"\nfuel = "烟煤"\n'
    text = head.replace("@", "a") + 'stream = "m.mass"\nshare = 0.5\n'
    text += head.replace("@", "b") + "carbon_per_unit = 0.5\n"
    text += 'activity = "activity.raw-material.coal"\n'
    (fault,) = faults_of(tmp_path, text)
    assert fault.path == "source[b].fuel"
    assert "by another path" in fault.what
    (tmp_path / "other").mkdir()
    assert site_with(tmp_path / "other", text + "separate = true\n").period_sources["b"]


def test_a_stream_that_two_sources_take_whole_is_warned_of(tmp_path: Path) -> None:
    text = (
        '[[source]]\nid = "a"\ndevice = "d"\nkind = "fuel"\nfuel = "natural-gas"\n'
        'stream = "m.gas"\n'
        '[[source]]\nid = "b"\ndevice = "d"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "natural-gas", stream = "m.gas" }]\n'
    )
    (fault,) = faults_of(tmp_path, text)
    assert fault.warning
    assert "200% of the Nm3" in fault.what


def test_a_factor_that_changes_within_a_month_is_warned_of(tmp_path: Path) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "incineration"\nfactor = 3\n'
    text += 'activity = "activity.waste.x"\nchanges = [{ since = 2026-07-15, factor = 2 }]\n'
    (fault,) = faults_of(tmp_path, text)
    assert fault.warning
    assert faults_of(tmp_path, text + 'period = "day"\n') == []


def test_a_factor_of_zero_wants_evidence_for_every_kind(tmp_path: Path) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "incineration"\nfactor = 0\n'
    text += 'stream = "m.mass"\n'
    (fault,) = faults_of(tmp_path, text)
    assert (fault.path, fault.warning) == ("source[s].factor", False)
    assert faults_of(tmp_path, text + 'evidence = "contract 7"\n') == []


@pytest.mark.parametrize(
    ("zero", "path"),
    [
        ("oxidation = 0", "oxidation"),
        ("factor = 2.6\nchanges = [{ since = 2026-07-01, factor = 0 }]", "changes[1].factor"),
    ],
)
def test_what_becomes_zero_wants_evidence_too(tmp_path: Path, zero: str, path: str) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "fuel"\nfuel = "烟煤"\n'
    text += f'stream = "m.mass"\n{zero}\n'
    (fault,) = faults_of(tmp_path, text)
    assert (fault.path, fault.warning) == (f"source[s].{path}", False)
    assert faults_of(tmp_path, text + 'evidence = "contract 7"\n') == []


@pytest.mark.parametrize(
    ("written", "gwp"),
    [
        ('rules = "NDRC-2013"', "SAR"),
        ('rules = "management"', "AR6"),
        ("", "AR5"),
        ('rules = "NDRC-2013"\ngwp = "AR5"', "AR5"),
    ],
)
def test_warming_potentials_are_those_of_the_rules(tmp_path: Path, written: str, gwp: str) -> None:
    source = '[[source]]\nid = "a"\ndevice = "d"\nkind = "nitric_acid"\nstream = "m.mass"\n'
    site = site_with(tmp_path, f'{source}technology = "dual-pressure"\n', site=written)
    n2o = {"SAR": 310.0, "AR5": 265.0, "AR6": 273.0}[gwp]
    assert site.site.gwp == gwp
    assert site.sources["a"].factor.value == pytest.approx(8.0 * n2o, rel=1e-12)


def test_a_fuel_of_another_table_is_taken_with_a_warning(tmp_path: Path) -> None:
    text = '[[source]]\nid = "s"\ndevice = "d"\nkind = "fuel"\nfuel = "carbide-furnace-gas"\n'
    text += 'stream = "m.gas"\n'
    (fault,) = faults_of(tmp_path, text)
    assert (fault.path, fault.warning) == ("source[s].fuel", True)
    assert "NDRC-2013" in fault.what
    assert site_with(tmp_path, text, site='rules = "NDRC-2013"').sources
