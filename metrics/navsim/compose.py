"""A Score of judged plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from drivesim.proposals.score import mean_of_products
from drivesim.types import Event, Score

from .evidence import Judged, why


def composed(
    name: str, frames: Sequence[Judged], formula: Callable[[Mapping[str, float]], float], multipliers: Sequence[str],
    weights: Mapping[str, float], steps: int | None, version: str, notes: Mapping[str, object],
) -> Score:  # fmt: skip
    """The mean over frames of the product in each, with an event for each part and what it lost below it."""
    scores = [float(formula(frame.parts)) for frame in frames]
    series = None
    if steps is not None:
        series = torch.full((steps,), torch.nan)
        series[[frame.frame.step for frame in frames]] = torch.tensor(scores)
    first = frames[0]
    at = lambda kind, detail: first.event(next(iter(first.parts)), kind, 0, detail)  # noqa: E731
    said = {key: value for key, value in notes.items() if value or isinstance(value, bool)}
    detail = {"frames": len(frames), **said, "source": first.source}
    events = [Event("composition", first.frame.step, (0,), at("", {}).xy, detail)]
    total = sum(weight for part, weight in weights.items() if not np.isnan(first.parts.get(part, np.nan)))
    for part in first.parts:
        values = [frame.parts[part] for frame in frames if not np.isnan(frame.parts[part])]
        if values:
            role = _role(part, float(np.mean(values)), multipliers, weights, total)
            events.append(Event(part, first.frame.step, (0,), events[0].xy, role))
    events += [event for frame in frames for event in why(frame)]
    return Score(
        name, mean_of_products([frame.parts for frame in frames], formula), better="more", series=series,
        shows="score of the plan made then",
        evidence=tuple(events), version=version,
    )  # fmt: skip


def _role(
    part: str, value: float, multipliers: Sequence[str], weights: Mapping[str, float], total: float
) -> dict[str, float]:
    """How a part counts, and what it alone takes from a full score."""
    if part in multipliers:
        return {"factor": round(value, 6), "lost": round(1 - value, 6)}
    weight = weights[part]
    return {"value": round(value, 6), "weight": weight, "lost": round(weight * (1 - value) / total, 6)}
