"""One drive as a gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding

from drivesim.errors import InputError
from drivesim.traffic.observation import size

from .actions import Pedals
from .drives import ENDS, Drives
from .picture import Picture
from .rewards import Weights
from .scenes import Scenes, index_of, scenes


class ClosedLoop(gymnasium.Env):
    """The ego of a logged drive among traffic that reacts, for a policy to train in.

    Observation: Box of `traffic.observation.TABLES`, normalised. Action: acceleration and steering, see `Pedals`.
    Reward: see `Weights`. Terminated by what of `ends` happens first, truncated at the end of the log. Every `reset`
    draws a scene; `options={"scenario": id}` chooses it.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self, scenarios: Scenes = "synthetic", root: str | Path | None = None,
        ids: Sequence[str] | str | None = None, limit: int | None = None, source: Mapping[str, Any] | None = None,
        agents: int | None = 32, seed: int = 0, weights: Weights | None = None, pedals: Pedals | None = None,
        action: str = "continuous", ends: Sequence[str] = ENDS, render_mode: str | None = None,
    ) -> None:  # fmt: skip
        """scenarios to limit: see `scenes.scenes`. agents: how many each scene is cut to, the ego among them, None for
        all. seed: of the others' manners and ways, and of the scenes drawn until a `reset` has its own. Raises
        InputError for what does not fit."""
        check_render(render_mode)
        self.render_mode, self.pedals, self.action = render_mode, pedals or Pedals(), action
        self.action_space = self.pedals.space(action)
        self.observation_space = observation_space()
        found = scenes(scenarios, root, ids, limit, source)
        self.drives = Drives(found, 1, agents, seed, weights or Weights(), ends)
        self.np_random, self._np_random_seed = seeding.np_random(seed)
        self._picture: Picture | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        chosen = chosen_scene(self.drives.world.scenarios, options, self.np_random)
        self.drives.begin(np.array([0]), np.array([chosen]))
        self._picture = self._drawn(fresh=True)
        return self.drives.observe()[0], self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        out = self.drives.advance(self.pedals.commands(np.asarray(action)[None], self.action))
        self._picture = self._drawn()
        ended = bool(out.terminated[0]), bool(out.truncated[0])
        return self.drives.observe()[0], float(out.reward[0]), *ended, self._info()

    def render(self) -> np.ndarray | None:
        """The drive from above, (480, 480, 3) uint8."""
        return self._picture.draw(int(self.drives.batch.steps[0])) if self._picture else None

    def _drawn(self, fresh: bool = False) -> Picture | None:
        return drawn(self.drives, 0, None if fresh else self._picture) if self.render_mode else None

    def _info(self) -> dict[str, Any]:
        info = self.drives.info()
        parts = {name: float(value[0]) for name, value in info.pop("reward_terms").items()}
        return {**{name: _plain(value[0]) for name, value in info.items()}, "reward_terms": parts}


def observation_space() -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (size(),), np.float32)


def check_render(mode: str | None) -> None:
    if mode not in (None, *ClosedLoop.metadata["render_modes"]):
        raise InputError(f"render_mode={mode}: rgb_array or none is expected")


def drawn(drives: Drives, row: int, picture: Picture | None) -> Picture:
    """The picture of a drive, told how it is now; a new one if there is none yet."""
    picture = picture or Picture(drives.world.scenarios[int(drives.batch.which[row])])
    picture.show(int(drives.batch.steps[row]), drives.batch.now[row])
    return picture


def chosen_scene(scenarios: Sequence, options: Mapping[str, Any] | None, random: np.random.Generator) -> int:
    """The scene that a reset's options name, else one drawn."""
    unknown = [key for key in options or {} if key != "scenario"]
    if unknown:
        raise InputError(f"options[{unknown[0]!r}]: no such option of reset; scenario is the only one")
    drawn = int(random.integers(len(scenarios)))
    named = (options or {}).get("scenario")
    return drawn if named is None else index_of(scenarios, named)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
