"""What a target's section of the site file means to its publisher."""

from __future__ import annotations

from agent.config.sections import Target
from agent.core.chain import PublicKey
from agent.core.errors import SyncError
from agent.sync.broker import Broker, split_url
from agent.sync.model import Loss, LossKind


def broker_of(target: Target, *, site: str, gateway: str) -> Broker:
    """The broker of a target section; the client id is unique per site, gateway and target."""
    host, port, tls = split_url(target.url)
    return Broker(
        host=host,
        port=port,
        tls=tls,
        client_id=target.client_id or f"tanshu-{site}-{gateway}-{target.id}",
        ca=target.ca,
        certificate=target.certificate,
        private_key=target.private_key,
        user=target.user,
        password_file=target.password_file,
    )


def pinned_key(target: Target) -> PublicKey | None:
    """The ledger's key that receipts of a target must be signed by; ``None`` without receipts.

    Raises:
        SyncError: receipts are expected, but no key is configured.
        ProofError: the configured key is none.
    """
    if target.confirm == "puback":
        return None
    if target.ledger_key is None:
        raise SyncError(
            "no ledger_key, so no receipt could be trusted",
            where=f"target {target.id}",
            hint='copy it from `tanshu ledger run`, or set confirm = "puback"',
        )
    return PublicKey.from_text(target.ledger_key)


def advice(loss: Loss, broker: Broker) -> str:
    """What a person should know and do about the loss of a connection."""
    match loss.kind:
        case LossKind.TAKEN_OVER:
            return (
                f"another client uses the id {broker.client_id} at {broker.address}; "
                "give each gateway its own id"
            )
        case LossKind.REFUSED:
            return f"{broker.address} refuses: {loss.detail}; check user, certificate and ACL"
        case _:
            return f"{broker.address}: {loss.detail}"
