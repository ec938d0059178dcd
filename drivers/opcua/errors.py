"""What the client library raises, in the words of the error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from asyncua import ua
from asyncua.ua import status_codes
from cryptography.exceptions import InvalidSignature

from agent.core.errors import BusError, PortError
from drivers.opcua.wire import WireError

_CODES = ua.StatusCodes

_ADVICE: Final[dict[int, tuple[str, str]]] = {
    _CODES.BadTooManySessions: (
        "the server has no free session",
        "close unused clients, or wait until the server drops stale sessions",
    ),
    _CODES.BadTooManySubscriptions: (
        "the server has no free subscription",
        "close unused clients, or raise the limit at the server",
    ),
    _CODES.BadSecurityChecksFailed: (
        "the server refuses the secure channel",
        "trust the gateway's certificate at the server, and check both clocks",
    ),
    _CODES.BadCertificateUntrusted: (
        "the server does not trust the gateway's certificate",
        "move it from rejected to trusted at the server",
    ),
    _CODES.BadCertificateUriInvalid: (
        "the server misses the application URI in the gateway's certificate",
        "use a certificate with an application URI, or let the gateway make one",
    ),
    _CODES.BadCertificateTimeInvalid: (
        "a certificate is not valid at the server's time",
        "check the clocks of server and gateway",
    ),
    _CODES.BadSecurityPolicyRejected: (
        "the server refuses this security policy",
        "choose one that the server offers",
    ),
    _CODES.BadUserAccessDenied: (
        "the server refuses the user",
        "check user and password_file, and the user's rights at the server",
    ),
    _CODES.BadIdentityTokenRejected: (
        "the server refuses the user or its password",
        "check user and password_file",
    ),
    _CODES.BadIdentityTokenInvalid: (
        "the server does not accept this kind of login",
        "set user and password_file, or allow anonymous access at the server",
    ),
}


def status_name(code: int) -> str:
    """The standard's name of a status code; its number where the standard has none.

    >>> status_name(0x80340000)
    'BadNodeIdUnknown'
    """
    known = status_codes.code_to_name_doc.get(code & 0xFFFF_0000)
    return str(known[0]) if known else f"status {code:#010x}"


@contextmanager
def bus_errors(where: str, doing: str) -> Iterator[None]:
    """Turn what the client library raises into a BusError that says what to do next."""
    try:
        yield
    except (BusError, WireError):
        raise
    except ua.UaStatusCodeError as error:
        what, hint = _ADVICE.get(
            error.code, ("the server refused", "look into the server's log for the reason")
        )
        raise PortError(
            f"{what} ({status_name(error.code)}) while {doing}", where=where, hint=hint
        ) from error
    except InvalidSignature as error:
        raise PortError(
            f"the server cannot prove that it owns its certificate, while {doing}",
            where=where,
            hint="somebody may stand between gateway and server: check the network",
        ) from error
    except TimeoutError as error:
        raise PortError(
            f"no answer while {doing}", where=where, hint="check that the server runs"
        ) from error
    except OSError as error:
        raise PortError(
            f"{error or 'connection lost'} while {doing}",
            where=where,
            hint="check endpoint, network and firewall, and that the server runs",
        ) from error
    except (ua.UaError, ValueError) as error:
        raise PortError(
            f"{error} while {doing}", where=where, hint="look into the server's log"
        ) from error
