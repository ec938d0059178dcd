"""The external tree for Buildroot: its files hang together and its recipe does what it says."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from repository import ROOT, canonical, entries

import agent

sys.path.insert(0, str(ROOT / "scripts"))

import fetch_wheels

Needs = Callable[[str], str]
TREE = ROOT / "buildroot"
PACKAGES = "usr/lib/python3.14/site-packages"


def test_the_tree_has_a_name_buildroot_takes_and_every_file_uses_it() -> None:
    name = re.search(r"^name: ([A-Za-z0-9_]+)$", (TREE / "external.desc").read_text(), re.M)
    assert name is not None
    for file in ("Config.in", "external.mk"):
        assert f"BR2_EXTERNAL_{name[1]}_PATH" in (TREE / file).read_text()


def test_every_package_is_sourced_and_has_a_recipe_of_its_own_version() -> None:
    sourced = re.findall(r'source "\$\w+/(package/[^"]+)"', (TREE / "Config.in").read_text())
    assert sourced == sorted(
        str(path.relative_to(TREE)) for path in TREE.glob("package/*/Config.in")
    )
    for config in sourced:
        folder = (TREE / config).parent
        recipe = (folder / f"{folder.name}.mk").read_text()
        assert f"config BR2_PACKAGE_{folder.name.upper()}\n" in (TREE / config).read_text()
        assert f"{folder.name.upper()}_VERSION = {agent.__version__}\n" in recipe
        assert recipe.rstrip().endswith("$(eval $(generic-package))")


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


def build(work: Path, make: str) -> subprocess.CompletedProcess[str]:
    """Runs the recipe's install steps with stand-ins for what Buildroot provides."""
    (work / "Makefile").write_text(
        f"BR2_EXTERNAL_TANSHU_PATH = {TREE}\n"
        f"TARGET_DIR = {work}/target\n"
        "PYTHON3_VERSION_MAJOR = 3.14\n"
        "INSTALL = install\n"
        "generic-package =\n"
        f"include {TREE}/external.mk\n"
        f"{work}/build/stamp:\n"
        "\t$(TANSHU_INSTALL_TARGET_CMDS)\n"
        "\t$(TANSHU_INSTALL_INIT_SYSTEMD)\n"
    )
    return subprocess.run(
        [make, "-C", str(work), f"{work}/build/stamp"], capture_output=True, text=True
    )


@pytest.fixture
def work(tmp_path: Path) -> Path:
    own = {
        "agent/__init__.py": "",
        "drivers/__init__.py": "",
        f"tanshu-{agent.__version__}.dist-info/METADATA": "",
    }
    wheel(tmp_path / "build", "tanshu-0-py3-none-any.whl", own)
    other = {"other.py": "", "other-1.data/scripts/other": "", "other-1.dist-info/METADATA": ""}
    wheel(tmp_path / "build", "other-1-py3-none-any.whl", other)
    return tmp_path


def test_the_recipe_installs_wheels_command_and_service(work: Path, needs: Needs) -> None:
    needs("unzip")
    for _ in range(2):  # a rebuild must work as well
        finished = build(work, needs("make"))
        assert finished.returncode == 0, finished.stderr
    packages = work / "target" / PACKAGES
    assert (packages / "agent/__init__.py").exists()
    assert (packages / "other.py").exists()
    assert not list(packages.glob("*.data"))
    assert (work / "target/usr/bin/tanshu").stat().st_mode & 0o111
    service = (work / "target/usr/lib/systemd/system/tanshu.service").read_text()
    assert "ExecStart=/usr/bin/tanshu run " in service
    assert "/opt/tanshu" not in service


def test_an_image_where_another_package_owns_our_names_is_refused(work: Path, needs: Needs) -> None:
    needs("unzip")
    (work / "target" / PACKAGES / "drivers").mkdir(parents=True)
    finished = build(work, needs("make"))
    assert finished.returncode != 0
    assert "another package installs drivers" in finished.stdout


def dependencies_of(name: str, python: str, machine: str) -> set[str]:
    """Names of everything a distribution needs at run time, itself included."""
    environment = {**fetch_wheels.target_environment(machine, python), "extra": ""}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = canonical(waiting.pop())
        if current in found:
            continue
        try:
            requires = importlib.metadata.requires(current) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on other platforms only
        found.add(current)
        for text in requires:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                waiting.append(requirement.name)
    return found


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_the_image_gets_all_that_runs_and_nothing_that_only_builds(machine: str) -> None:
    lines = fetch_wheels.requirements_for(fetch_wheels.LOCK.read_text("utf-8"), machine, "3.14")
    names = {canonical(line.partition("==")[0]) for line in lines}
    assert all(" --hash=sha256:" in line for line in lines)
    needed = set().union(
        *(
            dependencies_of(name, "3.14", machine)
            for name in ("asyncua", "pymodbus", "sqlite-utils", "apscheduler", "uvicorn")
        )
    )
    assert needed - names <= fetch_wheels.NOT_IN_THE_IMAGE
    assert not names & fetch_wheels.NOT_IN_THE_IMAGE
    assert set(entries("requirements.txt")) >= names
    assert ("pysqlite3" in names) == (machine == "x86_64")
