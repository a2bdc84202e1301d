"""Progress along the route, compared with the logged drive."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import arc_length
from drivesim.kernels import SegmentGrid, nearest_segment
from drivesim.types import Event, Rollout, Scenario, Score

from .drive import judged_ego, logged_ego, not_judged, only, over_steps, unfit

VERSION = "1"
SOURCE = "nuPlan e924167, ego_progress_along_expert_route"
REACH = 25.0
"""How much farther along the route than the ego itself its nearest point may move in a step [m]: more than cutting a
corner needs, less than half a small roundabout, so that a route that comes back close to itself is no shortcut. Own
choice; nuPlan goes from road block to road block instead."""
CORRIDOR = 10.0
"""How far from the route the ego still makes progress [m]: two more lanes to either side, as in one of nuPlan's road
blocks, and not the next street. Own choice."""


def progress(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    least: float = 2.0,
    reach: float = REACH,
    corridor: float = CORRIDOR,
) -> Score:
    """Share of the logged ego's progress along the route that the ego made, 0 to 1 (nuPlan e924167).

    min(1, max(ego, least) / max(expert, least)), and 0 if the ego ends more than `least` behind where it began;
    `least` [m] as in nuPlan. Progress is that of the box centre projected on the briefing's route, last less first,
    from `rollout.start` to the log's end; farther than `corridor` [m] from the route it stands still. For `reach` see
    `follow`. Series: the ego's progress since the start [m].
    """
    rollout = only(rollouts, "progress")
    route = scenario.scene.briefing.route
    expert = logged_ego(scenario, rollout.start)
    there = expert.valid & torch.isfinite(expert.xy).all(-1)
    reason = unfit(rollout)
    if not reason and (len(route) < 2 or float(arc_length(route)[-1]) <= 0):
        reason = "the briefing has no route"
    if not reason and not there.any():
        reason = "the log does not show how the ego drove on from the start"
    if reason:
        return not_judged("progress", reason, VERSION)
    ego = judged_ego(rollout)
    along = follow(ego.xy, route.double(), reach, corridor)
    logged = follow(expert.xy[there], route.double(), reach, corridor)
    made, expected = float(along[: len(expert.xy)][-1]), float(logged[-1])
    detail = {
        "ego": round(made, 3),
        "expert": round(expected, 3),
        "least": least,
        "corridor": corridor,  # [m], all four
        **_judged(made, expected, least),
    }
    last = rollout.start + min(len(ego.xy), len(expert.xy)) - 1
    place = tuple(round(x, 3) for x in ego.xy[last - rollout.start].tolist())
    aside = place_on(ego.xy, route)[1]
    return Score(
        "progress", ratio(made, expected, least), better="more", series=over_steps(along, rollout),
        shows="progress [m]",
        evidence=(*_leaving(aside, ego.xy, rollout.start, corridor), Event("progress", last, (0,), place, detail)),
        version=VERSION,
    )  # fmt: skip


def _leaving(aside: Tensor, xy: Tensor, start: int, corridor: float) -> tuple[Event, ...]:
    """The first step at which the ego is farther than `corridor` from the route: another turn was taken, say."""
    away = torch.nonzero(aside > corridor)[:, 0].tolist()
    if not away:
        return ()
    place = tuple(round(x, 3) for x in xy[away[0]].tolist())
    detail = {
        "corridor": corridor,
        "rule": f"farther than {corridor:g} m from the route there is no progress",
        "source": "own choice, two more lanes to either side, in place of nuPlan's road blocks",
        "kept_by": f"the ego at most {corridor:g} m beside the route",
    }
    return (Event("left_route", start + away[0], (0,), place, detail),)


def _judged(made: float, expected: float, least: float) -> dict[str, object]:
    """What the progress costs, by which rule, and what would have kept it."""
    rule = f"min(1, max(ego, {least:g} m) / max(expert, {least:g} m)), and 0 for more than {least:g} m backwards"
    lost = 1 - ratio(made, expected, least)
    found = {"lost": round(lost, 6), "rule": rule, "source": SOURCE}
    missing = max(expected, least) - made
    return found if lost <= 0 else {**found, "kept_by": f"{missing:.2f} m more along the route by this step"}


def ratio(ego: float, expert: float, least: float = 2.0) -> float:
    """Progress of the ego over the expert's, both [m], by nuPlan's rule."""
    return 0.0 if ego < -least else min(1.0, max(ego, least) / max(expert, least))


def place_on(xy: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest place of points (..., 2) on a line (N, 2): how far along it, and how far from it (...) [m]."""
    line = np.ascontiguousarray(line[:, :2].double().numpy())
    step = np.hypot(*np.diff(line, axis=0).T)
    points = np.ascontiguousarray(xy.reshape(-1, 2).double().numpy())
    index, share, distance = nearest_segment(SegmentGrid.of(line[:-1], line[1:]), points)
    along = np.where(index < 0, np.nan, (np.cumsum(step) - step)[index] + share * step[index])
    return torch.from_numpy(along).reshape(xy.shape[:-1]), torch.from_numpy(distance).reshape(xy.shape[:-1])


def follow(xy: Tensor, route: Tensor, reach: float = REACH, corridor: float = CORRIDOR) -> Tensor:
    """Progress (..., T) along a route (R, 2) since the first step of points (..., T, 2) [m].

    The first point is projected on the whole route, each further one within `reach` and its own step of the one before.
    A point farther than `corridor` from its projection keeps the progress of the last one that was nearer.
    """
    line = np.ascontiguousarray(route[:, :2].double().numpy())
    points = np.ascontiguousarray(xy.reshape(-1, *xy.shape[-2:]).double().numpy())
    made = np.array([_follow(one, line, reach, corridor) for one in points]).reshape(xy.shape[:-1])
    return torch.from_numpy(made).to(xy.dtype)


@numba.njit(cache=True, error_model="numpy")
def _follow(points, line, reach, corridor):
    """`follow` of one drive (T, 2); compiled, because each step begins where the one before ended."""
    made, n = np.empty(len(points)), len(line) - 1
    before, length = np.zeros(n + 1), np.empty(n)
    for k in range(n):
        length[k] = np.hypot(line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1])
        before[k + 1] = before[k] + length[k]
    place = first = counted = np.nan
    for t in range(len(points)):
        limit = reach
        if t:
            limit += np.hypot(points[t, 0] - points[t - 1, 0], points[t, 1] - points[t - 1, 1])
        nearest, chosen = np.inf, np.nan
        begin = 0
        if t and np.isfinite(place - limit):  # segments that end before the reach begins are out of it
            begin = min(max(np.searchsorted(before, place - limit) - 1, 0), n - 1)
        for k in range(begin, n):
            if t and before[k] - place > limit:
                break
            rx, ry = points[t, 0] - line[k, 0], points[t, 1] - line[k, 1]
            dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
            share = (rx * dx + ry * dy) / max(length[k], 1e-9) ** 2
            share = 0.0 if share < 0 else 1.0 if share > 1 else share
            s = before[k] + share * max(length[k], 1e-9)
            apart = np.hypot(rx - share * dx, ry - share * dy)
            if t and abs(s - place) > limit:
                apart = np.inf
            if k == begin or apart < nearest:
                nearest, chosen = apart, s
        place = chosen
        if t == 0:
            first = counted = place
        elif nearest <= corridor:
            counted = place
        made[t] = counted - first
    return made
