"""Places along a section at which its lanes are drawn: dense in curves, sparse on straights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drivesim.errors import InputError

from .roads import Road, Section

CHORD = 0.02
"""Largest distance [m] between a lane's border and the polyline drawn for it."""

SPACING = 5.0
"""Between points on straights [m]."""

FINEST = 0.05
"""Between points [m]: sharper bends than that are drawn as corners."""

TIP = 0.1
"""Length [m] of the first and last segment of a section: its direction is that of the lane's end, within half a degree
even in turns of 6 m radius."""

MOST = 2_000_000
"""Points of all lane borders of a network."""


@dataclass(frozen=True, eq=False)
class Strip:
    """A section drawn: the places, and the border of every lane there."""

    s: np.ndarray  # (n,)
    edges: dict[int, np.ndarray]  # lane id -> (n, 3) its outer border; 0 the middle


def sample(road: Road, number: int, left: int = MOST) -> Strip:
    """Draw section `number` of a road with at most `left` points."""
    section = road.sections[number]
    s = _breaks(road, section)
    if len(s) * (len(section.lanes) + 1) > left:
        raise InputError(f"the roads need more than {MOST} points to be drawn; this is no road network")
    for _ in range(10):
        halves = np.concatenate([s[:-1, None] + np.diff(s)[:, None] * x for x in (0.25, 0.5, 0.75)], 1)
        bent = _bent(road, section, s, halves) & (np.diff(s) > 2 * FINEST)
        if not bent.any():
            break
        s = np.sort(np.concatenate([s, halves[bent, 1]]))
        if len(s) * (len(section.lanes) + 1) > left:
            raise InputError(f"the roads need more than {MOST} points to be drawn; this is no road network")
    sides = road.edges(section, s)
    edges = dict(zip(sides, road.xyz(s, *sides.values(), sides[0]), strict=False))
    if not all(np.isfinite(x).all() and (np.abs(x) < 1e9).all() for x in edges.values()):
        raise InputError(f"the lane section at s = {section.start:g} m leads to infinity")
    return Strip(s, edges)


def _breaks(road: Road, section: Section) -> np.ndarray:
    """Where anything starts anew, and places between so that none is more than SPACING from the next."""
    parts = [road.plan.start, road.elevation.start, road.superelevation.start, road.offset.start]
    parts += [lane.extent.start for lane in section.lanes.values()]
    inner = np.concatenate([*parts, [section.start + TIP, section.end - TIP]])
    margin = min(TIP, (section.end - section.start) / 4) * 0.99
    inner = inner[(inner > section.start + margin) & (inner < section.end - margin)]
    knots = np.unique(np.concatenate([[section.start], inner, [section.end]]))
    counts = np.ceil(np.diff(knots) / SPACING).astype(np.int64)
    if counts.sum() > MOST:
        raise InputError(f"the roads need more than {MOST} points to be drawn; this is no road network")
    grid = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(knots[:-1], knots[1:], counts, strict=True)]
    s = np.concatenate([*grid, knots[-1:]])
    return s[np.concatenate([[True], np.diff(s) > 1e-6])]


def _bent(road: Road, section: Section, s: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Whether any border leaves the chord from s[i] to s[i + 1] at the places (n - 1, 3) between."""
    ends, inner = road.edges(section, s), road.edges(section, between.ravel())
    out = np.zeros(len(s) - 1, dtype=bool)
    share = np.array([0.25, 0.5, 0.75])[:, None]
    outermost = (min(ends), 0, max(ends))  # they bend most
    chords = road.xyz(s, *(ends[id] for id in outermost))
    curves = road.xyz(between.ravel(), *(inner[id] for id in outermost))
    for chord, curve in zip(chords, curves, strict=True):
        straight = chord[:-1, None] + share * (chord[1:] - chord[:-1])[:, None]
        out |= (np.linalg.norm(curve.reshape(-1, 3, 3) - straight, axis=2) > CHORD).any(1)
    return out
