"""Score of the post-encroachment time."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from drivesim.types import Event, Kind, Rollout, Scenario, Score

from ..drive import not_judged, only, over_steps, track_name, unfit
from .conflict import Conflicts, conflicts
from .exceeding import VERSION, number
from .following import situation
from .scores import positive
from .time import encroachment_time


def post_encroachment_time(rollouts: Sequence[Rollout], scenario: Scenario, bound: float = 1.5) -> Score:
    """Share of the road users whose paths crossed the ego's with a post-encroachment time of at least `bound` [s].

    PET (Allen et al. 1978) over conflict areas of the boxes as driven (`conflict.conflicts`); 1.5 s is where Peesapati
    et al. (2018) begin to call it critical. Where both were in the area at once PET is negative here (the literature
    leaves it undefined), and counts as below. Not valid where no paths cross.
    Series: PET [s] at the step at which the second enters. Evidence: each crossing below the bound, else the closest.
    """
    name = "post_encroachment_time"
    rollout = only(rollouts, name)
    positive(name, bound=bound)
    if reason := unfit(rollout):
        return not_judged(name, reason, VERSION)
    met = situation(rollout, scenario)
    found = conflicts(met.agents, met.agents.valid, rollout.dt)
    if not len(found.who):
        return not_judged(name, "no road user's path crosses the ego's", VERSION)
    times = found.post_encroachment_time
    second = torch.where(found.ego_first, found.other_enters, found.ego_enters)
    step = (second / rollout.dt).round().long().clamp(0, len(met.agents.yaw) - 1)
    series = torch.full((len(met.agents.yaw),), torch.inf, dtype=torch.float64).scatter_reduce(0, step, times, "amin")
    order = times.argsort(stable=True).tolist()
    told = [k for k in order if times[k] < bound] or order[:1]
    events = tuple(_event(found, k, int(step[k]), bound, rollout, scenario) for k in told)
    return Score(
        name, float((times >= bound).double().mean()), evidence=events, version=VERSION,
        better="more", series=over_steps(series.masked_fill(torch.isinf(series), torch.nan), rollout),
        shows="post-encroachment time [s]",
    )  # fmt: skip


def _event(found: Conflicts, k: int, step: int, bound: float, rollout: Rollout, scenario: Scenario) -> Event:
    who, time = int(found.who[k]), float(found.post_encroachment_time[k])
    kind = Kind(int(rollout.agents.kind[rollout.start + step, who])).name.lower()
    first, missing = bool(found.ego_first[k]), max(bound - time, 0)
    detail = {
        "value": number(time), "lost": number((time < bound) / len(found.who), 6),
        "rule": f"PET of {bound} s or more (Allen et al. 1978; Peesapati et al. 2018)",
        "bound": bound, "unit": "s", "first": "ego" if first else "other",
        "ego_occupies": number(encroachment_time(found.ego_enters[k], found.ego_leaves[k])),
        "other_occupies": number(encroachment_time(found.other_enters[k], found.other_leaves[k])),
        "ego_enters": number(found.ego_enters[k]), "ego_leaves": number(found.ego_leaves[k]),  # [s] since the start
        "other_enters": number(found.other_enters[k]), "other_leaves": number(found.other_leaves[k]),
        "kept_by": f"{'leaving' if first else 'entering'} {missing:.2f} s {'earlier' if first else 'later'}",
        "track": track_name(scenario.track_ids, who), "kind": kind,
    }  # fmt: skip
    name = "post_encroachment_time" if time < bound else "closest"
    place = tuple(number(x) for x in found.xy[k])
    return Event(name, rollout.start + step, (0, who), place, detail)
