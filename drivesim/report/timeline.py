"""A score over time as the path of an SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivesim.types import Score

AIR = 0.07  # share of the height that stays free above and below


@dataclass(frozen=True)
class Timeline:
    """Drawn in a box from (0, 0) to (steps, 1), y downwards; step k spans k to k + 1 and is drawn in its middle."""

    steps: int
    path: str
    low: float  # least value shown, at y = 1 - AIR
    high: float  # greatest, at y = AIR
    values: tuple[float | None, ...]

    @property
    def zero(self) -> float:
        """Where zero lies."""
        return line_y(0.0, self.low, self.high)


def timeline(score: Score) -> Timeline | None:
    """None where the score has no finite value at any step. What is not finite leaves a gap."""
    if score.series is None:
        return None
    values = [float(v) for v in score.series.reshape(-1)]
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return None
    low, high = _range(min(finite), max(finite))
    parts, pen_down = [], False
    for step, value in enumerate(values):
        if not math.isfinite(value):
            pen_down = False
            continue
        y = line_y(value, low, high)
        parts.append(f"{'L' if pen_down else 'M'}{step + 0.5:g} {y:.4f}{'' if pen_down else 'h0'}")
        pen_down = True
    shown = tuple(float(f"{v:.5g}") if math.isfinite(v) else None for v in values)
    return Timeline(len(values), "".join(parts), low, high, shown)


def number(value: float) -> str:
    """At most three decimals, without trailing zeros; an en dash for what is no number."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    text = f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.0f}"
    return text.replace("-", "−") if text != "-0" else "0"


def line_y(value: float, low: float, high: float) -> float:
    """Where a value lies in the box of a timeline."""
    return AIR + (1 - 2 * AIR) * (high - value) / (high - low)


def _range(low: float, high: float) -> tuple[float, float]:
    """What is shown reaches down or up to zero, so that heights can be compared."""
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (-1.0, 1.0)
