"""Who may write through the API while there is no login: this machine, or who has the token.

A browser on this machine must not be led by a foreign page into writing here, so a request has
to say JSON (which no form can), come from no other origin, and name this machine as its host
(which a name that points here does not).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from agent.core.errors import TanshuError

MOST_BODY_BYTES = 16 * 1024 * 1024
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class WriteRefusal(TanshuError):
    """A request that may not write, with the status of its answer."""

    def __init__(self, what: str, *, status: int, where: str, hint: str) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status


def check_may_write(request: Request, token: Callable[[], str]) -> None:
    """Refuse a request that may not write; ``token`` gives the configured one, or empty text.

    Raises:
        WriteRefusal: with what would have been right.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WriteRefusal(
            status=415,
            what="is not application/json",
            where="content-type",
            hint="send JSON with the header Content-Type: application/json",
        )
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if origin is not None and _netloc(origin) != host.lower():
        raise WriteRefusal(
            status=403,
            what="a page of another origin may not write here",
            where="origin",
            hint="open this gateway's own page",
        )
    authorization = request.headers.get("authorization")
    if authorization is not None:
        _check_token(authorization, token())
    elif not _is_local(request, host):
        raise WriteRefusal(
            status=403,
            what="only this machine may write without a token",
            where="authorization",
            hint="set web.token_file and send Authorization: Bearer with its content",
        )


async def read_body(request: Request) -> bytes:
    """The body of a request, up to the largest that is taken.

    Raises:
        WriteRefusal: it is larger.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            raise WriteRefusal(
                status=413,
                what=f"is larger than {MOST_BODY_BYTES // 1024 // 1024} MB",
                where="body",
                hint="send fewer entries or smaller documents at once",
            )
    return bytes(body)


def _check_token(authorization: str, token: str) -> None:
    scheme, _, given = authorization.partition(" ")
    right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not token or not right:
        raise WriteRefusal(
            status=401,
            what="the token is wrong",
            where="authorization",
            hint="send Authorization: Bearer with the content of web.token_file",
        )


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_local(request: Request, host: str) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return _is_loopback(request.client.host) and (name == "localhost" or _is_loopback(name))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
