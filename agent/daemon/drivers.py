"""Which driver serves a bus: the built-in ones by name, third-party ones by entry point."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeGuard, cast

from agent.config.sections import Bus
from agent.config.site import MeterPlan
from agent.core.errors import UsageError
from agent.core.ports import Clock, PolledDriver, SubscribedDriver

Driver = PolledDriver | SubscribedDriver
Factory = Callable[[Bus, tuple[MeterPlan, ...], Clock], Driver]

DRIVERS = {
    "modbus-rtu": "drivers.modbus:rtu",
    "modbus-tcp": "drivers.modbus:tcp",
    "modbus-rtu-tcp": "drivers.modbus:rtu_over_tcp",
    "opcua": "drivers.opcua:opcua",
}
ENTRY_POINT_GROUP = "tanshu.drivers"


def driver_names() -> list[str]:
    """Every driver that can be named in a site file."""
    installed = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return sorted(installed | set(DRIVERS))


def build_driver(bus: Bus, meters: tuple[MeterPlan, ...], clock: Clock) -> Driver:
    """The driver of one bus; its module is imported only now."""
    return _factory(bus.driver)(bus, meters, clock)


def is_subscribed(driver: Driver) -> TypeGuard[SubscribedDriver]:
    """Whether the driver is told of changes instead of asking."""
    return hasattr(driver, "batches")


def is_polled(driver: Driver) -> TypeGuard[PolledDriver]:
    """Whether the driver asks its meters in turn."""
    return not is_subscribed(driver)


def _factory(name: str) -> Factory:
    if name in DRIVERS:
        module, _, attribute = DRIVERS[name].partition(":")
        return cast(Factory, getattr(importlib.import_module(module), attribute))
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast(Factory, entry.load())
    raise UsageError(
        f"no driver is called {name}",
        where="bus.driver",
        hint="one of " + ", ".join(driver_names()),
    )
