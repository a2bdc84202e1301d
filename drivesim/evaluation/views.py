"""What is to be drawn and what it is held against: a log's photos from where they were taken, or, where the recordings
are drawings, the truth from where nobody drove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..geometry import box_corners, boxes_overlap, invert, rotation_from_euler, transform, wrap_angle
from ..types import Agents, Body, Camera, Cause, Frame, RecordedImage, Scenario, State
from .regions import covered, moving_agents

SLOW = 2.0  # [m/s] below it the ego sees the same picture again: half a metre in a quarter of a second


@dataclass(frozen=True, eq=False)
class View:
    """One picture to be drawn."""

    camera: Camera  # of the picture's size, mounted so that with `state` it stands where the picture was taken
    time: float  # [s] since step 0
    state: State
    world_from_camera: np.ndarray  # (4, 4) float64
    truth: np.ndarray | None  # (h, w, 3) uint8; None where nobody knows it
    moving: np.ndarray  # (h, w) bool: pixels of agents that move in the log
    seen: Frame | None = None  # what there is to see, exactly; only where recordings are drawings

    @property
    def name(self) -> str:
        return self.camera.name


def moment(scenario: Scenario, time: float) -> State:
    """The log's state at any time [s since step 0]: poses between steps are interpolated, step is the nearest one.

    Who is there at only one of both steps is taken where it is known to be, if that step is the nearer one.
    """
    dt, last = scenario.scene.briefing.dt, scenario.steps - 1
    place = min(max(time / dt, 0.0), float(last))
    before = min(int(place), max(last - 1, 0))
    share = place - before
    a, b = _double(scenario.log[before]), _double(scenario.log[min(before + 1, last)])
    near = b if share > 0.5 else a
    both = a.valid & b.valid
    turn = {name: wrap_angle(getattr(b, name) - getattr(a, name)) for name in ("yaw", "pitch", "roll")}
    angles = {name: getattr(a, name) + share * way for name, way in turn.items()}
    places = {name: torch.lerp(getattr(a, name), getattr(b, name), share) for name in ("xy", "z", "velocity")}
    mixed = {
        name: torch.where(both.reshape(both.shape + (1,) * (value.ndim - 1)), value, getattr(near, name))
        for name, value in {**angles, **places}.items()
    }
    step = torch.tensor(min(round(place), last))
    still = torch.zeros_like(near.yaw)
    return State(near.replace(**mixed), Body(still, still), step, torch.tensor(int(Cause.RUNNING)))


def first_frame(scenario: Scenario) -> int:
    """The step from which on the ego is fast enough to tell a drawn world from a photo taken earlier; 0 if never."""
    fast = scenario.log[:, 0].speed.nan_to_num(0) >= SLOW
    return int(fast.float().argmax())


def recorded(
    scenario: Scenario, step: int, width: int, height: int, cameras: Sequence[str] | None = None
) -> list[View]:
    """The photo of each camera that was taken next to a step, and within half a step of it, at a size [px].

    Raises what reading the photos raises.
    """
    views, movers, dt = [], moving_agents(scenario.log), scenario.scene.briefing.dt
    for name in cameras or scenario.sensors.images:
        images = scenario.sensors.images[name]
        photo = min(images, key=lambda image: abs(image.time - step * dt), default=None)
        if photo is not None and abs(photo.time - step * dt) <= dt / 2 + 1e-6:
            views.append(_taken(scenario, name, photo, movers, width, height))
    return views


def _taken(scenario: Scenario, name: str, photo: RecordedImage, movers: Tensor, width: int, height: int) -> View:
    state = moment(scenario, photo.time)
    ego = scenario.scene.briefing.vehicle.world_from_ego(state.agents[0])
    pose = photo.world_from_camera.double()
    camera = replace(photo.camera.resized(width, height), name=name, ego_from_camera=invert(ego) @ pose)
    truth = resized(photo.read().permute(1, 2, 0).numpy(), width, height)
    seen = _exact(scenario, state, [camera])[name] if scenario.sensors.drawn_by else None
    moving = _shown(seen, movers) if seen else covered(camera, pose.numpy(), state.agents, movers)
    return View(camera, photo.time, state, pose.numpy(), truth, moving, seen)


@dataclass(frozen=True)
class Shift:
    """Where the ego is beside its log, in its own frame."""

    name: str
    left: float  # [m]
    yaw: float  # [deg], left positive

    def matrix(self) -> Tensor:
        angle = torch.tensor(np.deg2rad(self.yaw), dtype=torch.float64)
        zero = torch.zeros_like(angle)
        turn = rotation_from_euler(angle, zero, zero)
        return transform(turn, torch.tensor([0.0, self.left, 0.0], dtype=torch.float64))


SHIFTS = (
    Shift("lateral 0.5 m", 0.5, 0), Shift("lateral 1 m", 1, 0), Shift("lateral 2 m", 2, 0),
    Shift("lateral 3.5 m", 3.5, 0), Shift("yaw 10 deg", 0, 10), Shift("yaw 30 deg", 0, 30),
    Shift("lane change + 10 deg", 3.5, 10),
)  # fmt: skip


def shifted(scenario: Scenario, step: int, shift: Shift) -> State | None:
    """The log's state with the ego beside its place, to the left, else to the right; None if others stand there."""
    state = moment(scenario, step * scenario.scene.briefing.dt)
    vehicle = scenario.scene.briefing.vehicle
    for side in (1, -1) if shift.left else (1,):
        offset = replace(shift, left=side * shift.left, yaw=side * shift.yaw)
        moved = vehicle.world_from_ego(state.agents[0]) @ offset.matrix()
        xy, z, yaw, pitch, roll = vehicle.box_from_ego(moved)
        parts = {"xy": xy, "z": z, "yaw": yaw, "pitch": pitch, "roll": roll}
        agents = state.agents.map(torch.clone)
        for name, value in parts.items():
            getattr(agents, name)[0] = value
        if not _touched(agents):
            return state.replace(agents=agents)
    return None


def beside(scenario: Scenario, state: State, cameras: Sequence[Camera]) -> list[View]:
    """What cameras see from wherever the state has the ego; with the truth where the recordings are drawings."""
    frames = _exact(scenario, state, cameras) if scenario.sensors.drawn_by else {}
    movers = moving_agents(scenario.log)
    ego = scenario.scene.briefing.vehicle.world_from_ego(state.agents[0])
    time = int(state.step) * scenario.scene.briefing.dt
    views = []
    for camera in cameras:
        frame = frames.get(camera.name)
        pose = (ego @ camera.ego_from_camera.double()).numpy()
        rgb = np.ascontiguousarray(frame.rgb.permute(1, 2, 0).numpy()) if frame else None
        moving = _shown(frame, movers) if frame else covered(camera, pose, state.agents, movers)
        views.append(View(camera, time, state, pose, rgb, moving, frame))
    return views


def _exact(scenario: Scenario, state: State, cameras: Sequence[Camera]) -> dict[str, Frame]:
    drawer = scenario.sensors.drawn_by
    return drawer.render(state, drawer.remember(scenario), cameras)[0]


def resized(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 at another size; a pixel of it is the mean of the area that it covers."""
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    rows, columns = _areas(rgb.shape[0], height), _areas(rgb.shape[1], width)
    mixed = np.einsum("ih,hwc->iwc", rows, rgb.astype(np.float32), optimize=True)
    mixed = np.einsum("jw,iwc->ijc", columns, mixed, optimize=True)
    return (mixed + 0.5).clip(0, 255).astype(np.uint8)


def _areas(before: int, after: int) -> np.ndarray:
    """(after, before) float32: which share of each old pixel makes a new one."""
    edge = np.arange(after + 1) * before / after
    low, high = edge[:-1, None], edge[1:, None]
    old = np.arange(before)
    share = (np.minimum(high, old + 1) - np.maximum(low, old)).clip(0)
    return (share / share.sum(1, keepdims=True)).astype(np.float32)


def _shown(frame: Frame, movers: Tensor) -> np.ndarray:
    owner = frame.instance.long()
    return ((owner >= 0) & movers[owner.clamp_min(0)]).numpy()


def _touched(agents: Agents) -> bool:
    there = agents.valid.clone()
    there[0] = False
    corners = box_corners(agents.xy, agents.yaw, agents.size + 0.3)
    return bool((boxes_overlap(corners[0], corners) & there).any())


def _double(agents: Agents) -> Agents:
    return agents.map(lambda x: x.double() if x.is_floating_point() else x)
