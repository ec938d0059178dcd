"""Checks of field buses and of the meters on them: ports, addresses, bus time, meter tree."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import msgspec

from agent.config import sections
from agent.config.draft import Draft, Item
from agent.config.faults import nearest
from agent.config.points import meter_points
from agent.config.site import MeterPlan
from agent.config.tables import show
from agent.core.bustime import MeterDemand, SerialLine, bus_budget
from agent.core.readplan import plan_reads

_COMMON = ("id", "driver", "name")
_SERIAL = ("baud", "parity", "stop_bits")
_DISCIPLINE = ("timeout_s", "slowest_reply_s", "max_hole")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "modbus-rtu": (*_COMMON, "port", *_SERIAL, *_DISCIPLINE),
    "modbus-tcp": (*_COMMON, "host", "port", *_DISCIPLINE),
    "modbus-rtu-tcp": (*_COMMON, "host", "port", *_SERIAL, *_DISCIPLINE),
    "opcua": (
        *_COMMON,
        "endpoint",
        "security",
        "trust",
        "certificate",
        "private_key",
        "user",
        "password_file",
        "publish_ms",
        "timeout_s",
    ),
}
_SOCKET_DRIVERS = ("modbus-tcp", "modbus-rtu-tcp")
_MODBUS_PORT = 502
_POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
_MODES = ("Sign", "SignAndEncrypt")
_SHORTEST_PERIOD_S = 0.05
_BROADCAST = 0
_LAST_SLAVE = 247


def check_buses(draft: Draft, *, probe_ports: bool) -> None:
    """Driver, port or endpoint and security of each bus; no port twice."""
    owners: dict[str, str] = {}
    for item in draft.written("bus", sections.Bus):
        _check_driver(draft, item)
        _check_owner(draft, item, owners)
        if not item.is_left_out() and probe_ports and item.section.driver == "modbus-rtu":
            _probe_port(draft, item)


def _check_driver(draft: Draft, item: Item[sections.Bus]) -> None:
    bus = item.section
    keys = _KEYS.get(bus.driver)
    if keys is None:
        others = _drivers_of_others()
        if bus.driver not in others:
            hint = nearest(bus.driver, others | set(_KEYS))
            draft.reject(item, "driver", f'unknown driver "{bus.driver}"', hint)
        return
    for key in item.table:
        if key not in keys:
            draft.reject(
                item,
                key,
                f"has no meaning for driver {bus.driver}",
                f"its keys: {', '.join(keys)}",
            )
    if bus.driver == "modbus-rtu":
        if not isinstance(bus.port, str) or not bus.port:
            draft.reject(item, "port", "no serial port", 'such as "/dev/serial/by-path/…"')
    elif bus.driver == "opcua":
        _check_opcua(draft, item)
    else:
        _check_socket(draft, item)


def _drivers_of_others() -> set[str]:
    """The names of installed drivers that do not come with the product."""
    from importlib.metadata import entry_points  # rarely needed, and large

    return {entry.name for entry in entry_points(group="tanshu.drivers")} - set(_KEYS)


def _check_socket(draft: Draft, item: Item[sections.Bus]) -> None:
    bus = item.section
    if not bus.host:
        draft.reject(item, "host", "missing", "the name or address of the device or converter")
    if bus.port is None:
        item.section = msgspec.structs.replace(bus, port=_MODBUS_PORT)
    elif not isinstance(bus.port, int) or not 0 < bus.port < 65536:
        draft.reject(item, "port", f"{show(bus.port)} is no TCP port", "a number from 1 to 65535")


def _check_opcua(draft: Draft, item: Item[sections.Bus]) -> None:
    bus = item.section
    if not bus.endpoint or not bus.endpoint.startswith("opc.tcp://"):
        draft.reject(item, "endpoint", "no OPC UA address", 'such as "opc.tcp://dcs.example:4840"')
    if bus.security != "None":
        policy, _, mode = bus.security.partition("/")
        if policy not in _POLICIES or mode not in _MODES:
            known = ["None", *(f"{policy}/{mode}" for policy in _POLICIES for mode in _MODES)]
            stronger = f'write "{policy}/SignAndEncrypt"'
            hint = stronger if policy in _POLICIES else nearest(bus.security, known)
            draft.reject(item, "security", f'unknown security "{bus.security}"', hint)
        elif bus.trust is None:
            draft.reject(
                item,
                "trust",
                "missing: with security the server must be known",
                'a folder of trusted server certificates, or security = "None" on a closed network',
            )
    if (bus.certificate is None) != (bus.private_key is None):
        missing = "private_key" if bus.private_key is None else "certificate"
        draft.reject(item, missing, "missing", "certificate and private key come together")
    if bus.password_file is not None and bus.user is None:
        draft.reject(item, "user", "missing", "a password file needs the user it belongs to")


def _check_owner(draft: Draft, item: Item[sections.Bus], owners: dict[str, str]) -> None:
    bus = item.section
    if bus.endpoint:
        place, key = bus.endpoint.rstrip("/").casefold(), "endpoint"
    elif bus.host:
        place, key = f"{bus.host.casefold()}:{bus.port}", "host"
    elif bus.port and bus.driver not in _SOCKET_DRIVERS:
        place, key = os.path.realpath(str(bus.port)), "port"
    else:
        return
    first = owners.setdefault(place, item.path)
    if first != item.path:
        draft.reject(item, key, f"{place} belongs to {first} already", "put the meters on that bus")


def _probe_port(draft: Draft, item: Item[sections.Bus]) -> None:
    port = str(item.section.port)
    if not os.path.exists(port):
        what, hint = f"{port} does not exist", "check the cable, and `ls /dev/serial/by-path`"
    elif not os.access(port, os.R_OK | os.W_OK):
        what, hint = f"{port} cannot be opened", "add the user of the service to group dialout"
    else:
        return
    draft.faults.add(f"{item.path}.port", what, hint)


def check_meters(draft: Draft, *, window_s: int) -> dict[str, MeterPlan]:
    """The plan of every meter that can be read, in the order of the file."""
    plans: dict[str, MeterPlan] = {}
    for item in draft.written("meter", sections.Meter):
        bus = draft.refer(item, "bus", "bus", sections.Bus, item.section.bus)
        _check_period(draft, item, window_s)
        if bus is not None:
            _check_keys(draft, item, bus.section)
        points = meter_points(draft, item, bus.section if bus else None)
        if bus is not None and not item.is_left_out():
            plans[item.id] = MeterPlan(section=item.section, bus=bus.section, points=points)
    _check_addresses(draft)
    _check_tree(draft)
    kept = {item.id: item.section for item in draft.kept("meter", sections.Meter)}
    plans = {
        name: MeterPlan(section=kept[name], bus=plan.bus, points=plan.points)
        for name, plan in plans.items()
        if name in kept
    }
    _check_bus_time(draft, plans)
    return plans


def _check_period(draft: Draft, item: Item[sections.Meter], window_s: int) -> None:
    period_s = item.section.period_s
    if period_s > window_s:
        what = f"{period_s:g} s is longer than a window ({window_s} s)"
        draft.reject(item, "period_s", what, f"at most {window_s}; 1 is usual")
    elif period_s < _SHORTEST_PERIOD_S:
        what = f"{period_s:g} s is shorter than an exchange"
        draft.reject(item, "period_s", what, f"at least {_SHORTEST_PERIOD_S}; 1 is usual")


def _check_keys(draft: Draft, item: Item[sections.Meter], bus: sections.Bus) -> None:
    meter = item.section
    if bus.driver == "opcua":
        if meter.unit is not None:
            draft.reject(item, "unit", "an OPC UA server has no slave addresses", "remove it")
        if meter.template is not None:
            draft.reject(item, "template", "templates are for Modbus", "write points with nodes")
    elif bus.driver in _KEYS:
        _check_unit(draft, item, bus)


def _check_unit(draft: Draft, item: Item[sections.Meter], bus: sections.Bus) -> None:
    address = item.section.unit
    serial = bus.driver != "modbus-tcp"
    if address is None:
        draft.reject(item, "unit", "missing", "the slave address, 1 to 247")
    elif serial and not _BROADCAST < address <= _LAST_SLAVE:
        draft.reject(item, "unit", f"{address} is no slave address", "1 to 247 on a serial line")


def _check_addresses(draft: Draft) -> None:
    owners: dict[tuple[str, int], Item[sections.Meter]] = {}
    for item in draft.written("meter", sections.Meter):
        if item.section.unit is None:
            continue
        place = (item.section.bus, item.section.unit)
        first = owners.setdefault(place, item)
        if first is not item:
            draft.reject(
                item,
                "unit",
                f"slave address {place[1]} on bus {place[0]} belongs to {first.path} already",
                "read the address off both meters; neither is read until this is settled",
            )
            # which of the two is wrong is unknown, and values must not reach the wrong device
            draft.leave_out(first, item.path)


def _check_tree(draft: Draft) -> None:
    meters = {item.id: item for item in draft.kept("meter", sections.Meter)}
    for item in meters.values():
        parent = item.section.parent
        if parent is None or parent in meters:
            continue
        root = draft.root_of("meter", parent)
        if root is None:
            hint = nearest(parent, draft.names("meter"))
            draft.reject(item, "parent", f'unknown meter "{parent}"', hint)
        else:
            draft.miss(root, f"the parent of meter {item.id}")
            item.section = msgspec.structs.replace(item.section, parent=None)
    told: set[str] = set()
    for item in meters.values():
        ring = _ring(item.id, {name: entry.section.parent for name, entry in meters.items()})
        if not ring or told & set(ring):
            continue
        told |= set(ring)
        what = f"meters in a ring: {' → '.join([*ring, ring[0]])}"
        draft.faults.add(f"{item.path}.parent", what, "one of them must have no parent")
        for name in ring:
            meters[name].section = msgspec.structs.replace(meters[name].section, parent=None)


def _ring(start: str, parents: Mapping[str, str | None]) -> list[str]:
    """The ring that the meter is part of; empty if its line of parents ends."""
    line = [start]
    parent = parents.get(start)
    while parent is not None and parent not in line:
        line.append(parent)
        parent = parents.get(parent)
    return line if parent == start else []


def _check_bus_time(draft: Draft, plans: Mapping[str, MeterPlan]) -> None:
    for item in draft.kept("bus", sections.Bus):
        bus = item.section
        if bus.driver not in ("modbus-rtu", "modbus-rtu-tcp"):
            continue
        demands = [
            MeterDemand(
                meter=plan.id,
                counts=tuple(
                    block.count for block in plan_reads(plan.points, max_hole=bus.max_hole).blocks
                ),
                period_s=plan.section.period_s,
                timeout_s=plan.section.timeout_s or bus.timeout_s,
            )
            for plan in plans.values()
            if plan.bus.id == bus.id
        ]
        line = SerialLine(baud=bus.baud, parity=bus.parity, stop_bits=bus.stop_bits)
        budget = bus_budget(line, demands, slowest_reply_s=bus.slowest_reply_s)
        if not budget.fits:
            # the meters are still read, as often as the bus allows
            fitting_s = math.ceil(budget.cycle_s * 10) / 10
            draft.faults.add(
                f"{item.path}.baud",
                f"reading {len(demands)} meters takes {budget.cycle_s:.2f} s,"
                f" more than their period of {budget.period_s:g} s allows",
                f"period_s = {fitting_s:g} for all of them fits, or a higher baud rate,"
                " or a second bus",
            )
