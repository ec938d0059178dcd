"""The AsyncAPI 3 document: topics, messages and what a central system does with them."""

from __future__ import annotations

from typing import Any

import yaml

from agent.config import factor_pack
from agent.core import payload
from agent.sync import topics, wire

Part = dict[str, Any]

MQTT_BINDING = "0.2.0"


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice, and text of several lines as lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


ABOUT = f"""\
Seen from a central system: it receives what gateways send, and may answer with receipts and
factor packs. docs/subscribing.md is the guide; the schemas are JSON Schema 2020-12.

A batch is lines of JSON, each ended by a line feed: header, records, signature. It has at most
{payload.MAX_RECORDS} records and {payload.MAX_BATCH_BYTES} bytes before compression. Factor packs
have at most {factor_pack.MAX_PACK_BYTES} bytes. Within v1, members, columns and kinds are only
ever added: ignore those that you do not know.
"""

# Each topic by its last word: QoS, retained, what a central system does, what it is.
TOPICS: dict[str, tuple[int, bool, str, str]] = {
    "batch": (1, False, "receive", "Signed records, oldest batch first; repeated until receipted."),
    "receipt": (1, False, "send", "What the ledger has committed of a gateway's epoch, signed."),
    "birth": (1, True, "receive", "Places, devices, streams, sources and factors of a gateway."),
    "status": (1, True, "receive", "Whether the gateway is connected; offline is the last will."),
    "live": (0, False, "receive", "Values of this moment; dropped when there is no connection."),
    "event": (1, False, "receive", "Events as notices at once; their records travel in batches."),
    "factors": (1, True, "send", "Factor packs for the gateway; accepted by the issuer's key."),
}
LINES = {
    "batch": ("batch-header", "record", "signature"),
    "receipt": ("receipt", None, "signature"),
    "factors": ("factors-header", None, "signature"),
}
CONTENT = {
    "batch": "application/x-ndjson",
    "receipt": "application/x-ndjson",
    "factors": "application/octet-stream",
}


def asyncapi_text(schemas: list[str]) -> str:
    """The document as YAML; the names are those of the schemas it refers to."""
    return yaml.dump(
        _document(schemas), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def _document(schemas: list[str]) -> Part:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tanshu: what gateways deliver to central systems",
            "version": "1.0.0",
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {word: _channel(word) for word in TOPICS},
        "operations": {
            f"{direction}{word.title()}": _operation(word, qos, retain, direction)
            for word, (qos, retain, direction, _) in TOPICS.items()
        },
        "components": {
            "messages": {word: _message(word, schemas) for word in TOPICS},
            "schemas": {name: {"$ref": _file(name)} for name in schemas},
            "securitySchemes": {
                "certificate": {
                    "type": "X509",
                    "description": "A certificate for each gateway and each central system.",
                },
                "password": {"type": "userPassword"},
            },
        },
    }


def _servers() -> Part:
    schemes = [
        {"$ref": f"#/components/securitySchemes/{one}"} for one in ("certificate", "password")
    ]
    host = {"broker": {"description": "Host of the broker.", "default": "localhost"}}
    return {
        "broker": {
            "host": "{broker}:8883",
            "protocol": "secure-mqtt",
            "protocolVersion": "5",
            "description": "TLS 1.2 or newer.",
            "variables": host,
            "security": schemes,
        },
        "plain": {
            "host": "{broker}:1883",
            "protocol": "mqtt",
            "protocolVersion": "5",
            "description": "Without TLS, for one machine only.",
            "variables": host,
        },
    }


def _channel(word: str) -> Part:
    described = {"site": "Id of the site.", "gateway": "Id of the gateway within the site."}
    return {
        "address": topics.Topics(site="{site}", gateway="{gateway}")[word],
        "description": TOPICS[word][3],
        "parameters": {name: {"description": text} for name, text in described.items()},
        "messages": {word: {"$ref": f"#/components/messages/{word}"}},
    }


def _operation(word: str, qos: int, retain: bool, direction: str) -> Part:
    return {
        "action": direction,
        "channel": {"$ref": f"#/channels/{word}"},
        "messages": [{"$ref": f"#/channels/{word}/messages/{word}"}],
        "summary": TOPICS[word][3],
        "bindings": {"mqtt": {"qos": qos, "retain": retain, "bindingVersion": MQTT_BINDING}},
    }


def _message(word: str, schemas: list[str]) -> Part:
    message: Part = {"name": word, "contentType": CONTENT.get(word, "application/json")}
    if word not in LINES:
        return {**message, "payload": {"$ref": f"#/components/schemas/{word}"}}
    first, middle, last = LINES[word]
    lines = {"first": first, "last": last}
    made: Part = {place: {"$ref": f"#/components/schemas/{name}"} for place, name in lines.items()}
    if middle is not None:
        kinds = [name for name in schemas if name.startswith(f"{middle}-")]
        made["between"] = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in kinds]}
    payload_schema = {"type": "string", "description": "Lines; x-lines has the schema of each."}
    if word == "batch":
        message["headers"] = _user_properties()
    return {**message, "payload": {**payload_schema, "x-lines": made}}


def _user_properties() -> Part:
    """The user properties of a batch message (MQTT 5 section 3.3.2.3.7)."""
    digits = {"type": "string", "pattern": "^[1-9][0-9]*$"}
    return {
        "type": "object",
        "description": "MQTT 5 user properties. With parts, the payload is one piece of the whole.",
        "properties": {
            "schema": {"const": payload.SCHEMA},
            "batch": {"type": "string", "description": "Epoch and number, as epoch/seq."},
            "content-encoding": {
                "const": wire.ENCODING,
                "description": "The whole is one zstd frame; without this it is plain.",
            },
            "part": {**digits, "description": f"From 1 to parts, at most {wire.MAX_PARTS}."},
            "parts": {**digits, "description": "Number of messages that make the whole."},
            "size": {**digits, "description": "Bytes of the whole as sent, before decompression."},
        },
        "required": ["schema", "batch"],
        "dependencies": {
            one: [other for other in ("part", "parts", "size") if other != one]
            for one in ("part", "parts", "size")
        },
    }


def _file(name: str) -> str:
    return f"../config/schemas/{name}.schema.json"
