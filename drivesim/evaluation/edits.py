"""Does an edit change what it should and nothing else, and does a place look the same when the ego comes back?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..protocols import WorldGenerator
from ..types import Agents, Camera, Frames, Scenario, State
from .figures import ROUNDING, Figure
from .judge import Under
from .pictures import LEAST, psnr, squared_error
from .regions import covered
from .views import View, beside

VISIBLE = 2  # [8-bit steps] a smaller change is no change
AROUND = 1.0  # [m] how far beyond an agent's box its shadow and its reflections may reach
MOVED = 2.0  # [m] how far an agent is put back along its heading


def revisit(told: Under, generator: WorldGenerator, world, views: Sequence[View], there: State) -> Iterator[Figure]:
    """Renders a place, another one, and the first again: PSNR of what stands still, and the share that is the same."""
    cameras, here = [view.camera for view in views], views[0].state
    first, world = generator.render(here, world, cameras)
    _, world = generator.render(there, world, cameras)
    again, _ = generator.render(here, world, cameras)
    for view in views:
        one, other = _rgb(first, view.camera), _rgb(again, view.camera)
        still = ~view.moving
        error = squared_error(one, other)[still]
        yield told.at(view)("revisit psnr", psnr(max(float(error.mean()), ROUNDING)), int(still.sum()), "static")
        yield told.at(view)("revisit same", float((error == 0).mean()), int(still.sum()), "static")


def edits(told: Under, scenario: Scenario, generator: WorldGenerator, world, state: State, cameras: Sequence[Camera]):
    """Takes away and puts back by MOVED the agent that most pixels show.

    Yields which share of the changed pixels lies inside its box with AROUND, before or after, and which share of the
    pixels that showed it and no longer do changed.
    """
    views = beside(scenario, state, cameras)
    before = generator.render(state, world, cameras)[0]
    who = _largest(before)
    if who is None:
        return
    for name, edited in (("removed", _without(state, who)), ("moved", _put_back(state, who))):
        after = generator.render(edited, world, cameras)[0]
        changed = inside = gone = replaced = 0
        for view in views:
            change = np.abs(_rgb(before, view.camera).astype(int) - _rgb(after, view.camera)).max(-1) > VISIBLE
            own = _mask(view, state.agents, who) | _mask(view, edited.agents, who)
            left = (before[view.name].instance == who) & (after[view.name].instance != who)
            changed, inside = changed + int(change.sum()), inside + int((change & own).sum())
            gone, replaced = gone + int(left.sum()), replaced + int((change & left.numpy()).sum())
        if changed >= LEAST:
            yield told(f"{name}: changed inside its box", inside / changed, changed)
        if gone >= LEAST:
            yield told(f"{name}: changed where it was", replaced / gone, gone)


def _largest(frames: Frames) -> int | None:
    """The agent that most pixels of all frames show; None if nobody is to be seen."""
    shown = np.concatenate([frame.instance.numpy().ravel() for frame in frames.values()])
    count = np.bincount(shown[shown >= 0], minlength=1)
    return int(count.argmax()) if count.max() >= LEAST else None


def _mask(view: View, agents: Agents, who: int) -> np.ndarray:
    one = torch.zeros_like(agents.valid)
    one[who] = True
    return covered(view.camera, view.world_from_camera, agents, one, AROUND)


def _without(state: State, who: int) -> State:
    agents = state.agents.map(torch.clone)
    agents.valid[who] = False
    return state.replace(agents=agents)


def _put_back(state: State, who: int) -> State:
    agents = state.agents.map(torch.clone)
    yaw = agents.yaw[who]
    agents.xy[who] -= MOVED * torch.stack([torch.cos(yaw), torch.sin(yaw)])
    return state.replace(agents=agents)


def _rgb(frames: Frames, camera: Camera) -> np.ndarray:
    return frames[camera.name].rgb.permute(1, 2, 0).numpy()
