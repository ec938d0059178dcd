"""The way of a decision about factor packs into a gateway: its API while it runs, else its file."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import asdict
from http.client import HTTPException
from pathlib import Path
from typing import Any

from agent.cli.activity_door import refuse_if_open, running_gateway, token_of
from agent.cli.address import checked_url
from agent.config.site import SiteConfig
from agent.core.errors import StoreError, SyncError

TIMEOUT_S = 1200.0  # a look at several sources, and what each new pack would change

# the gateway is on this machine or in the plant's own network, never behind the web's proxy
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def decide(
    config: SiteConfig, digits: str, body: dict[str, str], url: str | None, token_file: Path | None
) -> tuple[dict[str, Any], str]:
    """Hand a decision to the running gateway, or to its file if none runs.

    Returns the pack as it is then, and where the decision went.

    Raises:
        SyncError: the gateway does not answer or refuses.
        StoreError: the file is in use by a process that does not answer, or cannot be written.
    """
    address = running_gateway(config) if url is None else checked_url(url)
    if address is not None:
        return _post(f"{address}/api/v1/factor-packs/{digits}", body, config, token_file), address
    return _into_file(config, digits, body)


def post(
    config: SiteConfig, path: str, body: dict[str, str], url: str | None, token_file: Path | None
) -> dict[str, Any]:
    """Ask the running gateway for something that only it can do.

    Raises:
        SyncError: none runs, or it refuses.
    """
    address = running_gateway(config) if url is None else checked_url(url)
    if address is None:
        raise SyncError(
            "no gateway answers", where=str(config.path), hint="is `tanshu run` running? Or --url"
        )
    return _post(f"{address}/api/v1/factor-packs/{path}", body, config, token_file)


def _post(
    address: str, body: dict[str, str], config: SiteConfig, token_file: Path | None
) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310
        address, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    token = token_of(config, token_file)
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer
    except urllib.error.HTTPError as error:
        raise _refusal(address, error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise SyncError(
            f"no gateway answers: {error}", where=address, hint="is `tanshu run` running?"
        ) from error


def _refusal(address: str, error: urllib.error.HTTPError) -> SyncError:
    try:
        words = json.load(error)
        return SyncError(words["what"], where=words["where"], hint=words["hint"])
    except (ValueError, KeyError, TypeError):
        return SyncError(f"the gateway answers {error.code}", where=address)


def _into_file(config: SiteConfig, digits: str, body: dict[str, str]) -> tuple[dict[str, Any], str]:
    from agent.book.ports import Owner
    from agent.clock import SystemClock
    from agent.config.factors import site_factors_dir
    from agent.core.chain import PublicKey
    from agent.daemon.factor_desk import FactorDesk, pack_view
    from agent.store.database import open_store

    path = config.path.parent / config.store.path
    if not path.exists():
        raise StoreError("there is no database yet", where=str(path), hint="has the gateway run?")
    refuse_if_open(path)
    database = open_store(path)
    try:
        owner = Owner(site=config.site.id, gateway=config.gateway.id)
        desk = FactorDesk(database, owner, site_factors_dir())
        now_ms, by, note = SystemClock().now_ms(), body["by"], body["note"]
        if body["decision"] == "reject":
            stored, _ = desk.reject(digits, by, note, now_ms)
        else:
            keys = [PublicKey.from_text(text) for text in config.factors.keys]
            stored, _ = desk.approve(digits, by, note, keys, now_ms)
        return asdict(pack_view(stored)), str(path)
    finally:
        database.close()
