"""What bodies can do at most, by kind of road user and by the road's friction.

A row of `TABLE` says what a capable body of its kind does on a dry road, not what drivers like; [E] marks estimates.

Cars: a fast electric one, 100 km/h in 3.5 s, 377 kW on 1850 kg [E] (Waymax bounds its bicycle at 6 m/s^2; CommonRoad's
BMW 320i, vehicle 2 of its vehicle models 2020a, has 11.5 m/s^2 up to 7.3 m/s, which no tyre of `grip` 1 holds); braking
9 m/s^2 is a stop from 100 km/h in 43 m; steering 0.7 rad is a turning circle of 10 m; steering rate 850 deg/s at the
hand wheel (Rice 1976, drivers who evade and fail) through a ratio of 16. Trucks: angle and rate of CommonRoad's
vehicle 4, braking of an unladen EBS truck (UN R13 asks for 5), lateral the rollover threshold 0.4 g of laden ones.
Buses, construction [E]. Motorcycles: braking of Ecker et al. 2001's best riders, lean of 40 degrees [E]. Bicycles:
braking at which the rear wheel lifts, 0.56 g (Wilson, Bicycling Science); acceleration above the 1.4 m/s^2 of the
85th percentile in FHWA-HRT-04-103, table 10; top speed a descent. Pedestrians: an athletic sprint [E].
"""

from __future__ import annotations

from enum import Enum
from functools import cache

import torch
from torch import Tensor

from drivesim.struct import Struct, tensor
from drivesim.types import Kind

GRAVITY = 9.81
TRACTION = 0.95
"""Share of the tyres' friction that pedals can use: anti-lock control leaves the rest to steer with [E]."""


class Road(Enum):
    """Friction of a road as a share of the dry one's: means of the ranges in Bosch's Automotive Handbook (dry 0.8-1,
    wet 0.55-0.8, ice 0.1 and less) and Noon 1994 (snow 0.2-0.25, ice 0.1-0.15); packed snow on winter tyres 0.3."""

    DRY = 1.0
    WET = 0.7
    SNOW = 0.3
    ICE = 0.1


class Limits(Struct):
    """Bounds of bodies, each (..., A), all positive. Which of them binds depends on the model."""

    acceleration: Tensor = tensor()  # speeding up [m/s^2]
    braking: Tensor = tensor()  # slowing down [m/s^2]
    power: Tensor = tensor()  # of the drive per mass: acceleration <= power / speed [W/kg]
    speed: Tensor = tensor()  # forward [m/s]
    reverse: Tensor = tensor()  # backward [m/s]
    steering: Tensor = tensor()  # angle of the front wheels [rad]
    steering_rate: Tensor = tensor()  # [rad/s]
    lateral: Tensor = tensor()  # lateral acceleration: lean, rollover, skid [m/s^2]
    yaw_rate: Tensor = tensor()  # [rad/s]; of what turns without wheels
    grip: Tensor = tensor()  # peak friction coefficient on the road as it is


#                      accel brake power speed rev. steer rate  lat  yaw  grip
TABLE: dict[Kind, tuple[float, ...]] = {
    Kind.CAR:          (8.0, 9.0, 204., 70.0, 13.6, 0.70, 0.93, 8.5, 2.0, 1.0),
    Kind.TRUCK:        (2.5, 7.0, 15.0, 35.0, 4.0, 0.55, 0.71, 4.0, 1.0, 0.8),
    Kind.BUS:          (2.0, 6.5, 15.0, 33.0, 4.0, 0.80, 0.71, 4.5, 1.0, 0.8),
    Kind.TRAILER:      (2.5, 7.0, 15.0, 35.0, 4.0, 0.55, 0.71, 4.0, 1.0, 0.8),
    Kind.CONSTRUCTION: (2.0, 5.0, 15.0, 20.0, 8.0, 0.80, 0.71, 4.0, 1.0, 0.8),
    Kind.MOTORCYCLE:   (8.0, 8.5, 200.0, 70.0, 1.5, 0.60, 1.50, 8.2, 2.0, 1.0),
    Kind.BICYCLE:      (2.5, 5.5, 12.0, 18.0, 1.5, 0.80, 2.00, 5.0, 2.0, 0.8),
    Kind.PEDESTRIAN:   (4.0, 6.0, 20.0, 9.0, 2.0, 0.80, 3.00, 6.0, 4.0, 0.8),
    Kind.ANIMAL:       (6.0, 8.0, 60.0, 17.0, 2.0, 0.80, 3.00, 8.0, 6.0, 0.9),
    Kind.CONE:         (0.0, 6.0, 0.0, 70.0, 70.0, 0.0, 0.0, 6.0, 6.0, 0.6),
    Kind.BARRIER:      (0.0, 6.0, 0.0, 70.0, 70.0, 0.0, 0.0, 6.0, 6.0, 0.6),
    Kind.OBJECT:       (0.0, 6.0, 0.0, 70.0, 70.0, 0.0, 0.0, 6.0, 6.0, 0.6),
}  # fmt: skip


@cache
def _table(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([TABLE[kind] for kind in Kind], dtype=torch.float64).to(device, dtype)


def limits_of(kind: Tensor, friction: float = 1.0, dtype: torch.dtype = torch.float32) -> Limits:
    """Limits (...) of kinds (...) on a road whose friction is `friction` of the dry one's (`Road.WET.value`, ...).

    What brakes and drive can do is cut to what the tyres then hold.
    """
    rows = _table(dtype, kind.device)[kind]
    limits = Limits(*rows.unbind(-1))
    grip = limits.grip * friction
    hold = TRACTION * grip * GRAVITY
    return limits.replace(
        acceleration=torch.minimum(limits.acceleration, hold), braking=torch.minimum(limits.braking, hold), grip=grip
    )


def next_speed(speed: Tensor, acceleration: Tensor, limits: Limits, dt: float) -> Tensor:
    """Signed speed (...) after `dt` under a wished acceleration (...), both along the heading.

    Speeding up is bounded by drive and power, slowing down by the brakes, in both directions; brakes alone do not
    reverse. Who is faster than its kind can be (a log says so) is not stopped at once but may only slow down.
    """
    drive = torch.minimum(limits.acceleration, limits.power / speed.abs().clamp_min(0.1)) * dt
    brake = limits.braking * dt
    forward = speed >= 0
    high = torch.where(forward, speed + drive, torch.minimum(speed + brake, drive))
    low = torch.where(forward, torch.maximum(speed - brake, -drive), speed - drive)
    high = torch.minimum(high, torch.maximum(limits.speed, speed - brake))
    low = torch.maximum(low, torch.minimum(-limits.reverse, speed + brake))
    return torch.maximum(torch.minimum(speed + acceleration * dt, high), low)


def next_steering(steering: Tensor, wish: Tensor, lag: float, limits: Limits, dt: float) -> Tensor:
    """Angle of the front wheels (...) after `dt` towards `wish` (...): first-order lag, bounded angle and rate."""
    wish = torch.maximum(torch.minimum(wish, limits.steering), -limits.steering)
    change, most = dt / (dt + lag) * (wish - steering), limits.steering_rate * dt
    return steering + torch.maximum(torch.minimum(change, most), -most)


def lateral_bound(acceleration: Tensor, limits: Limits) -> Tensor:
    """Lateral acceleration (...) that is left beside a longitudinal one (...): the friction circle and the kind's."""
    circle = (limits.grip * GRAVITY) ** 2 - acceleration**2
    return torch.minimum(limits.lateral, circle.clamp_min(1e-6).sqrt())


def bounded(x: Tensor, most: Tensor) -> Tensor:
    """`x` (...) within [-most, most]."""
    return torch.maximum(torch.minimum(x, most), -most)
