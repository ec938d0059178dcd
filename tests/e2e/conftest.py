"""Whole sites as real processes: the long scenarios run beside each other, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Needs
from tests.e2e.changing_site import Changes, run_changes
from tests.e2e.faulty_plant import FaultyPlant, run_faulty_plant
from tests.e2e.outages import Outages, run_outages
from tests.e2e.plant_site import PlantSite
from tests.e2e.short_demo import DemoRun, run_demo

AT_ONCE = 3


SCENARIOS: dict[str, Callable[[Path, str], object]] = {
    "outages": run_outages,
    "faulty_plant": run_faulty_plant,
    "changes": run_changes,
    "demo": run_demo,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need no scenario come first: the scenarios run meanwhile."""
    folder = Path(__file__).parent
    places = [place for place, item in enumerate(items) if item.path.parent == folder]
    ranked = sorted((items[place] for place in places), key=_rank)
    for place, item in zip(places, ranked, strict=True):
        items[place] = item


def _rank(item: pytest.Item) -> int:
    used = set(getattr(item, "fixturenames", ()))
    order = ["standing_site", "changes", "faulty_plant", "outages", "demo"]
    return next((rank for rank, name in enumerate(order) if name in used), len(order))


@pytest.fixture(scope="session")
def scenarios(
    request: pytest.FixtureRequest, needs: Needs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[object]]]:
    """Every scenario that a chosen test asks for, started at once; results as they come."""
    broker = needs("mosquitto")
    wanted = {
        name
        for item in request.session.items
        for name in getattr(item, "fixturenames", ())
        if name in SCENARIOS
    }
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="site") as pool:
        yield {
            name: pool.submit(run, tmp_path_factory.mktemp(name) / "site", broker)
            for name, run in SCENARIOS.items()
            if name in wanted
        }


@pytest.fixture(scope="session")
def outages(scenarios: dict[str, Future[object]]) -> Outages:
    result = scenarios["outages"].result()
    assert isinstance(result, Outages)
    return result


@pytest.fixture(scope="session")
def faulty_plant(scenarios: dict[str, Future[object]]) -> FaultyPlant:
    result = scenarios["faulty_plant"].result()
    assert isinstance(result, FaultyPlant)
    return result


@pytest.fixture(scope="session")
def changes(scenarios: dict[str, Future[object]]) -> Changes:
    result = scenarios["changes"].result()
    assert isinstance(result, Changes)
    return result


@pytest.fixture(scope="session")
def demo(needs: Needs, scenarios: dict[str, Future[object]]) -> DemoRun:
    needs("python:iotcore")
    result = scenarios["demo"].result()
    assert isinstance(result, DemoRun)
    return result


@pytest.fixture(scope="session")
def standing_site(
    needs: Needs,
    scenarios: dict[str, Future[object]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PlantSite]:
    """A site at work with one meter that never answers, for tests that only look."""
    folder = tmp_path_factory.mktemp("standing") / "site"
    with PlantSite(folder, needs("mosquitto"), faults=["dead:em-fan"]) as site:
        site.start()
        site.wait_for_windows(2)
        yield site
