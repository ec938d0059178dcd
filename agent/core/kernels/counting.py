"""Loops over cumulative registers and rates. Plain Python that numba can compile unchanged."""

from __future__ import annotations

import math

from agent.core.kernels.arrays import Bytes, Floats, Integers

# What a reading turned out to be; the order is part of stored data and never changes.
FIRST = 0
NORMAL = 1
JITTER = 2
WRAP = 3
RESET = 4
REPLACEMENT = 5
TRANSIENT = 6
TRANSIENT_TAIL = 7
INVALID = 8
PENDING = 9

# How many consistent readings prove that an odd reading is real (itself included).
WRAP_PROOF = 2
RESET_PROOF = 3
REPLACEMENT_PROOF = 4

_RECOVERED = 0
_CONFIRMED = 1
_BROKEN = 2
_UNDECIDED = 3


def classify_counter(
    times: Integers,
    registers: Floats,
    limits: Floats,
    numbers: Floats,
    integers: Integers,
    classes: Bytes,
    accumulated: Floats,
    segments: Integers,
) -> int:
    """Decide what each reading of a counter is; returns how many readings are decided.

    ``limits``: resolution, modulus (0 = none), max rate per hour (inf = unknown), credit beyond one
    count, resolution relative to the register (0 = none).
    ``numbers`` (in and out): reference register, offset, credit. ``integers`` (in and out): time of
    the reference, segment, reference known (0/1), time decided to, index to stop before.
    """
    resolution = limits[0]
    modulus = limits[1]
    rate_per_ms = limits[2] / 3_600_000.0
    spare = limits[3]
    relative = limits[4]
    reference = numbers[0]
    offset = numbers[1]
    credit = numbers[2]
    reference_ms = integers[0]
    segment = integers[1]
    known = integers[2]
    last_ms = integers[3]
    stop = integers[4]
    count = len(times)
    i = 0
    while i < stop:
        time_ms = times[i]
        register = registers[i]
        segments[i] = segment
        grain = relative * abs(register)  # one count: grows with the number in a float register
        if not grain > resolution:
            grain = resolution
        credit_cap = grain + spare
        fuzz = 1e-14 * (abs(register) + abs(reference))
        increment = register - reference
        allowed = rate_per_ms * (time_ms - reference_ms) + fuzz
        left = credit + (allowed - increment)
        if known == 1 and time_ms > last_ms and increment >= 0.0 and left >= 0.0:
            classes[i] = NORMAL
            reference = register
            reference_ms = time_ms
            last_ms = time_ms
            credit = left if left < credit_cap else credit_cap
            accumulated[i] = offset + register
            i += 1
            continue
        accumulated[i] = math.nan
        if known == 1 and time_ms <= last_ms:
            classes[i] = INVALID
            i += 1
            continue
        if not math.isfinite(register):
            classes[i] = INVALID
            if known == 1:
                last_ms = time_ms
            i += 1
            continue
        if known == 0:
            known = 1
            reference = register
            reference_ms = time_ms
            last_ms = time_ms
            offset = -register
            credit = grain
            classes[i] = FIRST
            accumulated[i] = offset + register
            i += 1
            continue

        backlash = -2.0 * grain - fuzz
        limit = credit + allowed
        across = increment - modulus
        if (increment < 0.0 and increment >= backlash) or (
            modulus > 0.0 and across < 0.0 and across >= backlash
        ):
            classes[i] = JITTER
            reference_ms = time_ms
            last_ms = time_ms
            credit = limit
            if credit > credit_cap:
                credit = credit_cap
            accumulated[i] = offset + reference
            i += 1
            continue

        # An odd reading: the readings after it tell whether the counter is really there.
        verdict_class = REPLACEMENT
        proof = REPLACEMENT_PROOF
        chain_credit = grain
        if increment < 0.0:
            verdict_class = RESET
            proof = RESET_PROOF
            # Two turns within the limit would leave the amount ambiguous: no wrap then.
            if modulus > 0.0:
                wrapped = increment + modulus
                if wrapped >= 0.0 and wrapped <= limit and wrapped + modulus > limit:
                    verdict_class = WRAP
                    proof = WRAP_PROOF
                    chain_credit = limit - wrapped
                    if chain_credit > credit_cap:
                        chain_credit = credit_cap
        wrap_credit = chain_credit
        verdict = _UNDECIDED
        consistent = 1
        chain = register
        chain_ms = time_ms
        seen_ms = time_ms
        j = i + 1
        while j < count:
            next_ms = times[j]
            following = registers[j]
            if next_ms <= seen_ms:
                j += 1
                continue
            seen_ms = next_ms
            if not math.isfinite(following):
                j += 1
                continue
            fuzz = 1e-14 * (abs(following) + abs(reference))
            step = following - reference
            if (
                step >= -2.0 * grain - fuzz
                and step <= credit + rate_per_ms * (next_ms - reference_ms) + fuzz
            ):
                verdict = _RECOVERED
                break
            fuzz = 1e-14 * (abs(following) + abs(chain))
            step = following - chain
            chain_limit = chain_credit + rate_per_ms * (next_ms - chain_ms) + fuzz
            if step < -2.0 * grain - fuzz or step > chain_limit:
                verdict = _BROKEN
                break
            if step > 0.0:
                chain = following
                chain_limit -= step
            chain_ms = next_ms
            chain_credit = chain_limit
            if chain_credit > credit_cap:
                chain_credit = credit_cap
            consistent += 1
            if consistent >= proof:
                verdict = _CONFIRMED
                break
            j += 1

        if verdict == _UNDECIDED:
            break
        if verdict == _CONFIRMED:
            classes[i] = verdict_class
            if verdict_class == WRAP:
                offset += modulus
                credit = wrap_credit
            else:
                segment += 1
                offset = offset + reference - register
                credit = grain
            reference = register
            reference_ms = time_ms
            last_ms = time_ms
            accumulated[i] = offset + reference
            segments[i] = segment
            i += 1
            continue
        classes[i] = TRANSIENT
        last_ms = time_ms
        i += 1
        while i < j:
            accumulated[i] = math.nan
            segments[i] = segment
            if times[i] <= last_ms:
                classes[i] = INVALID
            else:
                last_ms = times[i]
                classes[i] = TRANSIENT_TAIL if math.isfinite(registers[i]) else INVALID
            i += 1

    decided = i
    while i < count:
        classes[i] = PENDING
        accumulated[i] = math.nan
        segments[i] = segment
        i += 1
    numbers[0] = reference
    numbers[1] = offset
    numbers[2] = credit
    integers[0] = reference_ms
    integers[1] = segment
    integers[2] = known
    integers[3] = last_ms
    return decided


def integrate_rate(
    times: Integers,
    rates: Floats,
    limits: Floats,
    numbers: Floats,
    integers: Integers,
    classes: Bytes,
    accumulated: Floats,
    segments: Integers,
) -> int:
    """Integrate a rate per hour by trapezia; returns how many readings are good.

    ``limits``: longest bridged span (ms), greatest magnitude of a rate. ``numbers`` (in and out):
    last rate, integral. ``integers`` (in and out): time of the last good reading, segment, known
    (0/1), index to stop before. A longer span starts a new segment and adds nothing.
    """
    max_gap_ms = limits[0]
    greatest = limits[1]
    rate = numbers[0]
    total = numbers[1]
    last_ms = integers[0]
    segment = integers[1]
    known = integers[2]
    stop = integers[3]
    good = 0
    for i in range(stop):
        time_ms = times[i]
        value = rates[i]
        accumulated[i] = math.nan
        segments[i] = segment
        if not math.isfinite(value) or abs(value) > greatest or (known == 1 and time_ms <= last_ms):
            classes[i] = INVALID
            continue
        classes[i] = NORMAL
        if known == 1:
            span_ms = time_ms - last_ms
            if span_ms > max_gap_ms:
                segment += 1
            else:
                total += 0.5 * (rate + value) * (span_ms / 3_600_000.0)
        else:
            classes[i] = FIRST
        known = 1
        rate = value
        last_ms = time_ms
        accumulated[i] = total
        segments[i] = segment
        good += 1
    for i in range(stop, len(times)):
        classes[i] = PENDING
        accumulated[i] = math.nan
        segments[i] = segment
    numbers[0] = rate
    numbers[1] = total
    integers[0] = last_ms
    integers[1] = segment
    integers[2] = known
    return good
