"""Boxes that touch or do not, and points inside and outside of an area."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ..geometry import box_corners, boxes_overlap
from ..roadmap import RoadMap
from ..types import Polylines
from .answer import Answer
from .worlds import road


def overlap() -> Iterator[Answer]:
    """Boxes of 4 x 2 m in line meet up to 4 m; a square of 2 m on its corner reaches sqrt(2) to the side and meets
    another up to 1 + sqrt(2) = 2.4142 m, ahead of it or over its corner."""
    for apart, meets in ((3.99, True), (4.0, True), (4.01, False)):
        found = _meet((0.0, 0.0), 0.0, (apart, 0.0), 0.0, (4.0, 2.0))
        yield Answer(f"whether boxes of 4 m meet {apart} m apart", found, meets)
    for apart, meets in ((2.41, True), (2.42, False)):
        for way, name in ((0.0, "ahead"), (math.pi / 4, "over the corner")):
            there = (apart * math.cos(way), apart * math.sin(way))
            found = _meet((0.0, 0.0), 0.0, there, math.pi / 4, (2.0, 2.0))
            yield Answer(f"whether squares of 2 m meet {apart} m {name}", found, meets)
    found = _meet((0.0, 0.0), 0.0, (math.nan, 0.0), 0.0, (4.0, 2.0))
    yield Answer("whether a box meets who is not there", found, False)


def _meet(a: tuple[float, float], yaw_a: float, b: tuple[float, float], yaw_b: float, size: tuple) -> bool:
    box = lambda xy, yaw: box_corners(*(torch.tensor(x, dtype=torch.float64) for x in (xy, yaw, size)))  # noqa: E731
    return bool(boxes_overlap(box(a, yaw_a), box(b, yaw_b)))


def area() -> Iterator[Answer]:
    """A square of 100 m with a hole of 20 m in its middle: inside, outside, and distances to the border."""
    square = torch.tensor([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0], [-50.0, 50.0]])
    there = RoadMap.of(road().replace(drivable=Polylines.of([square, square / 5])))
    asked = {
        (30.0, 0.0): 20.0,  # between hole and border, 20 m from either
        (0.0, 46.0): 4.0,
        (0.0, 3.0): -7.0,  # in the hole
        (53.0, 54.0): -5.0,  # 3 and 4 m beyond a corner
        (13.0, -14.0): 5.0,  # the same beside a corner of the hole
        (-49.5, 49.75): 0.25,
    }
    points = torch.tensor(list(asked), dtype=torch.float64)
    yield Answer("whether points lie in an area with a hole", there.inside(points), [d > 0 for d in asked.values()])
    yield Answer("distance of points from its border", there.border_distance(points), list(asked.values()), 1e-5)
