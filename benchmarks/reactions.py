"""How often reactive traffic collides or leaves the road on real scenes, beside the log itself.

`python benchmarks/reactions.py --data ../shared/data [--behaviors idm mixed] [--planners expert idm] [--each 8]`

Counted are agents for whom the behaviour decides at some step. One that the log itself starts in contact (or off the
road) does not count for collisions (or the road). A collision is an overlap of boxes with anybody; off the road is a
vehicle with any corner outside the drivable area at some step (WOSAC), `centre` with the middle of its box.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

import drivesim
from drivesim.config import part, source
from drivesim.dynamics.contacts import overlaps, touching_at_start
from drivesim.errors import NotDrivable
from drivesim.geometry import box_corners
from drivesim.roadmap import RoadMap
from drivesim.types import VEHICLES, Agents, is_kind

FOLDERS = {
    "waymo": "waymo",
    "scenarionet": "scenarionet",
    "commonroad": "commonroad",
    "argoverse2": "argoverse2/sensor/val",
    "nuscenes": "nuscenes",
    "pandaset": "pandaset",
}


@dataclass
class Watched:
    """A behaviour that remembers for whom it decided."""

    inner: object
    decided: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.body = self.inner.body

    def begin(self, state, scenario, seed):
        return self.inner.begin(state, scenario, seed)

    def act(self, state, history, scene):
        action, state = self.inner.act(state, history, scene)
        self.decided.append(action.valid)
        return action, state


def first_steps(valid: torch.Tensor) -> torch.Tensor:
    """Mask (T, A): the first step at which each agent is there."""
    return valid & (valid.long().cumsum(0) == 1)


def judge(agents: Agents, log: Agents, road: RoadMap, decided: torch.Tensor, at_start: torch.Tensor, mapped: bool):
    """Counts over the agents of `decided` (T, A); `agents` and `log` (T, A) from the start of the drive on."""
    out, who = Counter(), decided.any(0)
    touch = torch.stack([overlaps(a) for a in agents])  # (T, A, A)
    logged = torch.stack([overlaps(a) for a in log])
    reacted = decided.long().cumsum(0) > 0
    touch &= reacted[:, :, None] | reacted[:, None]  # before both have left it, it is the log
    judged = who & ~at_start
    out["agents"] += int(who.sum())
    out["judged"] += int(judged.sum())
    out["contact at start"] += int((who & at_start).sum())
    out["collisions"] += int((touch.any(-1).any(0) & judged).sum())
    out["with the ego"] += int((touch[..., 0].any(0) & judged).sum())
    out["collisions of the log"] += int((logged.any(-1).any(0) & judged).sum())
    if not mapped:
        return out
    corner, centre = off_road(agents, road), off_road(agents, road, False)
    log_corner, log_centre = off_road(log, road), off_road(log, road, False)
    vehicles = who & is_kind(log.kind.amax(0), VEHICLES)
    for name, here, there in (("corner", corner, log_corner), ("centre", centre, log_centre)):
        fit = vehicles & ~(there & first_steps(log.valid)).any(0)
        out[f"fit {name}"] += int(fit.sum())
        here = here & decided  # on its log it is the log's own
        out[f"off {name}"] += int((here.any(0) & fit).sum())
        out[f"newly off {name}"] += int((here.any(0) & fit & ~there.any(0)).sum())
        out[f"log off {name}"] += int((there.any(0) & fit).sum())
    return out


def off_road(agents: Agents, road: RoadMap, corners: bool = True) -> torch.Tensor:
    """(T, A) whether any corner, else the centre, is outside the drivable area."""
    points = box_corners(agents.xy, agents.yaw, agents.size) if corners else agents.xy[..., None, :]
    return ~road.inside(points.nan_to_num(0)).all(-1) & agents.valid


def run(scenario, planner: str, behavior: str, seed: int) -> tuple[Counter, object, torch.Tensor]:
    watched = Watched(part("behavior", behavior))
    begun = time.process_time()
    rollout = drivesim.simulate(scenario, drivesim.planner(planner), behavior=watched, seed=seed)
    seconds = time.process_time() - begun
    n = len(rollout.agents.valid)
    map = scenario.scene.map
    agents, log = rollout.agents[scenario.start :], scenario.log[scenario.start : n]
    decided = torch.stack([torch.zeros_like(log.valid[0]), *watched.decided])
    counts = judge(agents, log, RoadMap.of(map), decided, touching_at_start(scenario).any(0), len(map.drivable) > 0)
    counts["steps"] = n - 1 - scenario.start
    counts["seconds"] = seconds
    return counts, rollout, decided.any(0)


def scenes(data: Path, each: int):
    for name, folder in FOLDERS.items():
        if not (data / folder).exists():
            continue
        origin = source(name, data / folder)
        ids = origin.ids()
        for id in ids[:: max(len(ids) // each, 1)][:each]:
            try:
                yield name, origin.load(id)
            except NotDrivable:
                continue


def share(counts: Counter, what: str, of: str) -> str:
    return f"{counts[what]:4d}/{counts[of]:<5d}{100 * counts[what] / max(counts[of], 1):5.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--behaviors", nargs="+", default=["idm", "mixed"])
    parser.add_argument("--planners", nargs="+", default=["expert", "idm"])
    parser.add_argument("--each", type=int, default=8, help="scenes of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="a line per scene")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    total: dict[tuple[str, str], Counter] = {}
    for name, scenario in scenes(arguments.data, arguments.each):
        for behavior in arguments.behaviors:
            for planner in arguments.planners:
                counts, *_ = run(scenario, planner, behavior, arguments.seed)
                counts["scenes"] = 1
                total.setdefault((behavior, planner), Counter()).update(counts)
                if arguments.verbose:
                    print(
                        f"{name:11} {scenario.id[:40]:40} {behavior:6} {planner:6} "
                        f"agents {counts['judged']:3d} hit {counts['collisions']:2d} (log "
                        f"{counts['collisions of the log']:2d}) off {counts['off corner']:2d} "
                        f"(log {counts['log off corner']:2d}) {counts['seconds']:5.1f} s",
                        flush=True,
                    )
    names = ("collisions", "of the log", "off the road", "of the log", "not in the log", "middle off")
    print(" " * 21 + "".join(f"{name:>19}" for name in names))
    for (behavior, planner), c in total.items():
        print(
            f"{behavior:8} {planner:7} {c['scenes']:4d}  {share(c, 'collisions', 'judged')}  "
            f"{share(c, 'collisions of the log', 'judged')}  {share(c, 'off corner', 'fit corner')}  "
            f"{share(c, 'log off corner', 'fit corner')}  {share(c, 'newly off corner', 'fit corner')}  "
            f"{share(c, 'off centre', 'fit centre')}   "
            f"(with the ego {c['with the ego']}, started in contact {c['contact at start']}, "
            f"{1e3 * c['seconds'] / max(c['steps'], 1):.1f} ms/step)"
        )


if __name__ == "__main__":
    main()
