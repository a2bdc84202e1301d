"""Scenes cut to so many agents."""

from __future__ import annotations

from dataclasses import replace

import torch

from drivesim.types import Scenario


def crowd(scenario: Scenario, count: int) -> Scenario:
    """The scenario with the ego and the `count` - 1 agents whose logged ways come nearest to the ego's."""
    log = scenario.log
    if log.valid.shape[1] <= count:
        return scenario
    distance = (log.xy - log.xy[:, :1]).norm(dim=-1)
    nearest = torch.where(log.valid & log.valid[:, :1], distance, torch.inf).amin(0)
    nearest[0] = -1.0
    keep = nearest.argsort(stable=True)[:count].sort().values
    return replace(scenario, log=log[:, keep], track_ids=tuple(scenario.track_ids[i] for i in keep.tolist()))
