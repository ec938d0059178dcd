"""What a gateway writes for a ledger's operator: who it is and the key it signs with."""

from __future__ import annotations

from agent.core import strict_json
from agent.core.chain import PublicKey


def enrolment_text(site: str, gateway: str, key: PublicKey) -> str:
    """The content of an enrolment file."""
    return strict_json.encode({"site": site, "gateway": gateway, "key": key.text}).decode() + "\n"
