"""How often reactive traffic collides or leaves the road on real scenes, beside the log itself.

`python benchmarks/reactions.py --data ../shared/data [--behaviors idm mixed] [--planners expert idm] [--scenes 50]`

Counted are agents for whom the behaviour decides at some step. One that the log itself starts in contact (or off the
road) does not count for collisions (or the road). A collision is an overlap of boxes with anybody; off the road is a
vehicle with any corner outside the drivable area at some step (WOSAC), `centre` with the middle of its box.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from causes import Collision, begun, collisions, first_hits, touches

import drivesim
from drivesim.config import part, source
from drivesim.dynamics.contacts import overlaps, touching_at_start
from drivesim.errors import NotDrivable
from drivesim.geometry import box_corners
from drivesim.roadmap import RoadMap
from drivesim.types import VEHICLES, Agents, Rollout, Scenario, is_kind

FOLDERS = {
    "waymo": "waymo",
    "scenarionet": "scenarionet",
    "commonroad": "commonroad",
    "argoverse2": "argoverse2",
    "nuscenes": "nuscenes",
    "pandaset": "pandaset",
}

SHORTEST = 4.0
"""Of a drive that says something [s]."""


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


def judge(scenario: Scenario, rollout: Rollout, decided: torch.Tensor) -> tuple[Counter, list[Collision]]:
    """Counts over the agents of `decided` (T, A), whose steps begin at the start of the drive, and their collisions."""
    begin, map, struck = scenario.start, scenario.scene.map, first_hits(rollout)
    agents, log = rollout.agents[begin:], scenario.log[begin : len(rollout.agents.valid)]
    at_start = touching_at_start(scenario)
    out, who = Counter(), decided.any(0)
    touch = touches(agents, decided)
    logged = torch.stack([overlaps(a) for a in log])
    judged = who & ~at_start.any(0)
    new = begun(agents, touch, logged) & ~at_start
    out["agents"] += int(who.sum())
    out["judged"] += int(judged.sum())
    out["contact at start"] += int((who & at_start.any(0)).sum())
    out["collisions"] += int((touch.any(-1).any(0) & judged).sum())
    out["new collisions"] += int((new.any(-1).any(0) & judged).sum())
    out["with the ego"] += int((touch[..., 0].any(0) & judged).sum())
    out["collisions of the log"] += int((logged.any(-1).any(0) & judged).sum())
    causes = collisions(agents, log, decided, struck, touch, new, logged, judged)
    if len(map.drivable):
        off_the_road(out, agents, log, RoadMap.of(map), decided, who)
    return out, causes


def off_the_road(out: Counter, agents: Agents, log: Agents, road: RoadMap, decided: torch.Tensor, who: torch.Tensor):
    """Count into `out` the vehicles of `who` (A,) that leave the drivable area while they decide."""
    vehicles = who & is_kind(log.kind.amax(0), VEHICLES)
    for name, corners in (("corner", True), ("centre", False)):
        here, there = off_road(agents, road, corners), off_road(log, road, corners)
        fit = vehicles & ~(there & first_steps(log.valid)).any(0)
        out[f"fit {name}"] += int(fit.sum())
        here = here & decided  # on its log it is the log's own
        out[f"off {name}"] += int((here.any(0) & fit).sum())
        out[f"newly off {name}"] += int((here.any(0) & fit & ~there.any(0)).sum())
        out[f"log off {name}"] += int((there.any(0) & fit).sum())


def off_road(agents: Agents, road: RoadMap, corners: bool = True) -> torch.Tensor:
    """(T, A) whether any corner, else the centre, is outside the drivable area."""
    points = box_corners(agents.xy, agents.yaw, agents.size) if corners else agents.xy[..., None, :]
    return ~road.inside(points.nan_to_num(0)).all(-1) & agents.valid


def run(scenario: Scenario, planner: str, behavior: str, seed: int):
    """Counts, collisions, the rollout, and who decided (T, A)."""
    watched = Watched(part("behavior", behavior))
    begun = time.process_time()
    rollout = drivesim.simulate(scenario, drivesim.planner(planner), behavior=watched, seed=seed)
    seconds = time.process_time() - begun
    decided = torch.stack([torch.zeros_like(rollout.agents.valid[0]), *watched.decided])
    counts, causes = judge(scenario, rollout, decided)
    counts["steps"] = len(watched.decided)
    counts["seconds"] = seconds
    return counts, causes, rollout, decided


def scenes(data: Path, count: int, seed: int, only: Sequence[str] = ()) -> Iterator[tuple[str, Scenario]]:
    """`count` scenes that can be driven for at least SHORTEST seconds: of each format in turn one by lot, until those
    of all formats are used up; a scene that several formats have counts once. `only` names them instead."""
    origins = {name: source(name, data / folder) for name, folder in FOLDERS.items() if (data / folder).exists()}
    rng, seen = np.random.default_rng(seed), set()
    left = {name: [str(id) for id in rng.permutation(origin.ids())] for name, origin in origins.items()}
    while count > 0 and any(left.values()):
        for name in [name for name in left if left[name]]:
            id = left[name].pop()
            if id.split("_")[-1] in seen or (only and not any(id.startswith(x) for x in only)):
                continue
            try:
                scenario = origins[name].load(id)
            except NotDrivable:
                continue
            if count > 0 and (scenario.steps - 1 - scenario.start) * scenario.scene.briefing.dt >= SHORTEST:
                seen.add(id.split("_")[-1] if "scene" in id else id)
                count -= 1
                yield name, scenario


def share(counts: Counter, what: str, of: str) -> str:
    return f"{counts[what]:4d}/{counts[of]:<5d}{100 * counts[what] / max(counts[of], 1):5.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--behaviors", nargs="+", default=["idm", "mixed"])
    parser.add_argument("--planners", nargs="+", default=["expert", "idm"])
    parser.add_argument("--scenes", type=int, default=50)
    parser.add_argument("--only", nargs="+", default=[], help="ids of scenes, or how they begin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="a line per scene")
    parser.add_argument("--causes", action="store_true", help="a line per collision, and a table of what they were")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    total: dict[tuple[str, str], Counter] = {}
    causes: dict[tuple[str, str], list[Collision]] = {}
    for name, scenario in scenes(arguments.data, arguments.scenes, arguments.seed, arguments.only):
        for behavior in arguments.behaviors:
            for planner in arguments.planners:
                counts, found, *_ = run(scenario, planner, behavior, arguments.seed)
                counts["scenes"] = 1
                total.setdefault((behavior, planner), Counter()).update(counts)
                causes.setdefault((behavior, planner), []).extend(found)
                if arguments.verbose:
                    tell_scene(name, scenario, behavior, planner, counts)
                if arguments.causes:
                    tell_collisions(scenario, found)
    if arguments.causes:
        table_of_causes(causes)
    table(total)


def tell_scene(name: str, scenario: Scenario, behavior: str, planner: str, counts: Counter) -> None:
    print(
        f"{name:11} {scenario.id[:40]:40} {behavior:6} {planner:6} agents {counts['judged']:3d} "
        f"hit {counts['collisions']:2d} (log {counts['collisions of the log']:2d}) "
        f"off {counts['off corner']:2d} (log {counts['log off corner']:2d}) {counts['seconds']:5.1f} s",
        flush=True,
    )


def tell_collisions(scenario: Scenario, found: list[Collision]) -> None:
    for c in found:
        a, b = scenario.track_ids[c.agent], scenario.track_ids[c.other]
        logged = ", begun by the log" if not c.new else ", at another time in the log" if c.logged else ""
        print(f"    {c.agent} ({a}) with {c.other} ({b}) at step {scenario.start + c.step}: {c.cause}{logged}")


def table_of_causes(causes: dict[tuple[str, str], list[Collision]]) -> None:
    """Agents by what their first contact was: all, those which the log began, others whose boxes overlap at some step
    of the log."""
    for (behavior, planner), found in causes.items():
        print(f"\n{behavior}/{planner}: first contacts{'':27}agents  begun by the log  else in the log")
        for cause, n in Counter(c.cause for c in found).most_common():
            same = [c for c in found if c.cause == cause]
            old, noisy = sum(not c.new for c in same), sum(c.new and c.logged for c in same)
            print(f"    {cause:48}{n:6d}{old:18d}{noisy:17d}")
    print()


def table(total: dict[tuple[str, str], Counter]) -> None:
    names = (
        "collisions",
        "begun in the drive",
        "of the log",
        "off the road",
        "of the log",
        "not in the log",
        "middle off",
    )
    print(" " * 21 + "".join(f"{name:>19}" for name in names))
    for (behavior, planner), c in total.items():
        print(
            f"{behavior:8} {planner:7} {c['scenes']:4d}  {share(c, 'collisions', 'judged')}  "
            f"{share(c, 'new collisions', 'judged')}  {share(c, 'collisions of the log', 'judged')}  "
            f"{share(c, 'off corner', 'fit corner')}  {share(c, 'log off corner', 'fit corner')}  "
            f"{share(c, 'newly off corner', 'fit corner')}  {share(c, 'off centre', 'fit centre')}   "
            f"(with the ego {c['with the ego']}, started in contact {c['contact at start']}, "
            f"{1e3 * c['seconds'] / max(c['steps'], 1):.1f} ms/step)"
        )


if __name__ == "__main__":
    main()
