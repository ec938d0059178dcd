"""Merkle trees and signatures against published vectors."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.chain import (
    PublicKey,
    SigningKey,
    decode_base64,
    inclusion_proof,
    merkle_root,
    verify_inclusion,
)
from agent.core.errors import ProofError

LEAVES = [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
# Roots of the first n leaves, as published with Google's certificate-transparency reference code.
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_merkle_root_of_published_trees(size: int) -> None:
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_every_leaf_has_a_proof_and_no_other_leaf_fits_it(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = inclusion_proof(leaves, index), merkle_root(leaves)
    verify_inclusion(leaves[index], index=index, size=len(leaves), path=path, root=root)
    with pytest.raises(ProofError):
        verify_inclusion(leaves[index] + b"x", index=index, size=len(leaves), path=path, root=root)
    with pytest.raises(ProofError):
        verify_inclusion(
            leaves[index], index=index, size=len(leaves), path=(*path, root), root=root
        )


def test_signature_of_rfc_8032_test_1_key() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = SigningKey.from_seed(seed)
    assert key.public.raw.hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert key.public.id == sha256(key.public.raw).hexdigest()[:16]
    assert PublicKey.from_text(key.public.text) == key.public


def test_a_signature_of_one_context_is_none_of_another() -> None:
    key, digest = SigningKey.generate(), sha256(b"x").digest()
    signature = key.sign("tanshu/v1/batch", digest)
    key.public.verify("tanshu/v1/batch", digest, signature)
    with pytest.raises(ProofError):
        key.public.verify("tanshu/v1/receipt", digest, signature)


@pytest.mark.parametrize(
    "text", ["rsa:AAAA", "ed25519:AAAA", "ed25519:@@@@", "ed25519:" + "A" * 43, "AAAA"]
)
def test_bad_public_keys_are_refused(text: str) -> None:
    with pytest.raises(ProofError):
        PublicKey.from_text(text)


def test_base64_has_one_spelling() -> None:
    assert decode_base64("AA==") == b"\0"
    with pytest.raises(ProofError):
        decode_base64("AB==")
