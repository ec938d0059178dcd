"""The documents say only what is there: files, scripts, commands, versions."""

from __future__ import annotations

import re
import tomllib

import pytest
from repository import ROOT, tracked_files

import agent

DOCUMENTS = [name for name in tracked_files() if name.endswith(".md")]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A path in backticks: it has a folder, and its first folder is one of ours.
NAMED_PATH = re.compile(
    r"`((?:agent|drivers|config|scripts|tests|docs|systemd|buildroot"
    r"|firmware-notes|\.ci)/[^`\s*<>{}]*)`"
)


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.S)


def test_the_documents_every_project_has_are_there() -> None:
    expected = {"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
    assert expected | {"docs/architecture.md"} <= set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file(name: str) -> None:
    text = without_code((ROOT / name).read_text("utf-8"))
    links = [link for link in LINK.findall(text) if "://" not in link]
    missing = [link for link in links if not ((ROOT / name).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_of_ours_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    missing = [path for path in NAMED_PATH.findall(text) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_commands_of_the_readme_exist(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    called = set(re.findall(r"\b(scripts/[a-z_/]+(?:\.py)?)\b", text))
    assert {"scripts/demo", "scripts/test"} <= called
    assert [script for script in called if not (ROOT / script).is_file()] == []


def test_the_readmes_of_both_languages_point_to_the_same_places() -> None:
    links = [
        sorted(set(LINK.findall((ROOT / name).read_text("utf-8"))) - {other})
        for name, other in (("README.md", "README.zh-CN.md"), ("README.zh-CN.md", "README.md"))
    ]
    # each shows the page in its own language
    assert links[0] == sorted(link.replace("page.zh-CN.png", "page.png") for link in links[1])


def test_the_changelog_has_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[{re.escape(agent.__version__)}\] - ", text, re.M)


def test_the_licence_is_the_one_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def driver_folders() -> list[str]:
    folders = {
        name.split("/")[1]
        for name in tracked_files()
        if name.count("/") >= 2 and name.startswith("drivers/")
    }
    return sorted(folders)


@pytest.mark.parametrize("folder", driver_folders())
def test_a_driver_explains_itself(folder: str) -> None:
    place = ROOT / "drivers" / folder
    assert (place / "README.md").is_file()
    if any(
        f'"drivers.{folder}:' in line or f'= "drivers.{folder}' in line
        for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    ):
        sample = tomllib.loads((place / "sample.toml").read_text("utf-8"))
        assert sample["bus"]
        assert sample["meter"]


def test_every_registered_driver_is_a_folder_with_a_factory() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for target in project["entry-points"]["tanshu.drivers"].values():
        module, _, factory = target.partition(":")
        source = (ROOT / module.replace(".", "/") / "__init__.py").read_text("utf-8")
        assert re.search(rf"^def {factory}\(", source, re.M), target
