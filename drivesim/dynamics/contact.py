"""Collisions: who meets whom, what it does to them, and who is no longer driven after it.

A body that drives by itself off its log, or has been struck, is real to all others; two that follow their logs are
not touched, whatever their boxes do. The step at which two bodies meet shows them as they met, in each other and at
the speed of the impact, so that whoever judges the drive sees it; the impulse acts at the beginning of the next one.
As long as they stay together they do not overlap again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap, heading, wrap_angle
from drivesim.types import WALKERS, Agents, Body, Event, State, Vehicle, is_kind

from .bicycle import axles
from .contacts import touching
from .impact import Bodies, collide, depth_of, meeting, shared
from .limits import GRAVITY, limits_of

TOGETHER = 0.1
"""Gap up to which bodies that have met are still in the same contact [m]."""

DEEPER = 0.5
"""Closing speed at which bodies that a log has in each other are in contact after all [m/s]: boxes are not exact."""

LEASH = 2 * GRAVITY
"""No ego changes its velocity faster after a contact [m/s^2]: one that is put where its plan is would jump there."""


def rebound(state: State, dt: float, vehicle: Vehicle) -> State:
    """The state with what the contacts it shows do to the bodies, and with an ego that has lost its grip `struck`."""
    if not state.touching and not bool(state.struck[0]):
        return state
    state = _collided(state, state.touching, dt, vehicle)
    struck = state.struck.clone()
    if bool(struck[0]) or any(0 in pair for pair in state.touching):
        struck[0] = _slips(state, vehicle, dt)
    return state.replace(struck=struck)


def meet(before: State, state: State, real: Tensor, dt: float, vehicle: Vehicle) -> State:
    """The state with the contacts that the step from `before` has brought about with bodies that are `real` (A,)."""
    if not bool(real.any()):
        return state.replace(touching=()) if state.touching else state
    grown = state.agents.replace(size=state.agents.size + (TOGETHER if state.touching else 0.0))
    near = [(i, j) for i, j in touching(grown, real).tolist()]
    lasting = tuple(pair for pair in near if pair in before.touching)
    if lasting:
        state = _collided(state, lasting, dt, vehicle)
    fresh = tuple(pair for pair in near if pair not in lasting)
    fresh = _met(before, state, fresh, dt, vehicle) if fresh else ()
    if not lasting and not fresh:
        return state.replace(touching=()) if state.touching else state
    together = tuple(sorted(lasting + fresh))
    struck = state.struck.clone()
    struck[sorted({i for pair in together for i in pair} - {0})] = True  # the ego's grip decides of itself
    told = tuple(_event(state, pair) for pair in fresh)
    return state.replace(struck=struck, touching=together, contacts=state.contacts + told)


def on_leash(agents: Agents, before: Agents, dt: float) -> Agents:
    """Agents (A,) with an ego that has not moved faster than it can from where it was `before`."""
    change = agents.velocity[0] - before.velocity[0]
    most = LEASH * dt
    if not float(change.norm()) > most:
        return agents
    velocity, xy = agents.velocity.clone(), agents.xy.clone()
    velocity[0] = before.velocity[0] + change * (most / change.norm())
    xy[0] = before.xy[0] + velocity[0] * dt
    return agents.replace(xy=xy, velocity=velocity)


def spin_of(agents: Agents, body: Body, vehicle: Vehicle) -> Tensor:
    """Yaw rate (A,) [rad/s]; where nobody has said it the one that steering and speed make."""
    wheelbase, _ = axles(agents, vehicle)
    rolling = agents.speed * torch.tan(body.steering) / wheelbase
    rolling = torch.where(is_kind(agents.kind, WALKERS), 0.0, rolling)
    return torch.where(body.yaw_rate.isnan(), rolling, body.yaw_rate)


def _collided(state: State, pairs: tuple[tuple[int, int], ...], dt: float, vehicle: Vehicle) -> State:
    """The state after the impacts of `pairs`."""
    there = [(i, j) for i, j in pairs if bool(state.agents.valid[i]) and bool(state.agents.valid[j])]
    if not there:
        return state
    agents, bodies = state.agents, Bodies.of(state.agents, spin_of(state.agents, state.body, vehicle))
    collide(bodies, there, dt)
    who = torch.zeros_like(agents.valid)
    who[sorted({i for pair in there for i in pair})] = True
    number = lambda x: torch.from_numpy(x).to(agents.xy.dtype)  # noqa: E731
    after = agents.replace(
        xy=number(bodies.xy), yaw=wrap_angle(number(bodies.yaw)), velocity=number(bodies.velocity)
    )  # fmt: skip
    body = state.body.replace(yaw_rate=torch.where(who, number(bodies.spin), state.body.yaw_rate))
    return state.replace(agents=Agents.where(who, after, agents), body=body)


def _met(
    before: State, state: State, pairs: tuple[tuple[int, int], ...], dt: float, vehicle: Vehicle
) -> tuple[tuple[int, int], ...]:
    """Those of `pairs` near each other that have come into contact now."""
    bodies = Bodies.of(state.agents, spin_of(state.agents, state.body, vehicle))
    walks, found = is_kind(state.agents.kind, WALKERS), []
    for i, j in pairs:
        if depth_of(bodies, i, j) < 0:
            continue
        if _were_apart(before.agents, i, j):
            found.append((i, j))
            continue
        if bool((walks & ~state.struck)[[i, j]].all()):
            continue  # people who walk arm in arm
        touch = meeting(bodies, i, j, dt)  # a log has them in each other: only who drives deeper is in contact
        if touch and float(touch.normal @ (bodies.velocity[i] - bodies.velocity[j])) > DEEPER:
            found.append((i, j))
    return tuple(found)


def _were_apart(agents: Agents, i: int, j: int) -> bool:
    both = agents[torch.tensor([i, j])]
    if not bool(both.valid.all()):
        return False
    corners = box_corners(both.xy.double(), both.yaw.double(), both.size.double())
    return not bool(boxes_overlap(corners[0], corners[1]))


def _slips(state: State, vehicle: Vehicle, dt: float) -> bool:
    """Whether the ego slides faster across an axle than its tyres can end within a step: nobody steers that."""
    agents, body = state.agents, state.body
    spin = spin_of(agents, body, vehicle)[0]
    left = heading(agents.yaw[0] + torch.pi / 2)
    rear = (agents.velocity[0] * left).sum() - spin * vehicle.rear_axle_to_center
    rolling = agents.speed[0] * torch.tan(body.steering[0]) / vehicle.wheelbase
    front = rear + (spin - rolling) * vehicle.wheelbase
    most = float(limits_of(agents.kind[:1]).grip) * GRAVITY * dt
    return bool(torch.maximum(rear.abs(), front.abs()) > most)


def _event(state: State, pair: tuple[int, int]) -> Event:
    """That the pair met, at the speed [m/s] of one seen from the other."""
    agents = state.agents[torch.tensor(pair)]
    speed = float((agents.velocity[0] - agents.velocity[1]).norm())
    a, b = box_corners(agents.xy, agents.yaw, agents.size).detach().double().numpy()
    x, y = shared(a, b).tolist()
    return Event("contact", int(state.step), pair, (round(x, 3), round(y, 3)), {"speed": round(speed, 3)})
