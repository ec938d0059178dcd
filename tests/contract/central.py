"""A central system of another make: a bare paho client, and the example subscriber as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.core.chain import PublicKey
from tests.contract.contract import ROOT
from tests.sync.harness import GATEWAY, SITE

EXAMPLE = ROOT / "scripts" / "examples" / "subscriber.py"
HANG_S = 60.0  # only a guard against a test that would never end


def until(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + HANG_S
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited {HANG_S:g} s for {what}")
        time.sleep(0.02)


class Listener:
    """Collects every message of the contract."""

    def __init__(self, port: int) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda *_: self._client.subscribe("tanshu/v1/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _u, message: self.messages.append(message)
        self._port = port

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(HANG_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, word: str, payload: bytes, user: Iterable[tuple[str, str]] = ()) -> None:
        """Send a message in the gateway's name."""
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = list(user)
        topic = f"tanshu/v1/{SITE}/{GATEWAY}/{word}"
        self._client.publish(topic, payload, qos=1, properties=properties).wait_for_publish(HANG_S)

    def of(self, word: str) -> list[mqtt.MQTTMessage]:
        return [one for one in list(self.messages) if one.topic.endswith(f"/{word}")]


class Example:
    """The example subscriber at work."""

    def __init__(self, port: int, key: PublicKey) -> None:
        self.totals: dict[str, float] = {}  # by source, as last printed
        self.lines = 0
        self.refused: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(EXAMPLE), "127.0.0.1", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        json.dump([{"site": SITE, "gateway": GATEWAY, "key": key.text}], self._process.stdin)
        self._process.stdin.close()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._hear)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(HANG_S)
        for thread in self._threads:
            thread.join(HANG_S)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            _site, _gateway, source, total = line.split()
            self.totals[source] = float(total)
            self.lines += 1

    def _hear(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.refused.append(line.strip())


def value_of(message: mqtt.MQTTMessage) -> Any:
    return json.loads(message.payload)
