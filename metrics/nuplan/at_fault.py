"""No ego at-fault collisions, by number and kind of what was hit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.types import (
    CYCLES,
    OBJECTS,
    WALKERS,
    Agents,
    Event,
    Kind,
    Map,
    Rollout,
    Scenario,
    Score,
    Vehicle,
    is_kind,
)

from ..collision import RULES, ways_out
from ..contacts import (
    STOPPED,
    Contact,
    at_fault,
    at_steps,
    contact_types,
    first_contacts,
    impact_speed,
    nearest,
)
from ..drive import judged, judged_ego, kept, not_judged, only, over_steps, track_name, unfit
from ..lanes import Places

VERSION = "1"
ALLOWED = {"vru": 0, "vehicle": 0, "object": 1}
"""Collisions of each group that do not yet bring the score to 0 (nuPlan's max_violation_threshold_*)."""
SOURCE = "nuPlan e924167, no_ego_at_fault_collisions"
LATERAL = "a lateral contact is the ego's fault unless its corners are in one lane or in lanes that connect"


@dataclass(frozen=True)
class Collisions:
    """Each track's first contact with the ego; where `step` is -1 there is none and the rest means nothing."""

    step: Tensor  # (A,) int64
    kind: Tensor  # (A,) int64, a Contact
    fault: Tensor  # (A,) bool
    ego: Agents  # (A,) at the contact
    track: Agents  # (A,)

    @staticmethod
    def of(agents: Agents, map: Map, vehicle: Vehicle, places: Places, stopped: float = STOPPED) -> Collisions:
        """Of agents (n, A). A lateral contact is at fault unless the corners are in common or connected lanes."""
        return _collisions(agents, map, vehicle, places, stopped)


@kept
def _collisions(agents: Agents, map: Map, vehicle: Vehicle, places: Places, stopped: float) -> Collisions:
    step = first_contacts(agents)
    ego, track = at_steps(agents, step.clamp_min(0))
    kind = contact_types(ego, track, vehicle, stopped)
    apart = ~places.together & (len(map.lanes) > 0)
    fault = at_fault(kind, apart[step.clamp_min(0)], torch.zeros_like(step, dtype=torch.bool)) & (step >= 0)
    return Collisions(step, kind, fault, ego, track)


def no_ego_at_fault_collisions(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    stopped_speed: float = STOPPED,
    ignore_start: bool = False,
) -> Score:
    """Product over {vulnerable road users, vehicles, objects} of max(0, 1 - n / (allowed + 1)) (nuPlan e924167).

    n counts the tracks with which the ego collided by its own fault; `ALLOWED` is 0, 0 and 1, so one object costs half.
    The fault is nuPlan's: front, or with a stopped track, or lateral while the ego's corners are not in common or
    connected lanes. Contacts at the first step count, as in nuPlan; `ignore_start` leaves those tracks out. Differs: on
    a map without lanes no lateral contact is at fault. Series: distance from the ego's box to the nearest other [m].
    """
    rollout = only(rollouts, "no_ego_at_fault_collisions")
    if reason := unfit(rollout):
        return not_judged("no_ego_at_fault_collisions", reason, VERSION)
    agents, map = judged(rollout), scenario.scene.map
    met = Collisions.of(
        agents, map, rollout.vehicle, Places.of(judged_ego(rollout), map, rollout.vehicle), stopped_speed
    )
    guilty = met.fault & (met.step >= int(ignore_start))
    who = [i for i in met.step.argsort(stable=True).tolist() if met.step[i] >= 0]
    gap = nearest(agents)
    return Score(
        "no_ego_at_fault_collisions", collision_score(met.track.kind[guilty]),
        better="more", series=over_steps(gap.masked_fill(torch.isinf(gap), torch.nan), rollout),
        shows="distance to the nearest box [m]",
        evidence=tuple(_event(met, i, bool(guilty[i]), rollout, scenario) for i in who), version=VERSION,
    )  # fmt: skip


def collision_score(kinds: Tensor) -> float:
    """The score of at-fault collisions with tracks of these kinds (N,)."""
    value = 1.0
    for name, count in counts(kinds).items():
        value *= max(0.0, 1 - count / (ALLOWED[name] + 1))
    return value


def counts(kinds: Tensor) -> dict[str, int]:
    """How many of the kinds (N,) are vulnerable road users, vehicles and objects. Animals count as the first."""
    vru, things = is_kind(kinds, WALKERS + CYCLES), is_kind(kinds, OBJECTS)
    return {"vru": int(vru.sum()), "vehicle": int((~vru & ~things).sum()), "object": int(things.sum())}


def _event(met: Collisions, i: int, guilty: bool, rollout: Rollout, scenario: Scenario) -> Event:
    step, kind = int(met.step[i]), Contact(int(met.kind[i]))
    speed = float(impact_speed(met.ego[i], met.track[i]))
    detail = {
        "type": kind.name.lower(),
        "at_fault": guilty,
        "track": track_name(scenario.track_ids, i),
        "kind": Kind(int(met.track.kind[i])).name.lower(),
        "impact_speed": round(speed, 3),  # [m/s]
        "delta_v": round(speed / 2, 3),  # [m/s], between equal masses
        "source": SOURCE,
        **_judged(met, i, guilty, kind),
    }
    middle = (met.ego.xy[i] + met.track.xy[i]) / 2
    place = (round(float(middle[0]), 3), round(float(middle[1]), 3))
    return Event("at_fault_collision" if guilty else "collision", rollout.start + step, (0, i), place, detail)


def _judged(met: Collisions, i: int, guilty: bool, kind: Contact) -> dict[str, object]:
    """What the contact with agent `i` costs, by which rule, and what would have kept the points."""
    rule = LATERAL if kind == Contact.LATERAL else RULES[kind].format(stopped=STOPPED)
    if not guilty:
        free = kind in (Contact.STOPPED_EGO, Contact.REAR, Contact.LATERAL)
        return {"lost": 0.0, "rule": rule if free else "a contact at the start is nobody's fault"}
    group = next(name for name, n in counts(met.track.kind[i : i + 1]).items() if n)
    apart = " or ".join(f"{way:.2f} m further {side}" for side, way in ways_out(met.ego[i], met.track[i]).items())
    lanes = ", or all four corners in one lane or in lanes that connect" if kind == Contact.LATERAL else ""
    return {
        "lost": 1 / (ALLOWED[group] + 1),
        "rule": f"{rule}; each with one of the {group}s costs 1/{ALLOWED[group] + 1}",
        "kept_by": f"the ego {apart} at this step{lanes}",
    }
