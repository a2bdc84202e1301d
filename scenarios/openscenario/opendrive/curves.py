"""The reference line of a road in plan view: lines, arcs, Euler spirals and polynomials.

Every shape gives its points and direction in its own frame (u forward, v left) at arc lengths from its start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from scipy.special import fresnel

from drivesim.errors import InputError

from .attributes import length, number

Shape = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Arc lengths (n,) to u, v, direction, each (n,)."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)

MOST_TURN = 1000.0
"""Radians that one arc or spiral may wind."""


@dataclass(frozen=True, eq=False)
class Piece:
    s: float
    x: float
    y: float
    hdg: float
    length: float
    shape: Shape

    def pose(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, v, turn = self.shape(np.clip(s - self.s, 0.0, self.length))
        c, n = np.cos(self.hdg), np.sin(self.hdg)
        return self.x + c * u - n * v, self.y + n * u + c * v, self.hdg + turn


@dataclass(frozen=True, eq=False)
class PlanView:
    """The pieces of a reference line, in order."""

    pieces: tuple[Piece, ...]
    start: np.ndarray  # (n,) s of each piece

    def pose(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y, yaw (n,) at s (n,), held at the ends."""
        order = np.argsort(s, kind="stable")
        firsts = np.searchsorted(s[order], self.start[1:], side="left")
        out = np.empty((3, len(s)))
        for piece, mine in zip(self.pieces, np.split(order, firsts), strict=True):
            if len(mine):
                out[:, mine] = piece.pose(s[mine])
        return out[0], out[1], out[2]


def read_plan_view(element: Element | None, problems: list[str]) -> PlanView:
    """From <planView>; shapes of no length are dropped, gaps told."""
    pieces = []
    for record in element.findall("geometry") if element is not None else ():
        piece = _piece(record, problems)
        if piece is not None:
            pieces.append(piece)
    if not pieces:
        raise InputError("has no planView geometry of any length")
    pieces.sort(key=lambda p: p.s)
    for a, b in zip(pieces[:-1], pieces[1:], strict=True):
        x, y, _ = a.pose(np.array([a.s + a.length]))
        gap = float(np.hypot(x[0] - b.x, y[0] - b.y))
        if gap > 0.05:
            problems.append(f"the reference line jumps by {gap:.2f} m at s = {b.s:.2f} m")
    return PlanView(tuple(pieces), np.array([p.s for p in pieces]))


def _piece(record: Element, problems: list[str]) -> Piece | None:
    place = [number(record, name) for name in ("s", "x", "y", "hdg")]
    span = length(record, "length")
    if span < 1e-6:
        problems.append(f"a geometry of no length at s = {place[0]:.2f} m is left out")
        return None
    known = [child for child in record if child.tag in _SHAPES]
    if not known:
        raise InputError(f"the geometry at s = {place[0]:.2f} m is none of {', '.join(_SHAPES)}")
    return Piece(*place, span, _SHAPES[known[0].tag](known[0], span))


def _line(element: Element, span: float) -> Shape:
    return lambda d: (d, np.zeros_like(d), np.zeros_like(d))


def _arc(element: Element, span: float) -> Shape:
    return clothoid(number(element, "curvature"), 0.0, span)


def _spiral(element: Element, span: float) -> Shape:
    start, end = number(element, "curvStart"), number(element, "curvEnd")
    return clothoid(start, (end - start) / span, span)


def clothoid(curvature: float, rate: float, span: float) -> Shape:
    """The curve of `curvature` [1/m] that changes by `rate` [1/m^2]; an arc where it does not change."""
    if max(abs(curvature), abs(curvature + rate * span)) * span > MOST_TURN:
        raise InputError(f"an arc or spiral of {span:g} m winds more than {MOST_TURN:g} rad")
    turn = lambda d: curvature * d + rate * d * d / 2  # noqa: E731
    if abs(rate) * span**2 < 1e-3:  # Fresnel integrals of nearly an arc would be differences of huge numbers
        return lambda d: (*_quadrature(curvature, rate, d), turn(d))
    return lambda d: (*_fresnel(curvature, rate, d), turn(d))


def _quadrature(curvature: float, rate: float, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of the cosine and sine of the direction: an arc, and what the small change of curvature adds."""
    half = curvature * d / 2
    arc = d * np.sinc(half / np.pi)
    u, v = arc * np.cos(half), arc * np.sin(half)
    if rate == 0.0:
        return u, v
    nodes, weights = np.polynomial.legendre.leggauss(16 + int(np.abs(half).max(initial=0.0)))
    t = d[:, None] * (nodes + 1) / 2
    extra = np.exp(1j * curvature * t) * np.expm1(0.5j * rate * t * t)
    more = (extra * weights).sum(1) * d / 2
    return u + more.real, v + more.imag


def _fresnel(curvature: float, rate: float, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The direction k d + c d^2 / 2 as a square c/2 (d + k/c)^2 - k^2 / 2c, whose integral is a Fresnel integral."""
    sign = np.sign(rate)
    k, c = curvature * sign, abs(rate)
    scale = np.sqrt(np.pi / c)
    sine, cosine = fresnel((np.append(d, 0.0) + k / c) / scale)
    whole = scale * ((cosine[:-1] - cosine[-1]) + 1j * (sine[:-1] - sine[-1])) * np.exp(-0.5j * k * k / c)
    return whole.real, sign * whole.imag


def _poly3(element: Element, span: float) -> Shape:
    v = np.array([number(element, name, 0.0) for name in "abcd"])
    return _parametric(np.array([0.0, 1.0, 0.0, 0.0]), v, span, span, whole=False)


def _param_poly3(element: Element, span: float) -> Shape:
    u, v = (np.array([number(element, name + axis, 0.0) for name in "abcd"]) for axis in "UV")
    end = span if element.get("pRange") == "arcLength" else 1.0
    return _parametric(u, v, end, span, whole=True)


def _parametric(u: np.ndarray, v: np.ndarray, end: float, span: float, whole: bool) -> Shape:
    """A cubic curve of a parameter in [0, end], by arc length. A `whole` one ends at `end` whatever its length; the
    other ends after `span` metres."""
    du, dv = (x[1:] * np.array([1.0, 2.0, 3.0]) for x in (u, v))
    speed = lambda p: np.hypot(_at(du, p), _at(dv, p))  # noqa: E731
    p = np.linspace(0.0, end, int(np.clip(span, 64, 1024)) + 1)
    steps = (speed(p[:-1, None] + (_NODES + 1) / 2 * (p[1] - p[0])) * _WEIGHTS).sum(1) * (p[1] - p[0]) / 2
    s, rate = np.concatenate([[0.0], np.cumsum(steps)]), speed(p)
    if not (np.isfinite(s).all() and rate.min() * end > 1e-6 * s[-1] and s[-1] > 1e-6):
        raise InputError("a polynomial geometry stands still or turns back on itself")
    if not s[-1] < 100 * span:
        raise InputError(f"a polynomial geometry said to be {span:g} m long measures {s[-1]:g} m")
    stretch = s[-1] / span if whole else 1.0

    def shape(d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        q = _hermite(np.clip(d * stretch, 0.0, s[-1]), s, p, 1 / rate)
        return _at(u, q), _at(v, q), np.arctan2(_at(dv, q), _at(du, q))

    return shape


def _hermite(x: np.ndarray, at: np.ndarray, value: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Cubic interpolation (n,) at x (n,) of values and slopes (m,) known `at` increasing places (m,)."""
    i = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    step = at[i + 1] - at[i]
    t = (x - at[i]) / step
    rise = value[i + 1] - value[i]
    bend = (slope[i] * step - rise) * (1 - t) - (slope[i + 1] * step - rise) * t
    return value[i] + t * (rise + (1 - t) * bend)


def _at(coefficients: np.ndarray, p: np.ndarray) -> np.ndarray:
    value = coefficients[-1]
    for c in coefficients[-2::-1]:
        value = c + p * value
    return value


_SHAPES: dict[str, Callable[[Element, float], Shape]] = {
    "line": _line, "arc": _arc, "spiral": _spiral, "poly3": _poly3, "paramPoly3": _param_poly3,
}  # fmt: skip
