"""HUGSIM's HD-Score: what the plans of a drive would have come to, times how far it got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap, from_frame, rotate
from drivesim.roadmap import RoadMap
from drivesim.types import VEHICLES, Agents, Event, Map, Plan, Rollout, Scenario, Score, is_kind

from .drive import judged, not_judged, only, over_steps, precise, unfit

VERSION = "1"
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
        events += _lost(parts, step, agents)
    ego = judged(rollout)[..., 0]
    completion = route_completion(ego.xy, precise(scenario.log)[:, 0].xy)
    place = tuple(round(x, 3) for x in ego.xy[-1].tolist())
    detail = {
        "pdms": round(float(np.mean(frames)), 4), "route_completion": round(completion, 4), "plans": len(frames),
        "not_covered": "" if background is not None else "collisions with the background: no point cloud of it",
        "rule": "HD-Score = mean PDMS x route completion (HUGSIM)", "kept_by": "getting farther along the log",
    }  # fmt: skip
    events.append(Event("route", len(agents.yaw) - 1, (0,), place, detail))
    return Score(
        "hugsim", hd_score(frames, completion), series=over_steps(series[rollout.start :], rollout),
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
    """Sub-scores of plans, each with the step at which it was made: nc, dac, ttc, c. All are looked at at once."""
    every, last = round(INTERVAL / rollout.dt), len(agents.yaw) - 1
    each = [planned(plan, agents[step, 0], rollout) for step, plan in plans]
    owner = torch.repeat_interleave(torch.tensor([len(poses) for poses in each]))
    when = torch.cat([step + every * torch.arange(len(p)) for (step, _), p in zip(plans, each, strict=True)])
    poses, others = torch.cat(each), agents[when.clamp_max(last)]
    velocity = torch.cat([_velocity(p) for p in each])
    moved = [torch.cat([poses[:, :2] + velocity * t, poses[:, 2:]], -1) for t in LOOK_AHEAD]
    clear_now = clear(poses, others, background)
    clear_soon = torch.stack([clear(p, others, background) for p in moved]).all(0)
    share = quarters(poses, map)
    return [
        {
            "nc": float(clear_now[owner == n].all()), "dac": ratio_score(float(share[owner == n].min())),
            "ttc": float(clear_soon[owner == n].all()), "c": float(comfortable(each[n], INTERVAL, form)),
        }
        for n in range(len(plans))
    ]  # fmt: skip


def _velocity(poses: Tensor) -> Tensor:
    """Velocity (K, 2) into each pose of (K, 3), that into the second also for the first; 0 for a single one."""
    if len(poses) < 2:
        return torch.zeros(len(poses), 2, dtype=poses.dtype)
    velocity = torch.diff(poses[:, :2], dim=0) / INTERVAL
    return torch.cat([velocity[:1], velocity])


def planned(plan: Plan, ego: Agents, rollout: Rollout) -> Tensor:
    """Poses (K, 3) of the box centre in the world: the ego's own, then the plan's every INTERVAL. A plan that ends less
    than 1 m away keeps the ego's yaw."""
    rear = rollout.vehicle.rear_axle(ego.poses)
    time, poses = plan.time.double(), from_frame(plan.poses.double(), rear)
    count = int(float(time[-1]) / INTERVAL + 1e-6)
    t = np.arange(1, count + 1) * INTERVAL
    known = np.concatenate([[0.0], time.numpy()])
    rows = torch.cat([rear[None], poses]).numpy()
    rows[:, 2] = np.unwrap(rows[:, 2])
    there = torch.from_numpy(np.column_stack([np.interp(t, known, rows[:, i]) for i in range(3)]))
    result = torch.cat([ego.poses[None], rollout.vehicle.center(there)])
    if float((result[-1, :2] - result[0, :2]).norm()) < 1.0:
        result[:, 2] = result[0, 2]
    return result


def clear(poses: Tensor, others: Agents, background: Tensor | None = None) -> Tensor:
    """Whether the box at each of poses (K, 3) meets no vehicle of others (K, A) and not the background (N, 3): (K,)."""
    box = torch.tensor(BOX, dtype=poses.dtype)
    reach = (box.norm() + others.size[..., :2].norm(dim=-1)) / 2
    near = (others.xy - poses[:, None, :2]).norm(dim=-1) <= reach * 1.0001
    near &= is_kind(others.kind, VEHICLES) & others.valid
    near[:, 0] = False
    k, _ = near.nonzero().unbind(-1)
    mine, theirs = box_corners(poses[k, :2], poses[k, 2], box.expand(len(k), 2)), others[near]
    hit = torch.zeros(len(poses), dtype=torch.bool)
    hit[k[boxes_overlap(mine, box_corners(theirs.xy, theirs.yaw, theirs.size))]] = True
    if background is None:
        return ~hit
    seen = rotate(background[:, :2].double() - poses[:, None, :2], -poses[:, None, 2])
    inside = (seen.abs() < box / 2).all(-1)
    floor, top = others.z[:, 0, None], (others.z[:, 0] + others.size[:, 0, 2])[:, None]
    tall = (background[:, 2] > floor) & (background[:, 2] < top)
    return ~hit & ((inside & tall).sum(-1) <= BACKGROUND)


def quarters(poses: Tensor, map: Map) -> Tensor:
    """Share (K,) of the four quarters of the box at poses (K, 3) that touch the drivable area, by a grid of points."""
    grid = torch.tensor([0.1, 0.5, 0.9], dtype=poses.dtype) / 2  # within a half of the box
    sides = torch.stack([grid, -grid])
    x, y = BOX[0] * sides[:, None, :, None], BOX[1] * sides[None, :, None, :]
    points = torch.stack(torch.broadcast_tensors(x, y), -1)  # (2, 2, 3, 3, 2)
    world = rotate(points, poses[:, 2].reshape(-1, 1, 1, 1, 1)) + poses[:, :2].reshape(-1, 1, 1, 1, 1, 2)
    return RoadMap.of(map).inside(world).any(-1).any(-1).double().mean((-1, -2))


def ratio_score(share: float) -> float:
    """Drivable area by the least share of quarters on the ground."""
    return 0.0 if share < GROUND[0] else 0.5 if share < GROUND[1] else 1.0


def comfortable(poses: Tensor, dt: float, form: str = "strict") -> bool:
    """Whether finite differences of poses (K, 3) every `dt` [s] are within BOUNDS; fewer than four poses are."""
    if len(poses) < 4:
        return True
    xy, yaw = poses[:, :2].numpy(), np.unwrap(poses[:, 2].numpy())
    velocity = np.diff(xy, axis=0) / dt
    speed = np.hypot(*velocity.T)
    acceleration, rate = np.diff(speed) / dt, np.diff(yaw) / dt
    low, high = BOUNDS["acceleration"]
    lateral = np.zeros(1)
    if form == "strict":
        middle = (yaw[:-1] + yaw[1:]) / 2
        left = np.column_stack([-np.sin(middle), np.cos(middle)])
        lateral = (np.diff(velocity, axis=0) / dt * (left[:-1] + left[1:]) / 2).sum(-1)
    else:
        high = BOUNDS["lateral"]
    checks = (
        np.abs(lateral) <= BOUNDS["lateral"], acceleration <= high, acceleration >= low,
        np.abs(np.diff(acceleration) / dt) <= BOUNDS["jerk"], np.abs(rate) <= BOUNDS["yaw_rate"],
        np.abs(np.diff(rate) / dt) <= BOUNDS["yaw_acceleration"],
    )  # fmt: skip
    return all(bool(check.all()) for check in checks)


_RULES = {
    "nc": ("the plan meets no vehicle", "a plan that keeps clear of all vehicles"),
    "dac": ("half the quarters of the box on the road or more", "a plan on the road"),
    "ttc": ("nor does it 0.5 or 1.0 s further on", "a slower plan, or one that keeps more distance"),
    "c": ("accelerations, jerk and turns within nuPlan's bounds", "a smoother plan"),
}


def _lost(parts: dict[str, float], step: int, agents: Agents) -> list[Event]:
    place = tuple(round(x, 3) for x in agents.xy[step, 0].tolist())
    return [
        Event(f"plan_{name}", step, (0,), place,
              {"value": parts[name], "rule": f"{_RULES[name][0]} (HUGSIM)", "kept_by": _RULES[name][1]})
        for name in parts if parts[name] < 1
    ]  # fmt: skip
