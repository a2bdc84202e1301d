"""Meshes of road users: a few shapes per kind, drawn at a usual size and stretched to the agent's box.

Frame of a mesh: that of the box, x forward, y left, z up, origin at the centre of the bottom [m].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..types import Kind, Semantic
from . import people, vehicles
from .mesh import Mesh, box, loft, tube
from .surfaces import Surface as S

SEMANTICS = {
    Kind.MOTORCYCLE: Semantic.CYCLE, Kind.BICYCLE: Semantic.CYCLE, Kind.PEDESTRIAN: Semantic.PERSON,
    Kind.ANIMAL: Semantic.PERSON, Kind.CONE: Semantic.OBJECT, Kind.BARRIER: Semantic.OBJECT,
    Kind.OBJECT: Semantic.OBJECT,
}  # fmt: skip
"""Class of each kind; what is missing is a vehicle."""


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh and the size (length, width, height) [m] that it was drawn at."""

    mesh: Mesh
    size: tuple[float, float, float]


@lru_cache(maxsize=1)
def models() -> dict[str, Model]:
    """Every shape by name."""
    made = {name: Model(_fit(draw(), size), size) for name, (draw, size) in _SHAPES.items()}
    return made


def shape_of(kind: int, size: tuple[float, float, float], draw: int, stride: float) -> str:
    """Name of the shape for an agent: by its kind and size [m], its own random number, and metres walked."""
    length, width, height = size
    if kind == Kind.CAR:
        if height > 1.95:
            return "van"
        if height > 1.62 or length < 4.0:
            return "suv" if length > 4.2 else "hatchback"
        return "sedan" if draw % 4 else "hatchback"
    if kind == Kind.TRUCK:
        return "pickup" if height < 2.3 else "truck"
    if kind == Kind.BARRIER:
        return "barrier" if width >= length else "long_barrier"
    if kind == Kind.OBJECT and height > 2.2 * max(length, width):
        return "post"
    if kind == Kind.PEDESTRIAN:
        return f"walker{int(np.floor(stride / 0.35)) % 4}"
    return _BY_KIND.get(Kind(kind), "box")


def _fit(mesh: Mesh, size: tuple[float, float, float]) -> Mesh:
    """Stretch to exactly fill the box."""
    low, high = mesh.points.min(0), mesh.points.max(0)
    scale = np.array(size) / (high - low)
    centered = mesh.moved(-np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]))
    return centered.moved(scale=scale)


def _cone() -> Mesh:
    radius = lambda z: 0.15 - 0.125 * z / 0.75  # noqa: E731
    parts = [box((-0.2, -0.2, 0), (0.2, 0.2, 0.04), S.CONE)]
    for low, high, surface in (
        (0.04, 0.3, S.CONE),
        (0.3, 0.45, S.CONE_BAND),
        (0.45, 0.55, S.CONE),
        (0.55, 0.65, S.CONE_BAND),
        (0.65, 0.75, S.CONE),
    ):
        parts.append(tube((0, 0, low), (0, 0, high), (radius(low), radius(high)), surface, 12))
    return Mesh.join(parts)


def _barrier() -> Mesh:
    """A concrete barrier that lies across its heading."""
    profile = [
        (0.30, 0.0),
        (0.30, 0.10),
        (0.14, 0.36),
        (0.10, 0.90),
        (-0.10, 0.90),
        (-0.14, 0.36),
        (-0.30, 0.10),
        (-0.30, 0.0),
    ]
    ends = [[(x, y, z) for x, z in profile] for y in (-1.0, 1.0)]
    return loft(np.array(ends)[:, ::-1], S.BARRIER, smooth=False)


def _crate() -> Mesh:
    return Mesh.join(
        [box((-0.5, -0.5, 0), (0.5, 0.5, 0.94), S.BOX), box((-0.52, -0.52, 0.90), (0.52, 0.52, 1.0), S.TRIM)]
    )


def _post() -> Mesh:
    bands = [tube((0, 0, z), (0, 0, z + 0.1), (0.052, 0.052), S.CONE_BAND, 10) for z in (0.65, 0.82)]
    return Mesh.join([tube((0, 0, 0), (0, 0, 1.0), (0.05, 0.048), S.STEEL, 10), *bands])


_SHAPES: dict[str, tuple[Callable[[], Mesh], tuple[float, float, float]]] = {
    "sedan": (vehicles.sedan, (4.7, 1.85, 1.45)),
    "hatchback": (vehicles.hatchback, (4.1, 1.78, 1.5)),
    "suv": (vehicles.suv, (4.75, 1.92, 1.7)),
    "van": (vehicles.van, (5.2, 2.0, 2.18)),
    "pickup": (vehicles.pickup, (5.6, 1.98, 1.85)),
    "truck": (vehicles.truck, (8.4, 2.44, 3.35)),
    "bus": (vehicles.bus, (12.0, 2.54, 3.1)),
    "trailer": (vehicles.trailer, (9.0, 2.5, 3.6)),
    "excavator": (vehicles.excavator, (5.6, 2.56, 3.4)),
    "motorcycle": (people.motorcycle, (2.05, 0.75, 1.7)),
    "bicycle": (people.bicycle, (1.75, 0.55, 1.75)),
    "dog": (people.dog, (1.1, 0.3, 0.76)),
    "cone": (_cone, (0.4, 0.4, 0.75)),
    "barrier": (_barrier, (0.6, 2.0, 0.9)),
    "long_barrier": (lambda: _barrier().moved(yaw=np.pi / 2), (2.0, 0.6, 0.9)),
    "post": (_post, (0.2, 0.2, 1.0)),
    "box": (_crate, (1.0, 1.0, 1.0)),
    **{f"walker{k}": (people.walker(k), (0.72, 0.56, 1.75)) for k in range(4)},
}

_BY_KIND = {
    Kind.BUS: "bus", Kind.TRAILER: "trailer", Kind.CONSTRUCTION: "excavator", Kind.MOTORCYCLE: "motorcycle",
    Kind.BICYCLE: "bicycle", Kind.ANIMAL: "dog", Kind.CONE: "cone",
}  # fmt: skip
