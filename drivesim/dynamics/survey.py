"""Which logged tracks a body model can drive, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import rotate
from drivesim.loading.paths import runs
from drivesim.loading.tracks import slopes
from drivesim.protocols import BodyModel
from drivesim.types import VEHICLES, Agents, Kind, Scenario, Vehicle, is_kind

from .bicycle import axles
from .inverse import fit
from .limits import Limits, limits_of

CLOSE = 0.05
"""Largest deviation of the box centre from the log of a track that obeys a model [m]."""


STANDS = 1.5
"""Who never gets further from where it was first seen stands, whatever its boxes do [m]."""


@dataclass(frozen=True)
class Track:
    """How well a body model drives one logged track."""

    id: str
    kind: Kind
    seconds: float  # of the log that were fitted
    travelled: float  # path in that time [m]
    deviation: float  # largest distance of the box centre from the log [m]
    reason: str  # why it does not obey, in plain words; empty where it does

    @property
    def obeys(self) -> bool:
        return self.deviation <= CLOSE


def survey(
    scenario: Scenario,
    model: BodyModel,
    kinds: Sequence[Kind] = VEHICLES,
    seconds: float = 8.0,
    least: float = 2.0,
) -> list[Track]:
    """Fit `model` to each track of the `kinds`: its longest unbroken stretch, the first `seconds` of it.

    Tracks seen for less than `least` seconds are left out.
    """
    dt, vehicle, log = scenario.scene.briefing.dt, scenario.scene.briefing.vehicle, scenario.log
    most, fewest = round(seconds / dt) + 1, round(least / dt) + 1
    chosen, parts = [], []
    for i in range(log.valid.shape[1]):
        stretches = runs(log.valid[:, i].numpy())
        if not stretches:
            continue
        first, last = max(stretches, key=lambda r: r[1] - r[0])
        kind = is_kind(log.kind[first, i : i + 1], tuple(kinds))
        if i == 0 or (last - first + 1 >= fewest and bool(kind)):
            chosen.append(i)
            parts.append(_stretch(log[:, i], first, min(last + 1, first + most), most))
    tracks = Agents.stack(parts, dim=1)
    deviation = fit(tracks, model, vehicle, dt).deviation
    rows = []
    for column, i in enumerate(chosen):
        track = tracks[:, column][tracks.valid[:, column]]
        if len(track.yaw) < fewest or not bool(is_kind(track.kind[:1], tuple(kinds))):
            continue
        off = float(deviation[:, column].nan_to_num(0).amax())
        reason = "" if off <= CLOSE else explain(track, dt, vehicle, ego=i == 0)
        path = float((track.xy[1:] - track.xy[:-1]).norm(dim=-1).sum())
        span = (len(track.yaw) - 1) * dt
        rows.append(Track(scenario.track_ids[i], Kind(int(track.kind[0])), span, path, off, reason))
    return rows


def explain(track: Agents, dt: float, vehicle: Vehicle, ego: bool = False) -> str:
    """Why no vehicle drives like this track (T,): it jumps, stands, goes sideways, is noisy, or exceeds limits."""
    log = track.map(lambda x: x.double() if x.is_floating_point() else x)
    pair = log[:, None] if ego else Agents.stack([log, log], dim=1)
    wheelbase, rear = (x[0, -1] for x in axles(pair, vehicle))
    yaw = np.unwrap(log.yaw.numpy())
    axle = log.xy.numpy() - float(rear) * np.stack([np.cos(yaw), np.sin(yaw)], -1)
    velocity, rate = slopes(axle, dt), slopes(yaw[:, None], dt)[:, 0]
    ahead, left = rotate(torch.from_numpy(velocity), torch.from_numpy(-yaw)).unbind(-1)
    limits = limits_of(log.kind[0], dtype=torch.float64)

    jump = np.abs(np.diff(log.xy.numpy(), 2, axis=0)).max()
    if jump > 1.0:
        return f"jumps: a position is {jump:.1f} m off the two before it"
    spin = np.abs(np.diff(yaw)).max()
    if spin > 0.5:
        return f"jumps: the heading turns by {np.degrees(spin):.0f} degrees in a step"
    wander = float((log.xy - log.xy[0]).norm(dim=-1).max())
    if wander < STANDS:
        return f"standing: a box that stands wanders {wander:.2f} m"
    noise, drift = _roughness(log.xy.numpy(), dt), _largest_within(left.numpy(), dt, 1.0)
    sideways = f"sideways: the rear axle slips {drift:.2f} m to a side within 1 s"
    scatters = f"noise: positions scatter {noise:.2f} m about their own smooth path"
    if drift > 0.1 + 2 * noise:
        return sideways
    if noise > CLOSE:
        return scatters
    over = _over(ahead, torch.from_numpy(rate), wheelbase, limits, dt)
    if over:
        return f"limits: {over}"
    if noise > CLOSE / 2:
        return scatters
    return sideways if drift > CLOSE else "none of the known"


def _over(ahead: Tensor, rate: Tensor, wheelbase: Tensor, limits: Limits, dt: float) -> str:
    """The limit of the kind that the smoothed motion exceeds."""
    change = torch.from_numpy(slopes(ahead.numpy()[:, None], dt)[:, 0]) * torch.where(ahead < 0, -1.0, 1.0)
    steering = torch.atan(rate * wheelbase / ahead.abs().clamp_min(0.5))
    turning = torch.from_numpy(slopes(steering.numpy()[:, None], dt)[:, 0])
    power = limits.power / ahead.abs().clamp_min(0.1)
    demands = {
        "acceleration": (change.amax(), limits.acceleration),
        "power": ((change / power).amax(), 1.0),
        "braking": (-change.amin(), limits.braking),
        "lateral acceleration": ((ahead * rate).abs().amax(), limits.lateral),
        "steering angle": (steering.abs().amax(), limits.steering),
        "steering rate": (turning.abs().amax(), limits.steering_rate),
    }
    told = [f"{name} {float(x):.1f} of {float(most):.1f}" for name, (x, most) in demands.items() if float(x) > most]
    return ", ".join(told)


def _largest_within(speed: np.ndarray, dt: float, span: float) -> float:
    """Largest distance that `speed` (T,) covers within `span` seconds."""
    way = np.concatenate([[0.0], np.cumsum(speed * dt)])
    n = min(round(span / dt), len(way) - 1)
    return float(np.abs(way[n:] - way[:-n]).max())


def _roughness(xy: np.ndarray, dt: float) -> float:
    """Largest distance of positions (T, 2) from the parabola through their neighbours within 0.4 s."""
    half = min(round(0.4 / dt), (len(xy) - 1) // 2)
    at = np.arange(-half, half + 1)[:, None] ** np.arange(3)
    middle = np.linalg.pinv(at)[0]
    smooth = np.lib.stride_tricks.sliding_window_view(xy, 2 * half + 1, axis=0) @ middle
    return float(np.linalg.norm(smooth - xy[half : len(xy) - half], axis=-1).max())


def _stretch(track: Agents, first: int, end: int, steps: int) -> Agents:
    """Steps [first, end) of a track (T,), padded with its last step, not valid, to `steps`."""
    index = torch.arange(first, first + steps)
    part = track[index.clamp(max=end - 1)]
    return part.replace(valid=index < end)
