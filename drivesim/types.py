"""The nouns. SI units and radians; `...` is any batch prefix; A agents (the ego is agent 0), T steps, L lanes.

World frame: x east, y north, z up, origin at the ego's first pose (float32 resolves 0.25 m at UTM northings).
Ego frame: x forward, y left, z up, origin at the rear axle on the ground.
Absent is NaN plus `valid = False`, never a sentinel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import torch
from torch import Tensor

from .geometry import euler_from_rotation, heading, rotation_from_euler, transform
from .struct import Struct, tensor

DT = 0.1
"""Length of a step [s]. Every log is resampled to it; nothing else states it."""


class Kind(IntEnum):
    """What an agent is."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    TRAILER = 3
    CONSTRUCTION = 4
    MOTORCYCLE = 5
    BICYCLE = 6
    PEDESTRIAN = 7
    ANIMAL = 8
    CONE = 9
    BARRIER = 10
    OBJECT = 11


VEHICLES = (Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.CONSTRUCTION, Kind.MOTORCYCLE)
CYCLES = (Kind.BICYCLE,)
WALKERS = (Kind.PEDESTRIAN, Kind.ANIMAL)
OBJECTS = (Kind.CONE, Kind.BARRIER, Kind.OBJECT)


def is_kind(kind: Tensor, kinds: tuple[Kind, ...]) -> Tensor:
    """Mask (...) of the entries of `kind` (...) that are one of `kinds`."""
    return torch.isin(kind, torch.tensor([int(k) for k in kinds], dtype=kind.dtype, device=kind.device))


class Agents(Struct):
    """Boxes of all road users; agent 0 is the ego."""

    xy: Tensor = tensor(event=1)  # (..., A, 2) box centre, world [m]
    z: Tensor = tensor()  # (..., A) bottom of the box, world [m]
    yaw: Tensor = tensor()  # (..., A) world [rad]
    pitch: Tensor = tensor()  # (..., A) nose down positive [rad]
    roll: Tensor = tensor()  # (..., A) right side down positive [rad]
    velocity: Tensor = tensor(event=1)  # (..., A, 2) of the box centre, world [m/s]
    size: Tensor = tensor(event=1)  # (..., A, 3) length, width, height [m]
    kind: Tensor = tensor()  # (..., A) int64, a Kind
    valid: Tensor = tensor()  # (..., A) bool

    @property
    def poses(self) -> Tensor:
        """Planar poses (..., A, 3): x, y, yaw of the box centre, world."""
        return torch.cat([self.xy, self.yaw[..., None]], -1)

    @property
    def speed(self) -> Tensor:
        """Signed speed along the heading (..., A) [m/s]."""
        return (self.velocity * heading(self.yaw)).sum(-1)

    @property
    def world_from_box(self) -> Tensor:
        """(..., A, 4, 4); the box frame's origin is the centre of the box's bottom."""
        rotation = rotation_from_euler(self.yaw, self.pitch, self.roll)
        return transform(rotation, torch.cat([self.xy, self.z[..., None]], -1))


@dataclass(frozen=True)
class Vehicle:
    """The ego's body. Defaults: the Chrysler Pacifica of nuPlan and NAVSIM (metrics compare with them)."""

    length: float = 5.176  # [m]
    width: float = 2.297  # [m]
    height: float = 1.777  # [m]
    wheelbase: float = 3.089  # [m]
    rear_axle_to_center: float = 1.461  # box centre ahead of the rear axle [m]

    def rear_axle(self, poses: Tensor) -> Tensor:
        """Planar poses (..., 3) of the rear axle from those of the box centre."""
        return torch.cat([poses[..., :2] - self.rear_axle_to_center * heading(poses[..., 2]), poses[..., 2:]], -1)

    def center(self, poses: Tensor) -> Tensor:
        """Planar poses (..., 3) of the box centre from those of the rear axle."""
        return torch.cat([poses[..., :2] + self.rear_axle_to_center * heading(poses[..., 2]), poses[..., 2:]], -1)

    def world_from_ego(self, ego: Agents) -> Tensor:
        """(..., 4, 4) of the ego frame, for `ego = agents[..., 0]`."""
        box = ego.world_from_box
        shift = torch.eye(4, dtype=box.dtype, device=box.device)
        shift[0, 3] = -self.rear_axle_to_center
        return box @ shift

    def box_from_ego(self, world_from_ego: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Inverse of `world_from_ego`: xy (..., 2), z, yaw, pitch, roll (...) of the ego's box."""
        shift = torch.eye(4, dtype=world_from_ego.dtype, device=world_from_ego.device)
        shift[0, 3] = self.rear_axle_to_center
        box = world_from_ego @ shift
        yaw, pitch, roll = euler_from_rotation(box[..., :3, :3])
        return box[..., :2, 3], box[..., 2, 3], yaw, pitch, roll


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


class Map(Struct):
    """The road. Drivable rings bound one disjoint union: a point is inside if it is inside an odd number of them."""

    lanes: Lanes
    drivable: Polylines  # rings (P, 2) of the union: borders and holes
    crosswalks: Polylines  # rings (P, 2)
    markings: Polylines  # lines (P, 3); kind is a Marking
    ground: Ground


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


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera. Optical frame: x right, y down, z forward; pixel centres lie at +0.5."""

    name: str
    width: int  # [px]
    height: int  # [px]
    intrinsics: Tensor  # (3, 3) float64 [px]
    ego_from_camera: Tensor  # (4, 4) float64
    distortion: tuple[float, ...] = ()  # Brown-Conrady k1, k2, p1, p2, k3 as OpenCV orders them; () is a pinhole
    rate: float = 10.0  # [Hz]

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another resolution."""
        scale = torch.diag(torch.tensor([width / self.width, height / self.height, 1.0], dtype=torch.float64))
        return Camera(
            self.name,
            width,
            height,
            scale @ self.intrinsics,
            self.ego_from_camera,
            self.distortion,
            self.rate,
        )


class ReadImage(Protocol):
    def __call__(self) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class RecordedImage:
    """A lazy handle on a photo; `read()` gives rgb (3, h, w) uint8 or raises with the file's name."""

    camera: Camera
    time: float  # [s] since step 0
    world_from_camera: Tensor  # (4, 4) float64, at the photo's own time stamp
    read: ReadImage


@dataclass(frozen=True, eq=False)
class RecordedSweep:
    """A lazy handle on a lidar sweep; `read()` gives points (N, 3) float32 in the world frame."""

    time: float  # [s] since step 0
    origin: Tensor  # (3,) float64 sensor position, world
    read: ReadImage


@dataclass(frozen=True, eq=False)
class SensorLog:
    images: Mapping[str, tuple[RecordedImage, ...]]  # by camera name, ordered by time
    sweeps: tuple[RecordedSweep, ...] = ()


class Command(IntEnum):
    """High-level instruction, as a navigation system would give it."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


@dataclass(frozen=True, eq=False)
class Briefing:
    """What a driver may know before setting off."""

    route: Tensor  # (R, 2) line to follow, world [m]; starts behind or at the ego, ends beyond its goal
    command: Command
    vehicle: Vehicle
    cameras: tuple[Camera, ...]
    dt: float = DT


@dataclass(frozen=True, eq=False)
class Scene:
    """The world without its future."""

    map: Map
    scenery: Scenery
    signals: Signals
    briefing: Briefing


@dataclass(frozen=True, eq=False)
class Scenario:
    """Something to drive."""

    id: str
    source: str  # name of the ScenarioSource
    fingerprint: str  # hash of the content it was loaded from
    scene: Scene
    log: Agents  # (T, A), as recorded, at briefing.dt
    track_ids: tuple[str, ...]  # (A,) names of the agents in the log; the first is the ego's
    start: int  # step at which the planner takes over; before it is history
    sensors: SensorLog | None
    origin: Tensor  # (3,) float64: source coordinates of the world's origin
    licence: str
    tags: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return self.log.valid.shape[0]


class Body(Struct):
    """What a body model remembers beside pose and velocity."""

    steering: Tensor = tensor()  # (..., A) angle of the front wheels, left positive [rad]
    acceleration: Tensor = tensor()  # (..., A) along the heading [m/s^2]


class Cause(IntEnum):
    """Why a rollout ended; RUNNING while it has not."""

    RUNNING = 0
    END_OF_LOG = 1


class State(Struct):
    """The world now."""

    agents: Agents = tensor(event=1)  # (..., A)
    body: Body = tensor(event=1)  # (..., A)
    step: Tensor = tensor()  # (...) int64
    cause: Tensor = tensor()  # (...) int64, a Cause
    mind: Struct | None = None  # what the behaviour drew at the start: routes, parameters

    @property
    def done(self) -> Tensor:
        return self.cause != int(Cause.RUNNING)


class Action(Struct):
    """What agents want to do for one step; `command` means what the body model says."""

    command: Tensor = tensor(event=1)  # (..., A, K)
    valid: Tensor = tensor()  # (..., A) bool; False: nobody decides, the agent follows its log


class Provenance(IntEnum):
    """Where a pixel comes from."""

    NONE = 0
    OBSERVED = 1
    REPROJECTED = 2
    PROXY = 3
    GENERATED = 4


class Semantic(IntEnum):
    """What a pixel shows."""

    SKY = 0
    ROAD = 1
    MARKING = 2
    CROSSWALK = 3
    SIDEWALK = 4
    TERRAIN = 5
    BUILDING = 6
    VEGETATION = 7
    POLE = 8
    SIGNAL = 9
    VEHICLE = 10
    CYCLE = 11
    PERSON = 12
    OBJECT = 13


class Frame(Struct):
    """One camera's picture with all that is known of it."""

    time: float  # [s] since step 0
    rgb: Tensor = tensor(event=3)  # (3, h, w) uint8
    depth: Tensor = tensor(event=2)  # (h, w) float32, along the optical axis [m]; inf for the sky
    semantics: Tensor = tensor(event=2)  # (h, w) uint8, a Semantic
    instance: Tensor = tensor(event=2)  # (h, w) int16, agent index; -1 for none
    provenance: Tensor = tensor(event=2)  # (h, w) uint8, a Provenance


Frames = Mapping[str, Frame]
"""By camera name; only the cameras that were asked for."""


class EgoHistory(Struct):
    """The ego's own past, oldest first, the last row is now; ego frame of now."""

    time: Tensor  # (H,) [s], 0 is now
    poses: Tensor  # (H, 3) rear axle x, y, yaw
    velocity: Tensor  # (H, 2) of the rear axle, each in its own step's ego frame [m/s]
    acceleration: Tensor  # (H,) along the heading [m/s^2]
    steering: Tensor  # (H,) [rad]


@dataclass(frozen=True, eq=False)
class Privileged:
    """What no sensor tells; only for planners with `privileged = True`."""

    agents: Agents  # (A,) world
    ego_pose: Tensor  # (3,) rear axle x, y, yaw, world
    map: Map
    signals: Signals
    step: int
    future: Tensor | None = None  # (F, 3) logged rear-axle poses of the steps to come, world; only with `oracle = True`


@dataclass(frozen=True, eq=False)
class Observation:
    """What the planner gets."""

    step: int
    time: float  # [s] since step 0
    ego: EgoHistory
    frames: Frames
    route: Tensor  # (R, 2) ego frame [m]
    command: Command
    world: Privileged | None = None


class Plan(Struct):
    """A wish: poses of the rear axle in the ego frame of the moment of planning."""

    poses: Tensor = tensor(event=2)  # (H, 3) x forward, y left [m], yaw [rad]
    time: Tensor = tensor(event=1)  # (H,) seconds from now, increasing, first > 0
    proposals: Tensor | None = None  # (N, H, 3) others that were considered, to draw


class Trajectory(Struct):
    """A plan as the controller sees it: anchored in the world and in the present."""

    poses: Tensor = tensor(event=2)  # (..., K, 3) rear axle x, y, yaw, world
    time: Tensor = tensor(event=1)  # (..., K) seconds from now, increasing; the first is 0 or before


@dataclass(frozen=True)
class Event:
    """Something that happened, with who, when and where."""

    kind: str
    step: int
    agents: tuple[int, ...]
    xy: tuple[float, float]
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rollout:
    """A drive. Everything in it is deterministic; latencies and host live in a sidecar."""

    scenario_id: str
    fingerprint: str
    seed: int
    start: int  # step of agents[0] in the scenario's log is 0; the planner took over at `start`
    dt: float
    agents: Agents  # (T, A) history before `start` included
    body: Body  # (T, A)
    plans: tuple[Plan, ...]
    plan_steps: tuple[int, ...]  # step at which each plan was made
    vehicle: Vehicle
    cause: Cause
    versions: Mapping[str, str] = field(default_factory=dict)


class Score(Struct):
    """A number with its reasons. `valid` False: the score does not apply, and `reason` says why."""

    name: str
    value: float  # NaN when not valid
    valid: bool = True
    reason: str = ""
    unit: str = ""
    series: Tensor | None = None  # (T,) over the rollout's steps; NaN where not defined
    shows: str = ""  # what the series is, with its unit
    evidence: tuple[Event, ...] = ()
    version: str = "1"
