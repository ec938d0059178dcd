"""Hashes, Merkle trees and signatures that make delivered data provable.

Merkle trees follow RFC 6962 section 2.1 (leaf prefix 0x00, node prefix 0x01), signatures are
Ed25519 (RFC 8032). Every signature covers a context string, a zero byte and a SHA-256 digest, so
that a signature of one kind of message can never pass as that of another.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from agent.core.errors import ProofError

KEY_PREFIX = "ed25519:"


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two child hashes (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of a list of leaves, in order.

    Source: RFC 6962 section 2.1. The tree of no leaves is SHA-256 of the empty string.

    Example:
        >>> merkle_root([]).hex()[:16]
        'e3b0c44298fc1c14'
    """
    level = [leaf_hash(leaf) for leaf in leaves]
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        # An odd last node moves up unchanged, which gives the same tree as the RFC's recursion.
        odd = [level[-1]] if len(level) % 2 else []
        level = [
            node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)
        ] + odd
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of one leaf, lowest sibling first (RFC 6962 section 2.1.1).

    Raises:
        IndexError: there is no leaf of that index.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    level = [leaf_hash(leaf) for leaf in leaves]
    path: list[bytes] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        odd = [level[-1]] if len(level) % 2 else []
        level = [
            node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)
        ] + odd
        index //= 2
    return tuple(path)


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is number ``index`` of a tree of ``size`` leaves (RFC 9162 2.1.3.2).

    Raises:
        ProofError: the path does not lead from the leaf to the root.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} cannot be in a tree of {size}")
    position, last = index, size - 1
    computed = leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position % 2 or position == last:
            computed = node_hash(sibling, computed)
            while position % 2 == 0 and position:
                position //= 2
                last //= 2
        else:
            computed = node_hash(computed, sibling)
        position //= 2
        last //= 2
    if last or computed != root:
        raise ProofError("the leaf does not belong to this Merkle root")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """An Ed25519 public key; ``id`` is the first 16 hex digits of SHA-256 of its 32 bytes."""

    raw: bytes

    @property
    def id(self) -> str:
        return sha256(self.raw).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The form written in configuration files: ``ed25519:`` and the raw key in Base64."""
        return KEY_PREFIX + b64encode(self.raw).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Read the form that ``text`` writes.

        Raises:
            ProofError: another prefix, bad Base64 or not 32 bytes.
        """
        if not text.startswith(KEY_PREFIX):
            raise ProofError(f"a public key begins with {KEY_PREFIX!r}", where=text[:24])
        raw = decode_base64(text.removeprefix(KEY_PREFIX))
        if len(raw) != 32:
            raise ProofError(f"a public key has 32 bytes, not {len(raw)}", where=text[:24])
        return cls(raw=raw)

    def verify(self, context: str, digest: bytes, signature: bytes) -> None:
        """Check a signature over the context, a zero byte and a digest.

        Raises:
            ProofError: the signature was not made by this key over these bytes.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(
                signature, signed_bytes(context, digest)
            )
        except (InvalidSignature, ValueError) as fault:
            raise ProofError(
                f"the signature was not made by key {self.id}", where=context
            ) from fault


class SigningKey:
    """An Ed25519 private key."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(raw=key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte seed (RFC 8032 section 5.1.5)."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls) -> SigningKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key object, for writing it to its file."""
        return self._key

    def sign(self, context: str, digest: bytes) -> bytes:
        """The signature over the context, a zero byte and a digest."""
        return self._key.sign(signed_bytes(context, digest))


def signed_bytes(context: str, digest: bytes) -> bytes:
    """What a signature covers: the context, a zero byte, the digest."""
    return context.encode("ascii") + b"\0" + digest


def encode_base64(data: bytes) -> str:
    """Standard Base64 with padding (RFC 4648 section 4)."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Read Base64 in its one canonical spelling.

    Raises:
        ProofError: other characters, bad padding, or bits that the decoded bytes do not use.
    """
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError) as fault:
        raise ProofError(f"not Base64: {fault}") from fault
    # Two spellings of the same bytes would be two stored forms of one signature.
    if encode_base64(data) != text:
        raise ProofError("Base64 with unused bits set")
    return data
