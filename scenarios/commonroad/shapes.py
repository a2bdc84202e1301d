"""Rectangles, circles, polygons and groups of them, as rings and as boxes."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import shapely

from .elements import number, point, points

LARGEST = 100.0
"""Of an obstacle [m]."""
CIRCLE = np.linspace(0, 2 * np.pi, 32, endpoint=False)


@dataclass(frozen=True, eq=False)
class Box:
    """A box in the frame of its obstacle's states."""

    length: float
    width: float
    center: np.ndarray  # (2,)
    turn: float  # of the length against the state's orientation [rad]


def rings_of(element: Element) -> list[np.ndarray]:
    """Rings (n, 2) of the shapes that an element holds."""
    rings = []
    for child in element:
        if child.tag == "rectangle":
            rings.append(_rectangle(child))
        elif child.tag == "circle":
            radius = _positive(child, "radius")
            rings.append(_center(child) + radius * np.column_stack([np.cos(CIRCLE), np.sin(CIRCLE)]))
        elif child.tag == "polygon":
            ring = points(child, "polygon")
            ring = ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring
            if len(ring) < 3:
                raise ValueError("a polygon has fewer than three corners")
            rings.append(ring)
    return rings


def box_of(element: Element | None) -> Box:
    """As `_box`; ValueError for one that is no thing on a road."""
    box = _box(element)
    if not (0 < box.width < LARGEST and 0 < box.length < LARGEST):
        raise ValueError(f"shapes without extent or beyond {LARGEST:.0f} m are no things on a road")
    return box


def _box(element: Element | None) -> Box:
    """The box around the shapes of an obstacle: a rectangle's own, else the tighter of the one along its orientation
    and the least of any direction."""
    if element is None:
        raise ValueError("shape is missing")
    if len(element) == 1 and element[0].tag == "rectangle":
        only = element[0]
        return Box(_positive(only, "length"), _positive(only, "width"), _center(only), _turn(only))
    rings = rings_of(element)
    if not rings:
        raise ValueError("shape holds neither rectangle, circle nor polygon")
    corners = np.concatenate(rings)
    low, high = corners.min(0), corners.max(0)
    along = Box(float(high[0] - low[0]), float(high[1] - low[1]), (low + high) / 2, 0.0)
    least = _least(corners)
    box = least if least and least.length * least.width < 0.8 * along.length * along.width else along
    return box


def center_of(element: Element | None) -> tuple[float, float]:
    """A state's position: its point, or the middle of the area that it lies in."""
    if element is None:
        raise ValueError("position is missing")
    exact = element.find("point")
    if exact is not None:
        return point(exact, "position")
    rings = rings_of(element)
    if not rings:
        raise ValueError("position is neither a point nor an area")
    middle = shapely.MultiPoint(np.concatenate(rings)).envelope.centroid
    return middle.x, middle.y


def _rectangle(element: Element) -> np.ndarray:
    half = np.array([_positive(element, "length"), _positive(element, "width")]) / 2
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
    c, s = np.cos(_turn(element)), np.sin(_turn(element))
    return _center(element) + corners @ np.array([[c, s], [-s, c]])


def _least(corners: np.ndarray) -> Box | None:
    ring = shapely.get_coordinates(shapely.MultiPoint(corners).minimum_rotated_rectangle)
    if len(ring) < 5:
        return None
    sides = np.diff(ring[:3], axis=0)
    lengths = np.hypot(*sides.T)
    side = sides[int(lengths.argmax())]
    turn = float(np.arctan2(side[1], side[0]))
    turn = (turn + np.pi / 2) % np.pi - np.pi / 2  # a side has no front: the nearer way round
    return Box(float(lengths.max()), float(lengths.min()), ring[:4].mean(0), turn)


def _positive(element: Element, tag: str) -> float:
    value = number(element.find(tag), tag)
    if not 0 < value < 1e5:
        raise ValueError(f"{tag} is {value}")
    return value


def _center(element: Element) -> np.ndarray:
    center = element.find("center")
    return np.array(point(center, "center")) if center is not None else np.zeros(2)


def _turn(element: Element) -> float:
    turn = element.find("orientation")
    return number(turn, "orientation") if turn is not None else 0.0
