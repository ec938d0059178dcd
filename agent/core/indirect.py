"""A stream that no meter counts, from its neighbours by a fitted linear model one can read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.core.errors import TanshuError
from agent.core.model import Provenance
from agent.core.virtual import Amount, Computed

Floats = npt.NDArray[np.float64]

COVERED = 0.9  # share of the residuals within the interval
FEWEST_SPARE = 4  # rows beyond twice the number of coefficients
_DEPENDENT = 1e-9  # singular values below this share of the largest say nothing of their own
_EDGE = 1e-9  # of the domain's width: rounding is not outside


class FitError(TanshuError):
    """Reference data from which no model can be fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """The slope of one input, its standard error, and the range in which the model was fitted."""

    input: str
    unit: str  # of the input: per hour for a stream, as it is for a point
    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A fitted relation ``y = intercept + Σ value·input``; ``y`` in ``unit`` per hour.

    ``residual_low`` and ``residual_high`` hold 90 % of the residuals that the reference rows have
    to a model fitted without them.
    """

    unit: str
    intercept: float
    intercept_error: float | None  # None: the model goes through the origin
    coefficients: tuple[Coefficient, ...]
    r2: float
    residual_low: float
    residual_high: float
    rows: int
    reference: str  # where the reference data came from

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Model:
        """Inverse of `to_json`."""
        fields: dict[str, Any] = json.loads(text)
        coefficients = tuple(Coefficient(**item) for item in fields.pop("coefficients"))
        return cls(coefficients=coefficients, **fields)

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(part.input for part in self.coefficients)

    def outside(self, inputs: Sequence[float]) -> tuple[str, ...]:
        """The inputs that lie outside the range in which the model was fitted."""
        return tuple(
            part.input
            for part, value in zip(self.coefficients, inputs, strict=True)
            if not _within(part, value)
        )

    def value(self, inputs: Sequence[float]) -> float:
        """What the relation gives for these inputs, per hour."""
        parts = (part.value * value for part, value in zip(self.coefficients, inputs, strict=True))
        return math.fsum((self.intercept, *parts))


def fit(
    names: Sequence[str],
    units: Sequence[str],
    inputs: Floats,
    target: Floats,
    *,
    unit: str,
    intercept: bool,
    reference: str,
) -> Model:
    """Fit a linear model by least squares to reference rows.

    ``inputs`` has one row per reference measurement and one column per name; ``target`` is the
    measured amount per hour. Standard errors are those of ordinary least squares,
    ``s²·(XᵀX)⁻¹`` (Draper and Smith, Applied Regression Analysis, 3rd ed., chapter 5); R² is
    ``1 − Σe²/Σ(y − ȳ)²`` also without intercept, so it can be negative. The residual range holds
    90 % of the leave-one-out residuals ``e/(1 − h)``, so it does not flatter a small sample.

    Raises:
        FitError: too few rows, a value that is not finite, or an input that does not vary or
            follows from the others.

    Example: through (1, 3), (2, 5), (3, 7) … the model is 1 + 2·x, with R² 1.
    """
    count = len(names) + int(intercept)
    fewest = 2 * count + FEWEST_SPARE
    if len(target) < fewest:
        raise FitError(
            f"{len(target)} rows for {count} coefficients", hint=f"at least {fewest} rows"
        )
    if not (np.isfinite(inputs).all() and np.isfinite(target).all()):
        raise FitError("a value is not finite", hint="leave the row out")
    design = np.column_stack([np.ones(len(target)), inputs]) if intercept else inputs
    inverse, leverage = _solve(design, ("", *names) if intercept else tuple(names))
    slopes = inverse @ target
    residuals = target - design @ slopes
    variance = float(residuals @ residuals) / (len(target) - count)
    errors = np.sqrt(variance * np.sum(inverse**2, axis=1))
    low, high = _residual_range(residuals / np.maximum(1 - leverage, 1e-6))
    first = int(intercept)
    return Model(
        unit=unit,
        intercept=float(slopes[0]) if intercept else 0.0,
        intercept_error=float(errors[0]) if intercept else None,
        coefficients=tuple(
            Coefficient(
                input=name,
                unit=units[index],
                value=float(slopes[index + first]),
                standard_error=float(errors[index + first]),
                low=float(inputs[:, index].min()),
                high=float(inputs[:, index].max()),
            )
            for index, name in enumerate(names)
        ),
        r2=_explained(target, residuals),
        residual_low=low,
        residual_high=high,
        rows=len(target),
        reference=reference,
    )


def _solve(design: Floats, names: Sequence[str]) -> tuple[Floats, Floats]:
    """The pseudo-inverse of the design and the leverage of each row."""
    scale = np.sqrt(np.sum(design**2, axis=0))
    if not scale.all():
        raise _useless(names[int(np.argmin(scale))])
    left, sizes, right = np.linalg.svd(design / scale, full_matrices=False)
    if sizes[-1] < _DEPENDENT * sizes[0]:
        weights = np.where([bool(name) for name in names], np.abs(right[-1]), 0.0)
        raise _useless(names[int(np.argmax(weights))])
    inverse = (right.T / sizes) @ left.T / scale[:, None]
    return inverse, np.sum(left**2, axis=1)


def _useless(name: str) -> FitError:
    return FitError(
        f'"{name}" does not vary by itself',
        hint="leave it out, or take rows in which it differs from the others",
    )


def _explained(target: Floats, residuals: Floats) -> float:
    spread = float(np.sum((target - target.mean()) ** 2))
    left = float(residuals @ residuals)
    if spread == 0:
        return 1.0 if left == 0 else 0.0
    return 1 - left / spread


def _residual_range(residuals: Floats) -> tuple[float, float]:
    """The outer order statistics that leave 5 % of new residuals on each side."""
    ordered = np.sort(residuals)
    rank = math.floor((len(ordered) + 1) * (1 - COVERED) / 2)
    cut = max(rank, 1) - 1
    return min(0.0, float(ordered[cut])), max(0.0, float(ordered[-1 - cut]))


def _within(part: Coefficient, value: float) -> bool:
    edge = _EDGE * max(part.high - part.low, abs(part.low), abs(part.high))
    return part.low - edge <= value <= part.high + edge


def levels(amounts: Iterable[Amount], divisors: Iterable[float]) -> tuple[float, ...] | None:
    """Each amount by its divisor, as it enters a model; None if one is missing."""
    found: list[float] = []
    for amount, divisor in zip(amounts, divisors, strict=True):
        if amount.value is None:
            return None
        found.append(amount.value / divisor)
    return tuple(found)


def estimate(
    model: Model, inputs: Mapping[str, Amount], divisors: Sequence[float], hours: float
) -> Computed:
    """What a model gives for a window of some hours: the amount, and its 90 % interval.

    ``inputs`` stand in the order of the model's; each is divided by its divisor before it enters
    the model: a stream by the hours, the mean of a point by 1. The amount is never below 0. The
    interval joins the residual range with the inputs' own intervals in quadrature; residuals are
    those of the reference rows' length, so for much shorter windows it is too narrow.

    The result has no value if an input has none or lies outside the model's range.
    """
    values = levels(inputs.values(), divisors)
    if values is None or model.outside(values):
        return no_estimate(inputs)
    value = model.value(values)
    below, above = model.residual_low, model.residual_high
    for part, amount, divisor, level in zip(
        model.coefficients, inputs.values(), divisors, values, strict=True
    ):
        if amount.lower is None or amount.upper is None:
            return _estimated(inputs, max(0.0, value * hours), None, None)
        ends = sorted(part.value * (end / divisor - level) for end in (amount.lower, amount.upper))
        below, above = -math.hypot(below, min(0.0, ends[0])), math.hypot(above, max(0.0, ends[1]))
    lower, middle, upper = (max(0.0, (value + end) * hours) for end in (below, 0.0, above))
    return _estimated(inputs, middle, lower, upper)


def no_estimate(inputs: Mapping[str, Amount]) -> Computed:
    """A window without a value."""
    return replace(_estimated(inputs, None, None, None), provenance=Provenance.MISSING)


def _estimated(
    inputs: Mapping[str, Amount], value: float | None, lower: float | None, upper: float | None
) -> Computed:
    return Computed(
        value=value,
        lower=lower,
        upper=upper,
        provenance=Provenance.ESTIMATED,
        coverage=0.0,  # no reading of the device itself stands behind it
        estimated_share=1.0,
        maintenance=any(amount.maintenance for amount in inputs.values()),
        used=tuple(inputs),
    )
