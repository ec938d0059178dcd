"""OPC UA driver: one session and one subscription per server.

The client library costs about 15 MB and half a second, so it is imported only when a bus of
this kind is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config import sections
    from agent.config.site import MeterPlan
    from agent.core.ports import Clock
    from drivers.opcua.driver import OpcUaDriver


def opcua(bus: sections.Bus, meters: tuple[MeterPlan, ...], clock: Clock) -> OpcUaDriver:
    """The driver of one OPC UA server; nothing is connected before ``open``."""
    from drivers.opcua.driver import OpcUaDriver

    return OpcUaDriver(bus, meters, clock)


__all__ = ["opcua"]
