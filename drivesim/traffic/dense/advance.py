"""One step of many scenes: who decides, bodies, who appears, collisions, off the road."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.dynamics.bicycle import Bicycle
from drivesim.dynamics.holonomic import Holonomic
from drivesim.dynamics.limits import bounded, limits_of
from drivesim.dynamics.step import HOLD_BACK_BRAKING, absent
from drivesim.errors import InputError
from drivesim.geometry import box_corners, heading
from drivesim.struct import Struct, tensor
from drivesim.traffic.following import IDM
from drivesim.types import DT, WALKERS, Agents, Body, Vehicle, is_kind

from ..kernel.advance import ASTRAY
from ..tables import Progress
from .decide import axles, decide, place, there_or_zero
from .rules import odd_crossings
from .tables import Tables

WHEELS = Bicycle(0.0, 0.0, forward_only=True)
FEET = Holonomic()


class Now(Struct):
    """B scenes now."""

    agents: Agents = tensor(event=1)  # (B, A)
    body: Body = tensor(event=1)  # (B, A)
    progress: Progress = tensor(event=1)  # (B, A)
    step: Tensor = tensor()  # (B,) int64
    decided: Tensor = tensor(event=1)  # (B, A) bool: somebody decided for it at the last step
    collides: Tensor = tensor(event=1)  # (B, A) bool: its box touches another's
    off_road: Tensor = tensor(event=1)  # (B, A) bool: it has wheels, and a corner outside the drivable area


def start(tables: Tables) -> Now:
    """Every scene at its start, as logged."""
    agents, body = _logged(tables, tables.begin)
    nobody = torch.zeros_like(agents.valid)
    return Now(agents, body, Progress.none(tables.drivers), tables.begin, nobody, nobody, nobody)


def step(tables: Tables, now: Now, actions: Tensor | None = None, driver: IDM | None = None) -> Now:
    """The scenes a step later; those whose log is over stay as they are.

    actions (B, A, 2): acceleration [m/s^2] and steering angle [rad] of what has wheels, acceleration vector of who
    walks, cut to what each kind can do; NaN where the agent decides for itself: drivers by IDM, everybody else by the
    log. Differentiable in the actions and in the floats of `now`; flags and who decides are not.
    """
    shape = (*now.decided.shape, 2)
    if actions is None:
        actions = torch.full(shape, torch.nan, dtype=now.agents.xy.dtype, device=now.agents.xy.device)
    if actions.shape != shape:
        raise InputError(f"actions of shape {tuple(actions.shape)}; {shape} is expected")
    given = ~actions[..., 0].isnan()
    decides = ~given & now.agents.valid & tables.drivers.active
    if bool(decides.any()):
        command, progress = decide(tables, now, decides, driver or IDM())
        command = torch.where(given[..., None], actions, command)
    else:
        command, progress = actions, place(tables, there_or_zero(now.agents), now.progress, now.step)[0]
    decided = now.agents.valid & ~command[..., 0].isnan()

    logged, logged_body = _logged(tables, now.step + 1)
    logged = logged.replace(size=torch.where(logged.valid[..., None], logged.size, now.agents.size))
    moved, moved_body = move(tables, now, torch.where(decided[..., None], command, 0.0))
    agents, body = Agents.where(decided, moved, logged), Body.where(decided, moved_body, logged_body)
    with torch.no_grad():
        blocked = _blocked(agents, now.agents.valid, decided, logged)
    agents = absent(agents, blocked)
    body = Body.where(blocked, body.map(lambda x: torch.full_like(x, torch.nan)), body)
    with torch.no_grad():
        collides, off_road = _collides(agents), _off_road(tables, agents)
    later = Now(agents, body, progress, now.step + 1, decided, collides, off_road)
    return Now.where(now.step < tables.steps - 1, later, now)


def move(tables: Tables, now: Now, command: Tensor) -> tuple[Agents, Body]:
    """Everybody (B, A) a step later under commands (B, A, 2) that are cut to what each kind can do."""
    agents = there_or_zero(now.agents).replace(size=now.agents.size)
    body = now.body.map(lambda x: torch.where(now.agents.valid, x, 0.0))
    wheelbase, _ = axles(tables, agents)
    limits, speed = limits_of(agents.kind, dtype=command.dtype), agents.speed
    drive = torch.minimum(limits.acceleration, limits.power / speed.abs().clamp_min(0.1))
    acceleration = torch.minimum(torch.maximum(command[..., 0], -limits.braking), drive)
    most = torch.atan(wheelbase * limits.lateral / speed.square().clamp_min(1e-2))
    steering = bounded(command[..., 1], torch.minimum(limits.steering, most))
    turn = limits.steering_rate * DT
    steering = torch.minimum(torch.maximum(steering, body.steering - turn), body.steering + turn)
    vehicle = Vehicle(wheelbase=tables.wheelbase[:, None], rear_axle_to_center=tables.rear[:, None])
    rolled = WHEELS.step(agents, body, torch.stack([acceleration, steering], -1), DT, vehicle)
    walked = FEET.step(agents, body, command, DT, vehicle)
    walks = is_kind(agents.kind, WALKERS)
    return Agents.where(walks, walked[0], rolled[0]), Body.where(walks, walked[1], rolled[1])


def _logged(tables: Tables, step: Tensor) -> tuple[Agents, Body]:
    """Agents and bodies (B, A) of the log at the scenes' steps (B,)."""
    scene = torch.arange(len(step), device=step.device)
    k = torch.minimum(step, tables.steps - 1)
    return tables.log.map(lambda x: x[scene, k]), tables.body.map(lambda x: x[scene, k])


def _blocked(agents: Agents, before: Tensor, decided: Tensor, logged: Agents) -> Tensor:
    """Who (B, A) would appear inside a body that has left its log, or could not avoid it by braking."""
    new = agents.valid & ~before
    astray = ~(logged.valid & ((agents.xy - logged.xy).norm(dim=-1) < ASTRAY))
    real = agents.valid & decided & astray
    agents = there_or_zero(agents)
    ahead = heading(agents.yaw)[:, :, None]
    closing = ((agents.velocity[:, :, None] - agents.velocity[:, None]) * ahead).sum(-1).clamp_min(0)
    room = closing.square() / (2 * HOLD_BACK_BRAKING)
    middle = agents.xy[:, :, None] + ahead * room[..., None] / 2
    longer = agents.size[:, :, None, :2] + torch.stack([room, torch.zeros_like(room)], -1)
    reaches = _touch(
        middle, agents.yaw[:, :, None], longer, agents.xy[:, None], agents.yaw[:, None], agents.size[:, None, :, :2]
    )  # fmt: skip
    hit = (reaches | reaches.transpose(1, 2)) & real[:, None]
    return new & hit.any(-1)


def _collides(agents: Agents) -> Tensor:
    """Whose box (B, A) touches another's."""
    xy, yaw, size = agents.xy, agents.yaw, agents.size[..., :2]
    hit = _touch(xy[:, :, None], yaw[:, :, None], size[:, :, None], xy[:, None], yaw[:, None], size[:, None])
    both = agents.valid[:, :, None] & agents.valid[:, None]
    self = torch.eye(both.shape[1], dtype=torch.bool, device=both.device)
    return (hit & both & ~self).any(-1)


def _touch(xy: Tensor, yaw: Tensor, size: Tensor, xy_b: Tensor, yaw_b: Tensor, size_b: Tensor) -> Tensor:
    """Whether boxes (...) share a point: touching counts, NaN never does. Separating axis theorem."""
    d, c, s = xy_b - xy, torch.cos(yaw_b - yaw).abs(), torch.sin(yaw_b - yaw).abs()
    length, width, length_b, width_b = *(size / 2).unbind(-1), *(size_b / 2).unbind(-1)
    ahead, ahead_b = heading(yaw), heading(yaw_b)
    left, left_b = heading(yaw + torch.pi / 2), heading(yaw_b + torch.pi / 2)
    return (
        ((d * ahead).sum(-1).abs() <= length + length_b * c + width_b * s)
        & ((d * left).sum(-1).abs() <= width + length_b * s + width_b * c)
        & ((d * ahead_b).sum(-1).abs() <= length_b + length * c + width * s)
        & ((d * left_b).sum(-1).abs() <= width_b + length * s + width * c)
    )


def _off_road(tables: Tables, agents: Agents) -> Tensor:
    """Whose box (B, A) has wheels and a corner outside the drivable area."""
    corners = box_corners(agents.xy, agents.yaw, agents.size)[..., None, :]
    inside = odd_crossings(tables.border_a[:, None, None], tables.border_b[:, None, None], corners)
    return agents.valid & ~is_kind(agents.kind, WALKERS) & ~inside.all(-1)
