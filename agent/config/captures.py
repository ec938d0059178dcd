"""The evidence of a template replayed: captured bytes through the decoder to expected values."""

from __future__ import annotations

import math

from agent.config import sections
from agent.config.templates import Capture, Exchange, Template, template_points
from agent.core.decode import Decoded, RegisterBank, RegisterBlock, decode_point
from agent.core.errors import DecodeError, Fault
from agent.core.readplan import spans_of

READ_REQUEST_SIZE = 8
REPLY_OVERHEAD = 5
EXACT = 1e-12
SINGLE_PRECISION = 1e-7


def capture_bank(capture: Capture) -> RegisterBank:
    """The registers that a capture holds; DecodeError for an exchange that is no register read."""
    blocks = [
        RegisterBlock(function=dump.function, address=dump.address, registers=tuple(dump.registers))
        for dump in capture.registers
    ]
    blocks.extend(_exchange_block(exchange) for exchange in capture.exchanges)
    return RegisterBank(blocks)


def _exchange_block(exchange: Exchange) -> RegisterBlock:
    request, response = bytes.fromhex(exchange.request), bytes.fromhex(exchange.response)
    if len(request) != READ_REQUEST_SIZE or request[1] not in (3, 4):
        raise DecodeError(f"{exchange.request}: no read request", hint="8 bytes, function 3 or 4")
    count = int.from_bytes(request[4:6], "big")
    expected = bytes((request[0], request[1], 2 * count & 0xFF))
    if response[:3] != expected or len(response) != REPLY_OVERHEAD + 2 * count:
        raise DecodeError(
            f"{exchange.response}: no reply to {exchange.request}",
            hint=f"it begins with {expected.hex(' ')} and has {REPLY_OVERHEAD + 2 * count} bytes",
        )
    data = response[3:-2]
    return RegisterBlock(
        function=request[1],
        address=int.from_bytes(request[2:4], "big"),
        registers=tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, 2 * count, 2)),
    )


def check_captures(template: Template) -> tuple[Fault, ...]:
    """Where the captures of a template contradict it, and which points no capture proves."""
    faults: list[Fault] = []
    proven: set[tuple[str | None, str]] = set()
    for place, capture in enumerate(template.captures, start=1):
        for path, what in _contradictions(template, capture):
            faults.append(_fault(template, f"capture[{place}]{path}", what))
        proven |= {(capture.variant, name) for name in capture.expected}
    names = {name for _, name in proven}
    faults.extend(
        _fault(template, f"point[{point.id}]", "no capture proves it")
        for point in template.points
        if point.id not in names
    )
    for variant in template.variants:
        for point in variant.points:
            if (variant.id, point.id) not in proven:
                path = f"variant[{variant.id}].point[{point.id}]"
                faults.append(_fault(template, path, "no capture proves it"))
    return tuple(faults)


def _contradictions(template: Template, capture: Capture) -> list[tuple[str, str]]:
    try:
        bank = capture_bank(capture)
    except (DecodeError, ValueError) as fault:
        return [("", str(fault))]
    meter = sections.Meter(id="any", bus="any", ratio=capture.ratio)
    points = {point.id: point for point in template_points(template, capture.variant, meter)}
    found: list[tuple[str, str]] = []
    for name, wanted in capture.expected.items():
        point = points[name]
        if point.register is None or any(
            bank.get(span.function, span.address, span.count) is None
            for span in spans_of(point.register)
        ):
            found.append((f".expected.{name}", "the capture does not hold its registers"))
            continue
        decoded = decode_point(point, bank)
        if not _same(decoded, wanted, single_precision="f32" in point.register.type):
            got = decoded.value if decoded.text is None else decoded.text
            found.append(
                (f".expected.{name}", f"decodes to {got} ({decoded.quality}) instead of {wanted}")
            )
    return found


def _same(decoded: Decoded, wanted: float | str, *, single_precision: bool) -> bool:
    if isinstance(wanted, str):
        return decoded.text == wanted
    tolerance = SINGLE_PRECISION if single_precision else EXACT
    return decoded.value is not None and math.isclose(decoded.value, wanted, rel_tol=tolerance)


def _fault(template: Template, path: str, what: str) -> Fault:
    return Fault(
        file=f"{template.id}.toml",
        path=path,
        what=what,
        hint="check address, type, word order and scale against the source",
    )
