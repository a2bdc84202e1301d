"""Where they drive: lanes, drivable area, ground, signals, and what stands beside the road."""

from __future__ import annotations

import dataclasses
from enum import IntEnum

import torch
from torch import Tensor

from ..struct import Struct


class Polylines(Struct):
    """Many polylines or rings as two plain arrays. Rings are closed: their last point is not repeated."""

    points: Tensor  # (P, D) world [m], D is 2 or 3
    offsets: Tensor  # (N + 1,) int64, line i is points[offsets[i]:offsets[i + 1]]
    kind: Tensor  # (N,) int64, meaning set by the owner

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def line(self, i: int) -> Tensor:
        return self.points[int(self.offsets[i]) : int(self.offsets[i + 1])]

    @staticmethod
    def of(lines: list[Tensor], kinds: list[int] | None = None, dims: int = 2) -> Polylines:
        """From separate (n, dims) tensors; no lines is fine."""
        sizes = torch.tensor([0] + [len(line) for line in lines], dtype=torch.int64)
        points = torch.cat([line[:, :dims].float() for line in lines]) if lines else torch.zeros(0, dims)
        return Polylines(points, sizes.cumsum(0), torch.tensor(kinds or [0] * len(lines), dtype=torch.int64))


class Marking(IntEnum):
    """What is painted along a line; colours and dashes follow the dash-and-gap habit of the road's country."""

    SOLID_WHITE = 0
    DASHED_WHITE = 1
    SOLID_YELLOW = 2
    DASHED_YELLOW = 3
    DOUBLE_WHITE = 4
    DOUBLE_YELLOW = 5
    STOP_LINE = 6


class LaneKind(IntEnum):
    VEHICLE = 0
    BUS = 1
    BICYCLE = 2


class Lanes(Struct):
    """Centre lines and their graph. Lane i has the points of line i."""

    center: Polylines  # points (P, 3) x y z; kind is a LaneKind
    width: Tensor  # (L,) mean width [m]
    speed_limit: Tensor  # (L,) [m/s], NaN where unknown
    intersection: Tensor  # (L,) bool
    successors: Tensor  # (E, 2) int64 pairs (lane, next lane)
    neighbours: Tensor  # (N, 3) int64 (lane, other, side) same direction; side +1 left, -1 right

    def __len__(self) -> int:
        return len(self.center)


class Ground(Struct):
    """Height of the ground on a regular grid, bilinear in between, constant beyond its border."""

    origin: Tensor  # (2,) world xy of sample [0, 0] [m]
    cell: float  # [m]
    z: Tensor  # (rows along y, columns along x) [m]

    @staticmethod
    def flat(z: float = 0.0) -> Ground:
        return Ground(torch.zeros(2), 1.0, torch.full((2, 2), z))


class StopKind(IntEnum):
    """Why one stops at a line."""

    STOP_SIGN = 0
    YIELD = 1
    CROSSWALK = 2
    SIGNAL = 3  # the line of a traffic light; `Signals` says what it shows, where that is known


class Stops(Struct):
    """Lines at which a lane's traffic stops or yields."""

    lane: Tensor  # (N,) int64 lane that the line rules, -1 where the log does not say
    xy: Tensor  # (N, 2) middle of the line, world [m]
    kind: Tensor  # (N,) int64, a StopKind

    def __len__(self) -> int:
        return len(self.lane)

    @staticmethod
    def none() -> Stops:
        nobody = torch.zeros(0, dtype=torch.int64)
        return Stops(nobody, torch.zeros(0, 2), nobody.clone())


class Map(Struct):
    """The road. Drivable rings bound one disjoint union: a point is inside if it is inside an odd number of them."""

    lanes: Lanes
    drivable: Polylines  # rings (P, 2) of the union: borders and holes
    crosswalks: Polylines  # rings (P, 2)
    markings: Polylines  # lines (P, 3); kind is a Marking
    ground: Ground
    stops: Stops = dataclasses.field(default_factory=Stops.none)


class Material(IntEnum):
    """What scenery is made of."""

    FACADE = 0
    CONCRETE = 1
    HEDGE = 2
    FENCE = 3


class Prop(IntEnum):
    """Scenery that stands on a point."""

    TREE = 0
    BUSH = 1
    POLE = 2
    LAMP = 3
    SIGN = 4


class Scenery(Struct):
    """What stands beside the road: for the eye, not for the score."""

    footprints: Polylines  # rings (P, 2), counter-clockwise; kind is a Material
    base: Tensor  # (N,) bottom of each footprint's prism, world z [m]
    height: Tensor  # (N,) [m]
    prop_xyz: Tensor  # (M, 3) foot of each prop, world [m]
    prop_yaw: Tensor  # (M,)
    prop_size: Tensor  # (M, 2) width, height [m]
    prop_kind: Tensor  # (M,) int64, a Prop

    @staticmethod
    def none() -> Scenery:
        zero = torch.zeros(0)
        return Scenery(Polylines.of([]), zero, zero, torch.zeros(0, 3), zero, torch.zeros(0, 2), zero.to(torch.int64))


class Light(IntEnum):
    """State of a traffic signal."""

    UNKNOWN = 0
    GREEN = 1
    YELLOW = 2
    RED = 3
    FLASHING_YELLOW = 4  # go with care
    FLASHING_RED = 5  # as a stop sign


class Signals(Struct):
    """Traffic lights; signal s rules lane `lane[s]` at `stop_xy[s]`."""

    lane: Tensor  # (S,) int64 lane that must not be entered on red
    stop_xy: Tensor  # (S, 2) middle of the stop line, world [m]
    head: Tensor  # (S, 4) x, y, z, yaw of the lamp head; yaw is where it shines to
    state: Tensor  # (T, S) int64, a Light; unknown after the plan ends

    def at(self, step: int) -> Tensor:
        """States (S,) at a step."""
        if 0 <= step < len(self.state):
            return self.state[step]
        return torch.full_like(self.lane, int(Light.UNKNOWN))

    @staticmethod
    def none() -> Signals:
        return Signals(
            torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2), torch.zeros(0, 4),
            torch.zeros(0, 0, dtype=torch.int64),
        )  # fmt: skip
