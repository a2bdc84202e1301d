"""A Score from a measure with a threshold: the share of steps on its safe side, with evidence where it is not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from drivesim.types import Agents, Event, Kind, Rollout, Scenario, Score

from ..drive import not_judged, over_steps, track_name
from ..time_to_collision import spans

VERSION = "1"
Explain = Callable[[int], dict]
"""Numbers and rule behind a step, for the evidence."""


def share_kept(
    name: str,
    rollout: Rollout,
    scenario: Scenario,
    agents: Agents,
    who: Tensor,
    values: Tensor,
    beyond: Tensor,
    explain: Explain,
    shows: str,
    rule: str,
    rising: bool = False,
    series: Tensor | None = None,
    of_all: bool = False,
) -> Score:
    """1 less the share of the steps with somebody (`who` >= 0), or `of_all` steps, at which the measure is `beyond`.

    `values` (n,) are worst where lowest, with `rising` where highest. `rule`: in words, with its source. Evidence: each
    stretch beyond the threshold at its worst step; without one, the worst step of all as `closest`. Infinite values are
    left out of the series.
    """
    there = who >= 0
    if not bool(there.any()):
        return not_judged(name, "nobody is ever in the ego's way", VERSION)
    beyond = beyond & there
    badness = (values if rising else -values).nan_to_num(-torch.inf).masked_fill(~there, -torch.inf)
    stretches = spans(beyond)
    steps = len(there) if of_all else int(there.sum())

    def event(kind: str, first: int, last: int) -> Event:
        worst = first + int(badness[first : last + 1].argmax())
        other = int(who[worst])
        detail = {
            **explain(worst),
            "lost": number(int(beyond[first : last + 1].sum()) / steps, 6),
            "rule": rule,
            "track": track_name(scenario.track_ids, other),
            "kind": Kind(int(agents.kind[worst, other])).name.lower(),
            "first_step": rollout.start + first,
            "last_step": rollout.start + last,
        }
        place = tuple(round(x, 3) for x in agents.xy[worst, other].tolist())
        return Event(kind, rollout.start + worst, (0, other), place, detail)

    events = [event(name, *span) for span in stretches]
    if not stretches and bool(torch.isfinite(values[there]).any()):
        events = [event("closest", 0, len(badness) - 1)]
    shown = torch.where(there & torch.isfinite(values), values, torch.nan) if series is None else series
    value = 1 - float(beyond.sum()) / steps
    return Score(
        name, value, better="more", series=over_steps(shown, rollout), shows=shows, evidence=tuple(events),
        version=VERSION,
    )  # fmt: skip


def number(x: Tensor | float, digits: int = 3) -> float:
    return round(float(x), digits)
