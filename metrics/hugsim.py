"""HUGSIM's HD-Score: what the plans of a drive would have come to, times how far it got."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.geometry import from_frame, heading, rotate
from drivesim.roadmap import RoadMap
from drivesim.types import VEHICLES, Agents, Event, Map, Plan, Rollout, Scenario, Score, is_kind

from .boxes import boxes, meeting
from .drive import judged_ego, logged_ego, not_judged, only, over_steps, precise, unfit

VERSION = "1"
SOURCE = "HUGSIM, sim/utils/score_calculator.py"
PARTS = ("nc", "dac", "ttc", "c")
"""Sub-scores of a plan: no collision, drivable area, time to collision, comfort."""
INTERVAL = 0.5
"""Between the poses of a plan as it is judged [s]."""
BOX = (3.0, 1.6)
"""Length and width of HUGSIM's ego [m]."""
LOOK_AHEAD = (0.5, 1.0)
"""Times to collision that are looked at [s]."""
BACKGROUND = 100
"""More background points than this in the ego's box are a collision."""
GROUND = (0.3, 0.5)
"""Share of quarters of the box on the ground below which drivable area is 0, or 0.5."""
COMPLETE = 0.9
"""Share of the logged steps that is all of the route."""
BOUNDS = {"acceleration": (-4.05, 2.40), "lateral": 4.89, "jerk": 8.37, "yaw_rate": 0.95, "yaw_acceleration": 1.93}
"""[m/s^2, m/s^2, m/s^3, rad/s, rad/s^2]"""


def hugsim(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    form: Literal["strict", "peer"] = "strict",
    background: Tensor | None = None,
) -> Score:
    """Mean over plans of NC x DAC x (5 TTC + 2 C) / 7, times route completion (HUGSIM, sim/utils/score_calculator.py).

    A plan is judged at the ego's pose and every 0.5 s after, with a box of 3.0 x 1.6 m, against where the vehicles then
    are (the last known place beyond the drive's end). NC: no overlap; TTC: none either when every pose is moved on by
    its velocity times 0.5 and 1.0 s; DAC: by quarters of the box on the drivable area; C: bounds on finite differences.
    Route completion: (index of the nearest logged step + 1) / (0.9 n), greatest over the drive, at most 1.
    `strict` measures lateral acceleration and bounds acceleration by 2.40; `peer` takes lateral acceleration as zero
    and 4.89 as the upper bound, as the code does. `background`: points (N, 3) of what stands about, world; a rollout
    has none: without them collisions with the background are not covered, which the evidence says.
    Series: the score of the plan that is followed. Not valid without plans or a drivable area.
    """
    rollout = only(rollouts, "hugsim")
    reason = unfit(rollout) or ("" if len(scenario.scene.map.drivable) else "the map has no drivable area")
    plans = [(k, p) for k, p in zip(rollout.plan_steps, rollout.plans, strict=True) if k >= rollout.start]
    if not reason and not plans:
        reason = "the rollout has no plans, which this score is about"
    if reason:
        return not_judged("hugsim", reason, VERSION)
    agents = precise(rollout.agents)
    series, frames, events = torch.full((len(agents.yaw),), torch.nan, dtype=torch.float64), [], []
    judgements = judge(plans, agents, rollout, scenario.scene.map, form, background)
    for n, ((step, _), parts) in enumerate(zip(plans, judgements, strict=True)):
        frames.append(frame_score(**parts))
        until = plans[n + 1][0] if n + 1 < len(plans) else len(agents.yaw)
        series[step:until] = frames[-1]
        events += _lost(parts, step, agents, len(plans))
    ego = judged_ego(rollout)
    completion = route_completion(ego.xy, logged_ego(scenario).xy)
    place = tuple(round(x, 3) for x in ego.xy[-1].tolist())
    detail = {
        "pdms": round(float(np.mean(frames)), 4), "route_completion": round(completion, 4), "plans": len(frames),
        "not_covered": "" if background is not None else "collisions with the background: no point cloud of it",
        "lost": round(1 - completion, 6), "rule": "HD-Score = mean PDMS x route completion (HUGSIM)", "source": SOURCE,
        "kept_by": "getting farther along the log",
    }  # fmt: skip
    events.append(Event("route", len(agents.yaw) - 1, (0,), place, detail))
    return Score(
        "hugsim", hd_score(frames, completion), better="more", series=over_steps(series[rollout.start :], rollout),
        shows="score of the plan", evidence=tuple(events), version=f"{VERSION} {form}",
    )  # fmt: skip


def frame_score(nc: float, dac: float, ttc: float, c: float) -> float:
    """PDMS of one plan: NC x DAC x (5 TTC + 2 C) / 7."""
    return nc * dac * (5 * ttc + 2 * c) / 7


def hd_score(frames: Sequence[float], completion: float) -> float:
    """Mean of the plans' scores times route completion, at most 1. ValueError without a plan."""
    if not len(frames):
        raise ValueError("hd_score: no plan")
    return float(np.mean(frames)) * min(completion, 1.0)


def route_completion(xy: Tensor, log: Tensor) -> float:
    """How far points (n, 2) get along a log (N, 2): greatest (nearest index + 1) / (0.9 N), at most 1."""
    nearest = torch.cdist(xy.double(), log.double().nan_to_num(1e9)).argmin(-1)
    return min(float(nearest.max() + 1) / (COMPLETE * len(log)), 1.0)


def judge(
    plans: Sequence[tuple[int, Plan]], agents: Agents, rollout: Rollout, map: Map, form: str, background: Tensor | None
) -> list[dict[str, float]]:
    """Sub-scores of plans, each with the step at which it was made: nc, dac, ttc, c. Plans with the same times are
    looked at at once."""
    alike: dict[bytes, list[int]] = {}
    for n, (_, plan) in enumerate(plans):
        alike.setdefault(plan.time.double().numpy().tobytes(), []).append(n)
    found: dict[int, dict[str, float]] = {}
    for group in alike.values():
        steps = torch.tensor([plans[n][0] for n in group])
        poses = planned([plans[n][1] for n in group], agents[steps, 0], rollout)
        parts = _judge(poses, steps, agents, rollout.dt, map, form, background)
        found |= {n: dict(zip(PARTS, row, strict=True)) for n, row in zip(group, parts.tolist(), strict=True)}
    return [found[n] for n in range(len(plans))]


def _judge(
    poses: Tensor, steps: Tensor, agents: Agents, dt: float, map: Map, form: str, background: Tensor | None
) -> Tensor:
    """Sub-scores (N, 4) in the order of PARTS of plans as poses (N, K, 3), made at steps (N,)."""
    shape, flat = poses.shape[:2], poses.reshape(-1, 3)
    when = steps[:, None] + round(INTERVAL / dt) * torch.arange(shape[1])
    when = when.clamp_max(len(agents.yaw) - 1).reshape(-1)
    velocity = _velocity(poses).reshape(-1, 2)
    moved = [torch.cat([flat[:, :2] + velocity * t, flat[:, 2:]], -1) for t in (0.0, *LOOK_AHEAD)]
    free = clear(torch.cat(moved), agents, when.repeat(len(moved)), background).reshape(len(moved), *shape).all(-1)
    share = quarters(flat, map).reshape(shape).amin(-1)
    return torch.stack(
        [
            free[0].double(),
            torch.tensor([ratio_score(x) for x in share.tolist()], dtype=torch.float64),
            free[1:].all(0).double(),
            torch.from_numpy(comfortable(poses, INTERVAL, form)).double(),
        ],
        -1,
    )


def _velocity(poses: Tensor) -> Tensor:
    """Velocity (N, K, 2) into each pose of (N, K, 3), that into the second also for the first; 0 for a single one."""
    if poses.shape[1] < 2:
        return torch.zeros_like(poses[..., :2])
    velocity = torch.diff(poses[..., :2], dim=1) / INTERVAL
    return torch.cat([velocity[:, :1], velocity], 1)


def planned(plans: Sequence[Plan], ego: Agents, rollout: Rollout) -> Tensor:
    """Poses (N, K, 3) of the box centre in the world: the ego's (N,) own, then every INTERVAL those of plans with the
    same times. A plan that ends less than 1 m away keeps the ego's yaw."""
    rear = rollout.vehicle.rear_axle(ego.poses)
    time = plans[0].time.double().numpy()
    poses = from_frame(torch.stack([plan.poses for plan in plans]).double(), rear[:, None])
    rows = torch.cat([rear[:, None], poses], 1).numpy()
    rows[..., 2] = np.unwrap(rows[..., 2], axis=1)
    known = np.concatenate([[0.0], time])
    t = np.arange(1, int(time[-1] / INTERVAL + 1e-6) + 1) * INTERVAL
    after = np.searchsorted(known, t).clip(1, len(known) - 1)
    share = ((t - known[after - 1]) / (known[after] - known[after - 1])).clip(0, 1)[:, None]
    there = rows[:, after - 1] + share * (rows[:, after] - rows[:, after - 1])
    result = torch.cat([ego.poses[:, None], rollout.vehicle.center(torch.from_numpy(there))], 1)
    short = (result[:, -1, :2] - result[:, 0, :2]).norm(dim=-1) < 1.0
    result[..., 2] = torch.where(short[:, None], result[:, :1, 2], result[..., 2])
    return result


def clear(poses: Tensor, agents: Agents, when: Tensor, background: Tensor | None = None) -> Tensor:
    """Whether the box at each of poses (K, 3) meets no vehicle of agents (n, A) as they are at steps `when` (K,), and
    not the background (N, 3): (K,)."""
    placed = torch.cat([poses[:, :2], heading(poses[:, 2]), poses.new_tensor(BOX).expand(len(poses), 2) / 2], -1)
    who = is_kind(agents.kind, VEHICLES) & agents.valid
    who[:, 0] = False
    hit = torch.from_numpy(meeting(placed.double().numpy(), when.numpy(), boxes(agents), who.numpy()))
    if background is None:
        return ~hit
    seen = rotate(background[:, :2].double() - poses[:, None, :2], -poses[:, None, 2])
    inside = (seen.abs() < seen.new_tensor(BOX) / 2).all(-1)
    floor, tall = agents.z[when, 0, None], agents.size[when, 0, None, 2]
    within = (background[:, 2] > floor) & (background[:, 2] < floor + tall)
    return ~hit & ((inside & within).sum(-1) <= BACKGROUND)


def quarters(poses: Tensor, map: Map) -> Tensor:
    """Share (K,) of the four quarters of the box at poses (K, 3) that touch the drivable area, by a grid of points."""
    road = RoadMap.of(map)
    border = road.border_distance(poses[:, :2])
    share, close = (border > 0).double(), border.abs() <= math.hypot(*BOX) / 2 + 0.01  # farther away no quarter differs
    grid = torch.tensor([0.1, 0.5, 0.9], dtype=poses.dtype) / 2  # within a half of the box
    sides = torch.stack([grid, -grid])
    x, y = BOX[0] * sides[:, None, :, None], BOX[1] * sides[None, :, None, :]
    points = torch.stack(torch.broadcast_tensors(x, y), -1)  # (2, 2, 3, 3, 2)
    asked = poses[close].reshape(-1, 1, 1, 1, 1, 3)
    world = rotate(points, asked[..., 2]) + asked[..., :2]
    share[close] = road.inside(world).any(-1).any(-1).double().mean((-1, -2))
    return share


def ratio_score(share: float) -> float:
    """Drivable area by the least share of quarters on the ground."""
    return 0.0 if share < GROUND[0] else 0.5 if share < GROUND[1] else 1.0


def comfortable(poses: Tensor, dt: float, form: str = "strict") -> NDArray[np.bool_]:
    """Whether finite differences of poses (..., K, 3) every `dt` [s] are within BOUNDS (...); fewer than four are."""
    if poses.shape[-2] < 4:
        return np.ones(poses.shape[:-2], bool)
    xy, yaw = poses[..., :2].numpy(), np.unwrap(poses[..., 2].numpy(), axis=-1)
    velocity = np.diff(xy, axis=-2) / dt
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    acceleration, rate = np.diff(speed) / dt, np.diff(yaw) / dt
    low, high = BOUNDS["acceleration"]
    lateral = np.zeros((*yaw.shape[:-1], 1))
    if form == "strict":
        middle = (yaw[..., :-1] + yaw[..., 1:]) / 2
        left = np.stack([-np.sin(middle), np.cos(middle)], -1)
        lateral = (np.diff(velocity, axis=-2) / dt * (left[..., :-1, :] + left[..., 1:, :]) / 2).sum(-1)
    else:
        high = BOUNDS["lateral"]
    checks = (
        np.abs(lateral) <= BOUNDS["lateral"], acceleration <= high, acceleration >= low,
        np.abs(np.diff(acceleration) / dt) <= BOUNDS["jerk"], np.abs(rate) <= BOUNDS["yaw_rate"],
        np.abs(np.diff(rate) / dt) <= BOUNDS["yaw_acceleration"],
    )  # fmt: skip
    return np.logical_and.reduce([check.all(-1) for check in checks])


_RULES = {
    "nc": ("the plan meets no vehicle", "a plan that keeps clear of all vehicles"),
    "dac": ("half the quarters of the box on the road or more", "a plan on the road"),
    "ttc": ("nor does it 0.5 or 1.0 s further on", "a slower plan, or one that keeps more distance"),
    "c": ("accelerations, jerk and turns within nuPlan's bounds", "a smoother plan"),
}


def _lost(parts: dict[str, float], step: int, agents: Agents, plans: int) -> list[Event]:
    """The parts of one of `plans` plans that are not full, with what each alone takes from a full score."""
    place = tuple(round(x, 3) for x in agents.xy[step, 0].tolist())
    found = []
    for name in (name for name in PARTS if parts[name] < 1):
        lost = (1 - frame_score(**{**dict.fromkeys(PARTS, 1.0), name: parts[name]})) / plans
        rule, kept = _RULES[name]
        detail = {"value": parts[name], "lost": round(lost, 6), "rule": f"{rule} (HUGSIM)", "source": SOURCE,
                  "kept_by": kept}  # fmt: skip
        found.append(Event(f"plan_{name}", step, (0,), place, detail))
    return found
