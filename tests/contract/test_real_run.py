"""A gateway on the virtual plant, its ledger and mosquitto: what they say is what is published."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
import pytest
import yaml
from jsonschema import Draft7Validator

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.store.database import open_store
from agent.sync.keys import load_or_create_key
from agent.sync.wire import decode_body
from tests.conftest import Needs
from tests.contract.central import Example, Listener, until, value_of
from tests.contract.contract import ROOT, faults, faults_of_batch, undescribed
from tests.e2e.plant_site import TAIL, PlantSite
from tests.sync.harness import OWNER

BATCHES = 1


@dataclass
class Run:
    """What was heard of one run, live and afterwards."""

    heard: list[mqtt.MQTTMessage] = field(default_factory=list)
    retained: list[mqtt.MQTTMessage] = field(default_factory=list)
    totals: dict[str, float] = field(default_factory=dict)
    booked: dict[str, float] = field(default_factory=dict)

    def of(self, word: str) -> list[mqtt.MQTTMessage]:
        return [one for one in self.heard if one.topic.endswith(f"/{word}")]


def booked_totals(site: PlantSite) -> dict[str, float]:
    store = open_store(site.gateway_db)
    found: dict[str, float] = {}
    try:
        for one in SqliteBook(store.connection).current_emissions(
            OWNER, Span(from_ms=0, to_ms=1 << 62)
        ):
            found[one.source] = found.get(one.source, 0.0) + (one.kgco2e or 0.0)
    finally:
        store.close()
    return found


@pytest.fixture(scope="module")
def run(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = Run()
    with PlantSite(tmp_path_factory.mktemp("contract") / "site", needs("mosquitto")) as site:
        site.start_central()
        key = load_or_create_key(site.folder / "gateway.key").public
        with Listener(site.broker.port) as listener, Example(site.broker.port, key) as example:
            site.write_site(site.start_plant() + site.target() + TAIL)
            site.start_gateway()
            site.wait_for_windows(1)
            site.plant.kill()  # which is worth an event
            until(lambda: bool(listener.of("event")), "an event")
            site.gateway.stop()
            made.booked = booked_totals(site)
            until(lambda: example.totals == pytest.approx(made.booked), "the example's totals")
            made.totals = dict(example.totals)
            with Listener(site.broker.port) as late:
                until(lambda: len(late.messages) >= 2, "retained messages")
                made.retained = list(late.messages)
            made.heard = list(listener.messages)
            assert example.refused == []
    return made


def test_every_batch_of_the_run_is_valid(run: Run) -> None:
    batches = [decode_body(one.payload, user_of(one)) for one in run.of("batch")]
    assert len(batches) >= BATCHES
    for data in batches:
        assert faults_of_batch(data) == []
    kinds = {json.loads(line)[0] for data in batches for line in data.splitlines()[1:-1]}
    assert {"window", "emission", "endpoint"} <= kinds


def test_every_receipt_of_the_run_is_valid(run: Run) -> None:
    assert len(run.of("receipt")) >= BATCHES
    for receipt in run.of("receipt"):
        first, last = (json.loads(line) for line in receipt.payload.splitlines())
        assert faults("receipt", first) + faults("signature", last) == []


@pytest.mark.parametrize("word", ["birth", "status", "live", "event"])
def test_every_notice_of_the_run_is_valid_and_fully_described(run: Run, word: str) -> None:
    assert run.of(word)
    for message in run.of(word):
        value = value_of(message)
        assert faults(word, value) == []
        assert list(undescribed(word, value)) == []


def test_the_run_is_told_as_online_and_offline(run: Run) -> None:
    states = [value_of(one)["state"] for one in run.of("status")]
    assert states[0] == "online"
    assert states[-1] == "offline"
    assert {one.topic.rsplit("/", 1)[1] for one in run.retained} == {"birth", "status"}


def test_qos_and_retention_are_as_documented(run: Run) -> None:
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text("utf-8"))
    documented = {
        operation["channel"]["$ref"].rsplit("/", 1)[1]: operation["bindings"]["mqtt"]
        for operation in document["operations"].values()
    }
    kept = {one.topic.rsplit("/", 1)[1] for one in run.retained}
    words = {one.topic.rsplit("/", 1)[1] for one in run.heard}
    assert words == set(documented) - {"factors"}
    for word in words:
        # the farewell is sent without waiting for an acknowledgement
        served = {one.qos for one in run.of(word)} - ({0} if word == "status" else set())
        assert served == {documented[word]["qos"]}, word
        assert documented[word]["retain"] == (word in kept), word


def test_user_properties_are_as_documented(run: Run) -> None:
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text("utf-8"))
    headers = document["components"]["messages"]["batch"]["headers"]
    for message in run.of("batch"):
        Draft7Validator(headers).validate(user_of(message))


def test_the_example_comes_to_the_totals_of_the_gateway(run: Run) -> None:
    assert len(run.booked) >= 5
    assert run.totals == pytest.approx(run.booked, rel=1e-12)


def user_of(message: mqtt.MQTTMessage) -> dict[str, str]:
    return dict(getattr(message.properties, "UserProperty", []))
