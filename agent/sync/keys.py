"""The signing key of a gateway or ledger in its file, made at the first start."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.core.chain import SigningKey
from agent.core.errors import ProofError, StoreError


def load_or_create_key(path: Path) -> SigningKey:
    """The key in a file, which is created with a new key if it does not exist.

    Raises:
        ProofError: the file holds something else, or others may read it.
        StoreError: the file cannot be read or written.
    """
    try:
        return load_key(path)
    except FileNotFoundError:
        pass
    key = SigningKey.generate()
    try:
        _write_new(path, _pem(key))
    except FileExistsError:
        return load_key(path)
    except OSError as fault:
        raise StoreError(
            f"the key cannot be written: {fault}",
            where=str(path),
            hint="the folder must exist and be writable for this service",
        ) from fault
    return key


def load_key(path: Path) -> SigningKey:
    """The key in a PEM file (PKCS #8, Ed25519).

    Raises:
        FileNotFoundError: there is no such file.
        ProofError: the file holds something else, or others may read it.
        StoreError: the file cannot be read.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise StoreError(f"the key cannot be read: {fault}", where=str(path)) from fault
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ProofError(
            "others may read or change this private key",
            where=str(path),
            hint=f"chmod 600 {path}; if others may have read it, make and enrol a new key",
        )
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise ProofError(f"not a private key: {fault}", where=str(path)) from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise ProofError("not an Ed25519 key", where=str(path))
    return SigningKey(key)


def _pem(key: SigningKey) -> bytes:
    return key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that did not exist; after a power cut it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
