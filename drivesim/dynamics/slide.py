"""Bodies that nobody drives any more: they slide and spin to rest."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import heading, rotate, wrap_angle
from drivesim.types import Agents, Body, Kind

from .limits import GRAVITY

SLIDING: dict[Kind, float] = dict.fromkeys(Kind, 0.7) | {
    Kind.TRUCK: 0.6, Kind.BUS: 0.6, Kind.TRAILER: 0.6, Kind.CONSTRUCTION: 0.6,
    Kind.MOTORCYCLE: 0.5, Kind.BICYCLE: 0.55, Kind.PEDESTRIAN: 0.66, Kind.ANIMAL: 0.6, Kind.CONE: 0.5,
    Kind.BARRIER: 0.6, Kind.OBJECT: 0.5,
}  # fmt: skip
"""Friction on dry asphalt of what slides: cars with locked wheels 0.7 to 0.8 (Noon 1994, Engineering Analysis of
Vehicular Accidents), lorries less [E]; motorcycles on their side 0.3 to 0.7, people 0.66 (Searle and Searle 1983, SAE
831622); the others [E]."""

PATCHES = ((0.3, 0.4), (0.3, -0.4), (-0.3, -0.4), (-0.3, 0.4))
"""Where a box rests on the ground, in shares of length and width: four wheels."""

SUBSTEPS = 10
REST = 0.02
"""Speed of the patches below which a body stands [m/s]."""


def slide(agents: Agents, body: Body, spin: Tensor, dt: float) -> tuple[Agents, Body]:
    """Agents (...) and bodies one step later that turn at `spin` (...) [rad/s] and touch no pedal.

    Coulomb friction acts at each of four patches against that patch's own motion, so that a body that spins slides
    farther than one that does not. It stands when all are slow.
    """
    kind = agents.kind
    hold = torch.tensor([SLIDING[k] for k in Kind], dtype=torch.float64)[kind] * GRAVITY
    xy, yaw, velocity, spin = (x.double() for x in (agents.xy, agents.yaw, agents.velocity, spin))
    size = agents.size[..., None, :2].double()
    patches = torch.tensor(PATCHES, dtype=torch.float64) * size
    radius2 = size[..., 0, :].square().sum(-1) / 12  # of gyration, squared
    h = dt / SUBSTEPS
    ease = 2 * hold * h  # below this speed friction fades: it brakes and never reverses
    for _ in range(SUBSTEPS):
        arm = rotate(patches, yaw[..., None])
        left = torch.stack([-arm[..., 1], arm[..., 0]], -1)
        moves = velocity[..., None, :] + spin[..., None, None] * left
        speed = moves.norm(dim=-1)
        drag = -hold[..., None, None] * moves / torch.maximum(speed, ease[..., None])[..., None]
        stands = speed.amax(-1) < REST
        velocity = torch.where(stands[..., None], 0.0, velocity + h * drag.mean(-2))
        spin = torch.where(stands, 0.0, spin + h * (left * drag).sum(-1).mean(-1) / radius2)
        xy, yaw = xy + h * velocity, yaw + h * spin
    dtype = agents.yaw.dtype
    moved = agents.replace(xy=xy.to(dtype), yaw=wrap_angle(yaw).to(dtype), velocity=velocity.to(dtype))
    acceleration = ((moved.velocity - agents.velocity) * heading(agents.yaw)).sum(-1) / dt
    still = torch.zeros_like(body.steering)
    return moved, body.replace(steering=still, acceleration=acceleration, yaw_rate=spin.to(dtype))
