"""The AsyncAPI document is one, and its topics and messages are those of the code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from agent.core.payload import Link
from agent.sync.topics import Topics, parse_topic
from agent.sync.wire import packets
from tests.conftest import Needs
from tests.contract.contract import ROOT, contract_asyncapi
from tests.sync.harness import chain

DOCUMENT = ROOT / "docs" / "asyncapi.yaml"

# Prints what the reference parser of AsyncAPI says of each file, by name.
PARSE = """
const [, parser, ...files] = process.argv;
const { Parser, fromFile } = require(parser);
(async () => {
  const said = {};
  for (const file of files) {
    const { document, diagnostics } = await fromFile(new Parser(), file).parse();
    const channels = document ? document.channels().all().map((one) => one.address()) : [];
    const errors = diagnostics.filter((one) => one.severity <= 1).map((one) => one.message);
    said[file] = { channels, errors };
  }
  console.log(JSON.stringify(said));
})();
"""
BREAKS = {
    "action": ("action: receive", "action: receives"),
    "reference": ("'#/channels/batch'", "'#/channels/batches'"),
    "address": ("{site}/{gateway}/live", "{site}/{box}/live"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text("utf-8"))
    return value


def test_the_reference_parser_has_nothing_against_it(needs: Needs, tmp_path: Path) -> None:
    parser = needs("node:@asyncapi/parser")
    text = DOCUMENT.read_text("utf-8").replace("../config", str(ROOT / "config"))
    files = {"": DOCUMENT}
    for name, (old, new) in BREAKS.items():
        assert old in text
        files[name] = tmp_path / f"{name}.yaml"
        files[name].write_text(text.replace(old, new), encoding="utf-8")
    done = subprocess.run(
        [needs("node"), "-e", PARSE, parser, *map(str, files.values())],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    said = json.loads(done.stdout)
    topics = Topics(site="{site}", gateway="{gateway}")
    assert said[str(DOCUMENT)] == {
        "channels": [topics[word] for word in contract_asyncapi.TOPICS],
        "errors": [],
    }
    for name in BREAKS:
        assert said[str(files[name])]["errors"], f"a broken {name} went unseen"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "$ref":
                yield member
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        if not reference.startswith("#/"):
            assert (DOCUMENT.parent / reference).is_file(), reference
            continue
        place: Any = document
        for word in reference[2:].split("/"):
            place = place[word]
    files = {Path(one).name for one in found if not one.startswith("#")}
    assert files == {path.name for path in (ROOT / "config" / "schemas").iterdir()}


def test_addresses_are_topics_of_the_contract(document: dict[str, Any]) -> None:
    for word, channel in document["channels"].items():
        address = channel["address"].format(site="plant-1", gateway="gw-01")
        assert parse_topic(address) == (Topics(site="plant-1", gateway="gw-01"), word)
        assert set(channel["parameters"]) == {"site", "gateway"}


def test_user_properties_are_those_that_are_sent(document: dict[str, Any]) -> None:
    headers = document["components"]["messages"]["batch"]["headers"]
    check = Draft7Validator(headers)
    (sealed,) = chain(1, sizes={1: 4000})
    seen: set[str] = set()
    for compress in (False, True):
        for limit in (None, 1000):
            for packet in packets(
                sealed.data,
                link=Link(epoch=sealed.link.epoch, seq=1, hash=""),
                topic="tanshu/v1/plant-1/gw-01/batch",
                compress=compress,
                limit=limit,
            ):
                user = dict(packet.user)
                check.validate(user)
                seen |= set(user)
                if "part" in user:
                    del user["part"]
                    assert not check.is_valid(user)
    assert seen == set(headers["properties"])
