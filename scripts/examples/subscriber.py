"""subscriber.py HOST PORT < KEYS.json: verifies batches, applies revisions, prints kg by source."""

import json
import sys
from base64 import b64decode
from hashlib import sha256

import paho.mqtt.client as mqtt
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

keys, parts, hashes, booked = {}, {}, {}, {}


def root_of(leaves):  # RFC 6962 section 2.1
    if len(leaves) < 2:
        return sha256(*(b"\0" + leaf for leaf in leaves)).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def take(client, userdata, message):
    user = dict(getattr(message.properties, "UserProperty", []))
    pieces = parts.setdefault((message.topic, user.get("batch"), user.get("parts")), {})
    pieces[int(user.get("part", 1))] = message.payload
    if len(pieces) < int(user.get("parts", 1)):
        return
    body = b"".join(pieces.pop(number) for number in sorted(pieces))
    body = zstandard.decompress(body) if "content-encoding" in user else body
    first, *lines, last, _ = body.split(b"\n")
    header, proof, digest = json.loads(first), json.loads(last), sha256(first)
    place, signed = (header["site"], header["gateway"]), b"tanshu/v1/batch\0" + digest.digest()
    keys[(*place, proof["key"])].verify(b64decode(proof["sig"]), signed)
    if header["root"] != root_of(lines).hex() or header["count"] != len(lines):
        raise ValueError("the records are not those that were sealed")
    for seq, known in ((header["seq"], digest.hexdigest()), (header["seq"] - 1, header["prev"])):
        if hashes.setdefault((*place, header["epoch"], seq), known) != known:
            raise ValueError(f"another batch {seq} is in the chain")
    for kind, *values in map(json.loads, lines):
        one = dict(zip(header["columns"][kind], values, strict=True))
        if kind == "emission":  # the highest revision is current, null retires it
            key = (*place, one["source"], one["start"], one["length"])
            booked.setdefault(key, {})[one["revision"]] = one["kgco2e"]
        elif kind == "recalculation":  # see docs/recalculation.md
            print("computed again, not followed here:", *place, one["source"], file=sys.stderr)
    for source in sorted({key[:3] for key in booked}):
        print(*source, sum(one[max(one)] or 0 for key, one in booked.items() if key[:3] == source))


for one in json.load(sys.stdin):
    raw = b64decode(one["key"].removeprefix("ed25519:"))
    place = (one["site"], one["gateway"], sha256(raw).hexdigest()[:16])
    keys[place] = Ed25519PublicKey.from_public_bytes(raw)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.suppress_exceptions = True  # what is not genuine is logged, and the next one taken
client.enable_logger()
client.on_connect = lambda *_: client.subscribe("tanshu/v1/+/+/batch", qos=1)
client.on_message = take
client.connect(sys.argv[1], int(sys.argv[2]))
client.loop_forever()
