"""The locked requirements: complete, hashed, without addresses, and agreeing with each other."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from repository import ALL_LOCKS, LOCKS, ROOT, canonical, entries

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

EXTRAS = {
    "requirements.txt": (),
    "requirements-demo.txt": ("demo",),
    "requirements-test.txt": ("demo", "test"),
    "requirements-bench.txt": ("demo",),
}

PLACES = [
    {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    for version in ("3.11", "3.12", "3.13", "3.14")
    for machine in ("x86_64", "aarch64")
]


def wanted(lock: str) -> list[Requirement]:
    """What pyproject.toml asks the environment of a locked file to hold."""
    texts = list(PROJECT["project"]["dependencies"])
    for extra in EXTRAS[lock]:
        texts += PROJECT["project"]["optional-dependencies"][extra]
    texts += PROJECT["build-system"]["requires"]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", ALL_LOCKS)
def test_every_requirement_has_hashes_and_no_line_names_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
    found = entries(lock)
    pinned = re.findall(r"^[A-Za-z0-9._-]+==", text, re.M)
    assert len(found) == len(pinned) > 20
    assert [name for name, (_, _, hashes) in found.items() if not hashes] == []


@pytest.mark.parametrize("lock", ALL_LOCKS)
def test_locked_versions_are_what_the_project_asks_for_wherever_it_runs(lock: str) -> None:
    found = entries(lock)
    for place in PLACES:
        for requirement in wanted(lock):
            if requirement.marker and not requirement.marker.evaluate(place):
                continue
            version, marker, _ = found[canonical(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"
            assert not marker or Marker(marker).evaluate(place), f"{requirement} on {place}"


def test_the_sets_agree_on_every_version_they_share() -> None:
    versions: dict[str, set[str]] = {}
    for lock in ALL_LOCKS:
        for name, (version, _, _) in entries(lock).items():
            versions.setdefault(name, set()).add(version)
    assert {name: seen for name, seen in versions.items() if len(seen) > 1} == {}


def test_each_set_contains_the_smaller_one() -> None:
    runtime, demo, test = (set(entries(lock)) for lock in LOCKS)
    assert runtime < demo < test


def test_rivals_weigh_on_no_other_environment() -> None:
    rivals = {
        canonical(line)
        for line in (ROOT / "requirements-bench.in").read_text("utf-8").split("\n")
        if line and not line.startswith("#")
    }
    assert rivals
    assert rivals <= set(entries("requirements-bench.txt"))
    assert not rivals & set(entries("requirements-test.txt"))
