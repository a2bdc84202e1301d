"""Numbers, points and references of CommonRoad XML; whatever is not what it should be raises ValueError."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

FARTHEST = 1e8
"""Larger coordinates [m] are on no map projection of the earth."""


def number(element: Element | None, what: str = "value") -> float:
    """The finite number that an element holds."""
    if element is None or element.text is None:
        raise ValueError(f"{what} is missing")
    value = float(element.text)
    if not math.isfinite(value) or abs(value) > FARTHEST:
        raise ValueError(f"{what} is {element.text.strip()}")
    return value


def span(element: Element, what: str = "value") -> tuple[float, float]:
    """From and to of a value given as `exact` or as `intervalStart` and `intervalEnd`."""
    exact = element.find("exact")
    if exact is not None:
        value = number(exact, what)
        return value, value
    low, high = number(element.find("intervalStart"), what), number(element.find("intervalEnd"), what)
    return low, high


def middle(element: Element, what: str = "value") -> float:
    """A value given exactly, or the middle of its interval."""
    low, high = span(element, what)
    return (low + high) / 2


def point(element: Element | None, what: str = "point") -> tuple[float, float]:
    if element is None:
        raise ValueError(f"{what} is missing")
    return number(element.find("x"), what), number(element.find("y"), what)


def points(element: Element | None, what: str = "points") -> np.ndarray:
    """(n, 2) of the `point` children; heights, which few files have, are left out."""
    if element is None:
        raise ValueError(f"{what} is missing")
    return np.array([point(p, what) for p in element.findall("point")], dtype=np.float64).reshape(-1, 2)


def reference(element: Element | None) -> str:
    """What an element refers to; "" for none."""
    return (element.get("ref") or "").strip() if element is not None else ""


def references(element: Element, tag: str) -> list[str]:
    return [name for e in element.findall(tag) if (name := reference(e))]


def text(element: Element, tag: str, default: str = "") -> str:
    return (element.findtext(tag) or default).strip()


def texts(element: Element, tag: str) -> frozenset[str]:
    return frozenset((e.text or "").strip() for e in element.findall(tag))
