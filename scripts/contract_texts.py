"""What each column of a batch means: the words of the published schemas."""

from __future__ import annotations

_MS = "UTC milliseconds since 1970-01-01."
_REVISION = "Counts from 0; the highest is current."
_LOWER = "Lower end of the 90 % interval, or null where none is known."
_UPPER = "Upper end of the 90 % interval, or null where none is known."
_AUTHOR = "Who entered it."
_EVIDENCE_NAME = "File name of the document behind it, or null."
_EVIDENCE_SHA256 = "SHA-256 of that document in hex, or null."
_ENTERED = f"When it was entered. {_MS}"
_ORIGIN = "Who or what brought it."

# Per kind: what a record says, and its columns.
RECORDS: dict[str, tuple[str, dict[str, str]]] = {
    "window": (
        "The amount of one stream in one window. Key: stream, start, length.",
        {
            "stream": "Id of the stream; unit and quantity stand in the birth message.",
            "start": f"Start of the window, included. {_MS}",
            "length": "Length of the window in milliseconds.",
            "revision": _REVISION,
            "value": "The amount in the unit of the stream; null: no value, or retired.",
            "provenance": "How the value was obtained.",
            "method": "By which method.",
            "coverage": "Share of the window's time covered by good readings, 0 to 1.",
            "lower": _LOWER,
            "upper": _UPPER,
            "load": "Mean of the load point that goes with the stream, or null.",
            "maintenance": "Whether the device was in maintenance.",
        },
    ),
    "emission": (
        "What one emission source emitted in one window. Key: source, start, length.",
        {
            "source": "Id of the emission source.",
            "start": f"Start of the window, included. {_MS}",
            "length": "Length of the window in milliseconds.",
            "revision": _REVISION,
            "kgco2": "CO2 in kg; null: no value.",
            "kgch4": "CH4 in kg; null: no value.",
            "kgn2o": "N2O in kg; null: no value.",
            "kgco2e": "CO2 equivalent in kg; null: no value, or retired.",
            "lower": f"Of kgco2e. {_LOWER}",
            "upper": f"Of kgco2e. {_UPPER}",
            "estimated_share": "Share of the amount that was not measured, 0 to 1.",
            "factor_id": "The emission factor used.",
            "factor_version": "Version of the factor set that it came from.",
            "factor_value": "The value used, in factor_unit.",
            "factor_unit": "Unit of factor_value, such as kgCO2e/Nm3.",
            "inputs": "The window revisions it was computed from: [stream, revision] each.",
        },
    ),
    "recalculation": (
        "Emissions of one source that were computed again by other factors; the revised emissions "
        "do not travel. docs/recalculation.md defines how each is computed.",
        {
            "source": "Id of the emission source.",
            "stream": "Id of the stream that it was booked from.",
            "from": f"Start of the span, included. {_MS}",
            "to": f"End of the span, excluded. {_MS}",
            "runs": "Which emissions are replaced by their next revision: count of them from "
            "start on, one every length ms, all of that revision.",
            "eras": "Factors over time, oldest first, each for windows that start before until: "
            "factor in kgCO2e per unit, and kg of each gas per unit. The last has null.",
            "share": "Configured share of the source in the stream.",
            "uncertainty_activity_pct": "Half of the 95 % interval of the activity data in %.",
            "library": "Version of the factor library.",
            "count": "Number of emissions, the sum over the runs.",
            "before": "Sums in kg before, over the emissions that have a value.",
            "after": "Sums in kg after, over the emissions that have a value.",
            "sha256": "Hash over the revised emissions.",
        },
    ),
    "endpoint": (
        "The register of a counter at a window boundary. Key: stream, boundary.",
        {
            "stream": "Id of the stream.",
            "boundary": f"The boundary. {_MS}",
            "time": f"When the register was read: at or last before the boundary. {_MS}",
            "register": "What the meter showed.",
            "accumulated": "The register with wraps, resets and replacements taken out.",
        },
    ),
    "event": (
        "Something that happened to a subject. It has no key: it is booked once per batch.",
        {
            "time": f"When it happened. {_MS}",
            "code": "What happened, such as counter.reset.",
            "subject": "Id of the stream, meter, bus, target or site.",
            "severity": "How much it matters.",
            "detail": "More about it, for people.",
        },
    ),
    "activity": (
        "An amount that no meter reads. Key: stream and batch; without a batch stream, start and "
        "length.",
        {
            "stream": "Id of the activity stream.",
            "start": "Start of the period, included; null where only a batch says what it is of. "
            + _MS,
            "length": "Length of the period in milliseconds; null exactly where start is.",
            "batch": "Number of a production batch, consignment or invoice; else empty.",
            "revision": _REVISION,
            "kind": "What the entry is about.",
            "item": "The material, product or service.",
            "amount": "The amount in unit; null: retired.",
            "unit": "Canonical unit of the stream.",
            "place": "Id of the device, unit, area or source it belongs to; else empty.",
            "carbon_content": "tC per t, or per 10^4 Nm3 of a gas; null where unknown.",
            "carbon_basis": "Basis of the carbon content, such as as-received; else empty.",
            "purity": "Fraction of the pure substance, or null.",
            "treatment": "How a waste is treated; else empty.",
            "distance_km": "Distance of a transport in km, or null.",
            "mode": "Mode of a transport; else empty.",
            "price_cny": "Price in CNY, or null.",
            "origin": _ORIGIN,
            "author": _AUTHOR,
            "note": "Free text.",
            "evidence_name": _EVIDENCE_NAME,
            "evidence_sha256": _EVIDENCE_SHA256,
            "entered": _ENTERED,
        },
    ),
    "review": (
        "What a department said of the figures of a month. Reviews are never revised: the latest "
        "of a department counts.",
        {
            "month": "The month, YYYY-MM.",
            "department": "Which department.",
            "name": "Who reviewed.",
            "decision": "Accepted, or returned with a reason.",
            "note": "The reason, or other free text.",
            "settled": "Ids of findings that the review settles.",
            "figures": "SHA-256 of signed in hex.",
            "signed": "The figures that were read, as canonical JSON text.",
            "reviewed": f"When it was said. {_MS}",
        },
    ),
    "manual": (
        "A reading that a person took. Key: stream, time.",
        {
            "stream": "Id of the manual stream.",
            "time": f"When the register was read, or the end of the amount's period. {_MS}",
            "revision": _REVISION,
            "start": f"Start of an amount's period; null for a register. {_MS}",
            "form": "Register or amount.",
            "value": "What was written down, in unit; null: retired.",
            "unit": "Unit of the stream.",
            "old_end": "Last reading of a meter that was replaced, or null.",
            "new_start": "First reading of the meter that took its place, or null.",
            "running_h": "Hours that the device ran since the reading before, or null.",
            "origin": _ORIGIN,
            "author": _AUTHOR,
            "note": "Free text.",
            "warning": "What was odd about it when it was entered; else empty.",
            "evidence_name": _EVIDENCE_NAME,
            "evidence_sha256": _EVIDENCE_SHA256,
            "entered": _ENTERED,
        },
    ),
}
