"""Faults of the virtual plant: what can go wrong, from when, for how long and how often."""

from __future__ import annotations

import itertools
import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from drivers.virtual.definition import PlantDefinition, default_definition
from drivers.virtual.errors import PlantError

SHAPE = "kind:target[=parameter]@from+for, times in seconds"
EVERYWHERE = "*"

_SYNTAX = re.compile(
    r"(?P<kind>[a-z-]+):(?P<target>[^=@+\s]+)"
    r"(?:=(?P<parameter>[^@+\s]+))?"
    r"(?:@(?P<from>[0-9.]+))?"
    r"(?:\+(?P<for>[0-9.]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of fault: what its parameter means, its default and which buses can have it."""

    parameter: str | None
    default: float
    buses: frozenset[str]
    once: bool = False


RTU = frozenset({"rtu"})
WIRED = frozenset({"rtu", "tcp"})

KINDS: dict[str, Kind] = {
    "dead": Kind(parameter=None, default=0.0, buses=WIRED),
    "late": Kind(parameter="milliseconds[,probability]", default=300.0, buses=WIRED),
    "noise": Kind(parameter="probability", default=1.0, buses=RTU),
    "wrong-unit": Kind(parameter="probability", default=1.0, buses=WIRED),
    "truncated": Kind(parameter="probability", default=1.0, buses=WIRED),
    "rollover": Kind(
        parameter="seconds until the counter wraps", default=5.0, buses=WIRED, once=True
    ),
    "reset": Kind(parameter=None, default=0.0, buses=WIRED, once=True),
    "zero": Kind(parameter="number of readings", default=1.0, buses=WIRED, once=True),
    "nan": Kind(parameter=None, default=0.0, buses=WIRED | {"opcua"}),
    "session-loss": Kind(parameter=None, default=0.0, buses=frozenset({"opcua"}), once=True),
    "drop": Kind(parameter=None, default=0.0, buses=frozenset({"tcp"}), once=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault at a meter, a bus (all its meters), a DCS tag or everywhere (``*``).

    ``amount`` is the parameter of the kind (milliseconds, seconds, readings); ``probability``
    applies per reply. ``for_s`` None means until the plant stops.
    """

    kind: str
    target: str
    amount: float = 0.0
    probability: float = 1.0
    from_s: float = 0.0
    for_s: float | None = None

    def active(self, elapsed_s: float) -> bool:
        end_s = float("inf") if self.for_s is None else self.from_s + self.for_s
        return self.from_s <= elapsed_s < end_s


def parse_fault(text: str, definition: PlantDefinition | None = None) -> Fault:
    """Read a fault as the command line writes it.

    The shape is ``kind:target[=parameter][@from][+for]``, times in seconds from the plant's start.
    A target is a meter, a bus, a DCS tag (``nan`` only) or ``*``.

    Raises PlantError, one line with what is wrong and what would be right.

    Example: ``dead:em-reactor@10+20`` is silent from second 10 to second 30;
    ``late:rs485-1=300,0.05`` sends 5 % of the replies of a bus 300 ms late.
    """
    found = _SYNTAX.fullmatch(text.strip())
    if found is None:
        raise PlantError(f"fault {text!r}: expected {SHAPE}, e.g. dead:em-reactor@10+20")
    kind = found["kind"]
    if kind not in KINDS:
        raise PlantError(f"fault {text!r}: no kind {kind!r}; choose from {', '.join(KINDS)}")
    plant = definition if definition is not None else default_definition()
    _check_target(text, kind, found["target"], plant)
    amount, probability = _parameter(text, kind, found["parameter"])
    return Fault(
        kind=kind,
        target=found["target"],
        amount=amount,
        probability=probability,
        from_s=_seconds(text, found["from"]) or 0.0,
        for_s=_seconds(text, found["for"]),
    )


def _check_target(text: str, kind: str, target: str, plant: PlantDefinition) -> None:
    if target == EVERYWHERE:
        return
    allowed = KINDS[kind].buses
    if target in plant.meters:
        bus = plant.buses[plant.meters[target].bus]
    elif target in plant.buses:
        bus = plant.buses[target]
    elif target in plant.tags:
        bus = next(bus for bus in plant.buses.values() if bus.kind == "opcua")
        if kind != "nan":
            raise PlantError(f"fault {text!r}: a DCS tag can only have the fault 'nan'")
    else:
        known = [*plant.meters, *plant.buses]
        raise PlantError(f"fault {text!r}: no target {target!r}; choose from {', '.join(known)}, *")
    if bus.kind not in allowed:
        raise PlantError(
            f"fault {text!r}: {kind!r} does not happen on {bus.id} ({bus.kind}), "
            f"only on {', '.join(sorted(allowed))}"
        )


def _parameter(text: str, kind: str, parameter: str | None) -> tuple[float, float]:
    """Amount and probability of a fault."""
    meaning = KINDS[kind]
    if parameter is None:
        return _split(kind, meaning.default, 1.0)
    if meaning.parameter is None:
        raise PlantError(f"fault {text!r}: {kind!r} takes no parameter")
    first, comma, second = parameter.partition(",")
    try:
        amount, probability = float(first), float(second) if comma else 1.0
    except ValueError:
        raise PlantError(f"fault {text!r}: after '=' comes {meaning.parameter}") from None
    if comma and kind != "late":
        raise PlantError(f"fault {text!r}: after '=' comes {meaning.parameter}")
    amount, probability = _split(kind, amount, probability)
    if not (0.0 <= probability <= 1.0 and 0.0 <= amount < float("inf")):
        raise PlantError(f"fault {text!r}: after '=' comes {meaning.parameter}, 0..1 if a share")
    return amount, probability


def _split(kind: str, amount: float, probability: float) -> tuple[float, float]:
    """Kinds whose parameter is a probability have no amount."""
    return (0.0, amount) if KINDS[kind].parameter == "probability" else (amount, probability)


def _seconds(text: str, digits: str | None) -> float | None:
    if digits is None:
        return None
    try:
        return float(digits)
    except ValueError:
        raise PlantError(f"fault {text!r}: {digits!r} is not a number of seconds") from None


class Faults:
    """The faults of a running plant; every method may be called from any thread."""

    def __init__(
        self,
        definition: PlantDefinition,
        elapsed_s: Callable[[], float],
        *,
        seed: int = 1,
        faults: Iterable[Fault] = (),
    ) -> None:
        self._definition = definition
        self._elapsed_s = elapsed_s
        self._chance = random.Random(f"{seed}:faults")
        self._lock = threading.Lock()
        self._serial = itertools.count()
        self._faults: dict[int, Fault] = {next(self._serial): fault for fault in faults}
        self._taken: dict[tuple[int, str], int] = {}
        self._reach: Mapping[str, tuple[str, ...]] = {
            **{id_: (id_, meter.bus, EVERYWHERE) for id_, meter in definition.meters.items()},
            **{id_: (id_, EVERYWHERE) for id_ in definition.buses},
            **{node: (node, *self._opcua_buses(), EVERYWHERE) for node in definition.tags},
        }

    def add(self, fault: Fault | str) -> Fault:
        """Schedule a fault; its times count from the plant's start."""
        parsed = parse_fault(fault, self._definition) if isinstance(fault, str) else fault
        with self._lock:
            self._faults[next(self._serial)] = parsed
        return parsed

    def switch_on(self, fault: Fault | str) -> Fault:
        """Begin a fault now; the ``from`` of the fault is ignored."""
        parsed = parse_fault(fault, self._definition) if isinstance(fault, str) else fault
        return self.add(replace(parsed, from_s=max(0.0, self._elapsed_s())))

    def switch_off(self, kind: str | None = None, target: str | None = None) -> None:
        """Remove the faults of a kind and a target; None stands for all."""
        with self._lock:
            self._faults = {
                serial: fault
                for serial, fault in self._faults.items()
                if (kind is not None and fault.kind != kind)
                or (target is not None and fault.target != target)
            }

    def listed(self) -> tuple[Fault, ...]:
        """All scheduled faults, over or not."""
        with self._lock:
            return tuple(self._faults.values())

    def active(self, kind: str, target: str) -> Fault | None:
        """The first fault of a kind that holds at a target now; chance is not asked."""
        elapsed_s = self._elapsed_s()
        with self._lock:
            return next((fault for _, fault in self._holding(kind, target, elapsed_s)), None)

    def strikes(self, kind: str, target: str) -> Fault | None:
        """As `active`, but asks chance with the fault's probability."""
        elapsed_s = self._elapsed_s()
        with self._lock:
            for _, fault in self._holding(kind, target, elapsed_s):
                if self._chance.random() < fault.probability:
                    return fault
        return None

    def take(self, kind: str, target: str) -> Fault | None:
        """A fault that happens a fixed number of times per target, if it still has to."""
        elapsed_s = self._elapsed_s()
        with self._lock:
            for serial, fault in self._holding(kind, target, elapsed_s):
                most = int(fault.amount) if kind == "zero" else 1
                key = (serial, target)
                if self._taken.get(key, 0) < most:
                    self._taken[key] = self._taken.get(key, 0) + 1
                    return fault
        return None

    def below(self, limit: int) -> int:
        """A random whole number from 0 to ``limit - 1``, from the plant's seed."""
        with self._lock:
            return self._chance.randrange(limit)

    def _holding(self, kind: str, target: str, elapsed_s: float) -> Iterator[tuple[int, Fault]]:
        reach = self._reach[target]
        return (
            (serial, fault)
            for serial, fault in self._faults.items()
            if fault.kind == kind and fault.target in reach and fault.active(elapsed_s)
        )

    def _opcua_buses(self) -> tuple[str, ...]:
        return tuple(bus.id for bus in self._definition.buses.values() if bus.kind == "opcua")
