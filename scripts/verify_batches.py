#!/usr/bin/env python3
"""Verify sync batches and receipts without any code of Tanshu.

    verify_batches.py --keys keys.json [--ledger-key ed25519:...] [--receipt FILE]... FILE...

A FILE holds one batch or many, one after the other (as ``tanshu ledger export`` writes them).
Checked are: the form of every line, the Merkle root over the record lines (RFC 6962), the batch
hash (SHA-256 of the header line), the Ed25519 signature over "tanshu/v1/batch", a zero byte and
the hash, and the chain of every gateway and epoch: sequence numbers without gap, each naming the
hash of the one before. A receipt of the ledger must agree with the chain; it is the witness that
the end of the chain was not cut off.

Exit code 0: all holds. 3: something does not. 2: wrong use. Needs only Python and "cryptography".
"""

import argparse
import base64
import hashlib
import json
import math
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEX16 = re.compile(r"[0-9a-f]{16}")
HEX32 = re.compile(r"[0-9a-f]{32}")
HEX64 = re.compile(r"[0-9a-f]{64}")
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
LARGEST = 2**63 - 1


class Broken(Exception):
    """Something in the evidence does not hold."""


def demand(condition, message):
    if not condition:
        raise Broken(message)


def matches(pattern, value):
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def whole(value, least):
    return type(value) is int and least <= value <= LARGEST


def load_json(line):
    def unique(pairs):
        demand(len({key for key, _ in pairs}) == len(pairs), "duplicate key")
        return dict(pairs)

    def number(text):
        value = float(text)
        demand(math.isfinite(value), "number out of range")
        return value

    def constant(text):
        raise Broken(text + " is not JSON")

    try:
        return json.loads(
            line.decode("utf-8"),
            object_pairs_hook=unique,
            parse_float=number,
            parse_constant=constant,
        )
    except (ValueError, RecursionError) as error:
        raise Broken(f"not JSON: {error}") from error


def tree_hash(leaves):
    """RFC 6962 section 2.1, as the recursion that it is defined by."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


def load_key(text):
    demand(isinstance(text, str) and text.startswith("ed25519:"), "not an ed25519 key")
    raw = base64.b64decode(text[8:], validate=True)
    demand(len(raw) == 32, "a key has 32 bytes")
    return hashlib.sha256(raw).hexdigest()[:16], Ed25519PublicKey.from_public_bytes(raw)


def check_signature(line, context, digest, keys):
    value = load_json(line)
    demand(isinstance(value, dict) and list(value) == ["key", "sig"], "not a signature line")
    demand(matches(HEX16, value["key"]) and isinstance(value["sig"], str), "bad signature line")
    key_id, text = value["key"], value["sig"]
    spelled = f'{{"key":"{key_id}","sig":"{text}"}}'
    demand(spelled.encode() == line, "signature line not canonical")
    try:
        signature = base64.b64decode(value["sig"], validate=True)
    except ValueError as error:
        raise Broken("signature is not Base64") from error
    demand(base64.b64encode(signature).decode() == value["sig"], "Base64 not canonical")
    demand(value["key"] in keys, f"signed by unknown key {value['key']}")
    try:
        keys[value["key"]].verify(signature, context + b"\0" + digest)
    except InvalidSignature as error:
        raise Broken("signature does not hold") from error


def check_header(header):
    demand(isinstance(header, dict) and header.get("schema") == "tanshu/v1/batch", "no header")
    demand(matches(IDENTIFIER, header.get("site")), "bad site")
    demand(matches(IDENTIFIER, header.get("gateway")), "bad gateway")
    demand(matches(HEX32, header.get("epoch")), "bad epoch")
    demand(matches(HEX64, header.get("root")), "bad root")
    demand(whole(header.get("seq"), 1), "bad seq")
    demand(whole(header.get("count"), 0), "bad count")
    if header["seq"] == 1:
        demand("prev" in header and header["prev"] is None, "first batch with prev")
    else:
        demand(matches(HEX64, header.get("prev")), "bad prev")
        demand(header.get("former") is None, "former in a later batch")
    former = header.get("former")
    if former is not None:
        demand(isinstance(former, dict), "bad former")
        demand(
            matches(HEX32, former.get("epoch"))
            and whole(former.get("seq"), 1)
            and matches(HEX64, former.get("hash")),
            "bad former",
        )
    columns = header.get("columns")
    demand(isinstance(columns, dict), "bad columns")
    for names in columns.values():
        demand(isinstance(names, list) and all(isinstance(n, str) for n in names), "bad columns")


def check_record(line, columns):
    record = load_json(line)
    demand(isinstance(record, list) and record, "a record is an array")
    demand(isinstance(record[0], str) and record[0] in columns, "record of undeclared kind")
    demand(len(record) == len(columns[record[0]]) + 1, "record does not fit its columns")


def read_batches(data):
    """Header, header line, record lines and signature line of each batch in the bytes."""
    demand(data.endswith(b"\n"), "cut off: the last line does not end")
    lines = data[:-1].split(b"\n")
    position = 0
    while position < len(lines):
        header = load_json(lines[position])
        check_header(header)
        end = position + 1 + header["count"]
        demand(end < len(lines), f"batch {header['seq']}: lines are missing")
        yield header, lines[position], lines[position + 1 : end], lines[end]
        position = end + 1


def check_batch(header, header_line, records, signature, keys):
    """All that one batch proves by itself; returns its hash."""
    place = (header["site"], header["gateway"])
    demand(place in keys, f"no key for {place[0]}/{place[1]}")
    digest = hashlib.sha256(header_line).digest()
    demand(tree_hash(records).hex() == header["root"], f"batch {header['seq']}: wrong root")
    check_signature(signature, b"tanshu/v1/batch", digest, keys[place])
    for line in records:
        check_record(line, header["columns"])
    return digest.hex()


def check_receipt(data, ledger_keys):
    lines = data.split(b"\n")
    demand(len(lines) == 3 and lines[2] == b"", "a receipt has two lines")
    digest = hashlib.sha256(lines[0]).digest()
    check_signature(lines[1], b"tanshu/v1/receipt", digest, ledger_keys)
    receipt = load_json(lines[0])
    demand(isinstance(receipt, dict) and receipt.get("schema") == "tanshu/v1/receipt", "no receipt")
    demand(matches(HEX32, receipt.get("epoch")), "bad epoch")
    demand(whole(receipt.get("through"), 0) and isinstance(receipt.get("held"), list), "bad form")
    for span in receipt["held"]:
        demand(isinstance(span, list) and len(span) == 2, "bad held")
        demand(whole(span[0], 1) and whole(span[1], span[0]), "bad held")
    return receipt


def check_witness(receipt, chains):
    """A receipt must name batches that are in the chain, with the same hash."""
    place = (receipt["site"], receipt["gateway"], receipt["epoch"])
    hashes = chains.get(place, {})
    if receipt["through"]:
        demand(
            hashes.get(receipt["through"]) == receipt["hash"],
            f"receipt: batch {receipt['through']} is missing or another one",
        )
    for first, last in receipt["held"]:
        missing = next((seq for seq in range(first, last + 1) if seq not in hashes), None)
        demand(missing is None, f"receipt: batch {missing} is missing")


def verify(batch_files, enrolled, receipts=(), ledger_key=None):
    """Verify bytes of batch files and receipts; returns {(site, gateway, epoch): {seq: hash}}."""
    keys = {}
    for entry in enrolled:
        key_id, key = load_key(entry["key"])
        keys.setdefault((entry["site"], entry["gateway"]), {})[key_id] = key
    chains = {}
    previous = {}
    for data in batch_files:
        for header, header_line, records, signature in read_batches(data):
            digest = check_batch(header, header_line, records, signature, keys)
            place = (header["site"], header["gateway"], header["epoch"])
            seq = header["seq"]
            known = chains.setdefault(place, {})
            demand(seq not in known, f"batch {seq} comes twice")
            known[seq] = digest
            previous[(*place, seq)] = header["prev"]
    for place, hashes in chains.items():
        for seq in range(1, max(hashes) + 1):
            demand(seq in hashes, f"{place[0]}/{place[1]}: batch {seq} is missing")
            if seq > 1:
                demand(
                    previous[(*place, seq)] == hashes[seq - 1],
                    f"{place[0]}/{place[1]}: batch {seq} does not follow batch {seq - 1}",
                )
    if receipts:
        demand(ledger_key is not None, "receipts need the ledger's key")
        ledger_keys = dict([load_key(ledger_key)])
        for data in receipts:
            check_witness(check_receipt(data, ledger_keys), chains)
    return chains


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Verify sync batches and receipts.")
    parser.add_argument("--keys", required=True, help="JSON list of {site, gateway, key}")
    parser.add_argument("--ledger-key", help="ed25519:... of the ledger, for receipts")
    parser.add_argument("--receipt", action="append", default=[], help="a receipt file")
    parser.add_argument("files", nargs="+", help="files of one or many batches")
    options = parser.parse_args(arguments)
    try:
        chains = verify(
            [read(path) for path in options.files],
            json.loads(read(options.keys)),
            [read(path) for path in options.receipt],
            options.ledger_key,
        )
    except Broken as fault:
        print(f"BROKEN: {fault}", file=sys.stderr)
        return 3
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(f"cannot read the input: {fault!r}", file=sys.stderr)
        return 2
    for (site, gateway, epoch), hashes in sorted(chains.items()):
        print(f"{site}/{gateway} epoch {epoch}: {len(hashes)} batches, head {max(hashes)} ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
