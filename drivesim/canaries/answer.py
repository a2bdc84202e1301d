"""A known answer beside what this machine makes of the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXACT = 0.0
"""Tolerance where the arithmetic is exact: small integers, yes and no."""
ROUNDING = 1e-9
"""Tolerance of double precision: a thousand times what the questions here lose by rounding."""


@dataclass(frozen=True)
class Answer:
    question: str
    got: Any  # number or nested sequences, arrays, tensors of numbers
    known: Any
    tolerance: float = EXACT  # largest absolute difference that is right

    @property
    def off(self) -> float:
        """Largest absolute difference; NaN where a number is none, inf where the shapes differ."""
        got, known = _numbers(self.got), _numbers(self.known)
        if len(got) != len(known):
            return float("inf")
        differences = [abs(a - b) for a, b in zip(got, known, strict=True)]
        return float("nan") if any(d != d for d in differences) else max(differences, default=0.0)

    @property
    def right(self) -> bool:
        return self.off <= self.tolerance  # not so for NaN

    def told(self) -> str:
        if len(_numbers(self.known)) == 1:
            return f"{self.question} is {_numbers(self.known)[0]:g}, but comes out as {_shown(self.got)}"
        return f"{self.question} is off by {self.off:.1e}, at most {self.tolerance:.0e} is rounding"


def _numbers(value: Any) -> list[float]:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [number for item in value for number in _numbers(item)]
    return [float(value)]


def _shown(value: Any) -> str:
    numbers = _numbers(value)
    return f"{numbers[0]:.10g}" if len(numbers) == 1 else f"{len(numbers)} numbers"
