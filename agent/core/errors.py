"""The error tree.

::

    TanshuError                 what, where, what to do next
    ├── ConfigError             one or more faults in configuration files
    ├── BusError                a field bus or its master
    │   ├── PortError           the port cannot be opened or was lost
    │   ├── ReplyTimeout        no complete reply in time
    │   ├── ReplyInvalid        a reply that cannot belong to the request (CRC, unit, length)
    │   └── DeviceRefused       a Modbus exception or a bad OPC UA status
    ├── DecodeError             registers that cannot be the declared type
    ├── StoreError              the database cannot be opened, read or written
    ├── ProofError              a signature, hash or chain does not hold
    ├── SyncError               broker or ledger cannot be reached or refuses
    └── UsageError              a command was called with the wrong words
"""

from __future__ import annotations

from dataclasses import dataclass


class TanshuError(Exception):
    """Base of all errors that a person may see: what is wrong, where, and what to do next."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault in a configuration: file, TOML path, what is wrong, what would be right."""

    file: str
    path: str
    what: str
    hint: str
    fatal: bool = True  # nothing may run until it is repaired
    warning: bool = False  # worth knowing; nothing is left out because of it

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.what} ({self.hint})"


class ConfigError(TanshuError):
    """All faults of a configuration at once."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        count = len(faults)
        super().__init__(
            "\n".join(str(fault) for fault in faults),
            hint=f"{count} fault{'s' if count != 1 else ''}",
        )
        self.faults = faults

    def __str__(self) -> str:
        return self.what


class BusError(TanshuError):
    """A field bus, its port or one exchange failed."""


class PortError(BusError):
    """The port or connection cannot be opened, or was lost."""


class ReplyTimeout(BusError):
    """No complete reply arrived in time."""


class ReplyInvalid(BusError):
    """A reply arrived that cannot belong to the request."""


class DeviceRefused(BusError):
    """The device answered with an exception."""

    def __init__(self, what: str, *, code: int, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.code = code


class DecodeError(TanshuError):
    """Registers that cannot be a value of the declared type."""


class StoreError(TanshuError):
    """The database cannot be opened, read or written."""


class ProofError(TanshuError):
    """A signature, hash or chain does not hold."""


class SyncError(TanshuError):
    """The broker or the ledger cannot be reached or refuses."""


class UsageError(TanshuError):
    """A command was called with words it does not know."""
