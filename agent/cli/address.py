"""Where a gateway's page is: as a person names it, or as the site file says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.core.errors import UsageError

if TYPE_CHECKING:
    from agent.config.site import SiteConfig

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def checked_url(text: str) -> str:
    """The address without its last slash.

    Raises:
        UsageError: it is not http or https, or names no host.
    """
    try:
        parts = urlsplit(text)
        # reading the port is what checks it
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isprintable() or " " in text:
        raise UsageError(
            f'"{text}" is no address of a page', where="--url", hint="as http://192.168.1.20:8080"
        )
    return text.rstrip("/")


def page_address(config: SiteConfig) -> str:
    """The address of this site's page, seen from its own machine."""
    host = _ANY_ADDRESS.get(config.web.host, config.web.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{config.web.port}"
