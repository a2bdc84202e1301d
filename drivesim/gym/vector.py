"""Many drives as one gymnasium environment, advanced together by the traffic kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from drivesim.errors import InputError

from .actions import Pedals
from .drives import ENDS, Drives
from .environment import ClosedLoop, check_render, chosen_scene, drawn, observation_space
from .picture import Picture
from .rewards import Weights
from .scenes import Scenes, scenes


class ClosedLoopVector(VectorEnv):
    """`num_envs` drives; row i with seed + i is what a ClosedLoop with that seed is.

    autoreset_mode as gymnasium's own: "NextStep" (the step after an end resets, and its action is ignored), "SameStep"
    (the last observation and info are then `final_obs` and `final_info`) or "Disabled" (`reset` with a `reset_mask`).
    """

    def __init__(
        self, num_envs: int = 1, scenarios: Scenes = "synthetic", root: str | Path | None = None,
        ids: Sequence[str] | str | None = None, limit: int | None = None, source: Mapping[str, Any] | None = None,
        agents: int | None = 32, seed: int = 0, weights: Weights | None = None, pedals: Pedals | None = None,
        action: str = "continuous", ends: Sequence[str] = ENDS, render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:  # fmt: skip
        """Raises InputError for what does not fit; for the options see ClosedLoop."""
        if num_envs < 1:
            raise InputError(f"num_envs={num_envs}: 1 or more is expected")
        check_render(render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.pedals, self.action, self.mode = pedals or Pedals(), action, _mode(autoreset_mode)
        self.metadata = {**ClosedLoop.metadata, "autoreset_mode": self.mode}
        self.single_action_space, self.single_observation_space = self.pedals.space(action), observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        found = scenes(scenarios, root, ids, limit, source)
        self.drives = Drives(found, num_envs, agents, seed, weights or Weights(), ends)
        self._randoms = [seeding.np_random(seed + i)[0] for i in range(num_envs)]
        self._ended = np.zeros(num_envs, bool)
        self._pictures: list[Picture | None] = [None] * num_envs

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        """All drives from the start, or those of `options["reset_mask"]` (B,) bool; seed i + seed where it is one."""
        options = dict(options or {})
        rows = np.flatnonzero(self._mask(options.pop("reset_mask", None)))
        seeds = [None if seed is None else seed + i for i in range(self.num_envs)] if _one(seed) else list(seed)
        if len(seeds) != self.num_envs:
            raise InputError(f"{len(seeds)} seeds for {self.num_envs} environments: one each is expected")
        for i in rows:
            if seeds[i] is not None:
                self._randoms[i] = seeding.np_random(seeds[i])[0]
        self._begin(rows, options)
        told = np.isin(np.arange(self.num_envs), rows)
        return self.drives.observe(), _masked(self.drives.info(), told)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        commands = self.pedals.commands(actions, self.action)
        if len(commands) != self.num_envs:
            raise InputError(f"{len(commands)} actions for {self.num_envs} environments: one each is expected")
        if self.mode is AutoresetMode.DISABLED and self._ended.any():
            raise InputError(f"environment {int(self._ended.argmax())} has ended: reset it with a reset_mask")
        out, again = self.drives.advance(commands), self._ended & (self.mode is AutoresetMode.NEXT_STEP)
        reward, terminated, truncated = (np.where(again, 0, x).astype(x.dtype) for x in (
            out.reward, out.terminated, out.truncated))  # fmt: skip
        ended, infos = terminated | truncated, {}
        if self.mode is AutoresetMode.SAME_STEP and ended.any():
            infos, again = self._final(ended), ended
        for i in np.flatnonzero(~again):
            self._draw(i)
        if again.any():
            self._begin(np.flatnonzero(again), {})
        self._ended = ended if self.mode is not AutoresetMode.SAME_STEP else np.zeros_like(ended)
        infos |= _masked(self.drives.info(), np.ones(self.num_envs, bool))
        return self.drives.observe(), reward, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The drives from above, each (480, 480, 3) uint8."""
        steps = self.drives.batch.steps.tolist()
        return tuple(p.draw(k) for p, k in zip(self._pictures, steps, strict=True) if p) if self.render_mode else None

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:
        """Of each environment."""
        return tuple(self._randoms)

    def _begin(self, rows: np.ndarray, options: Mapping[str, Any]) -> None:
        scenarios = self.drives.world.scenarios
        which = [chosen_scene(scenarios, options, self._randoms[i]) for i in rows]
        self.drives.begin(rows, np.array(which, np.int64))
        self._ended[rows] = False
        for i in rows:
            self._pictures[i] = None
            self._draw(i)

    def _draw(self, i: int) -> None:
        if self.render_mode:
            self._pictures[i] = drawn(self.drives, i, self._pictures[i])

    def _final(self, ended: np.ndarray) -> dict[str, Any]:
        """The last observations and infos of drives that have ended (B,) bool."""
        last, observations = np.full(self.num_envs, None, object), self.drives.observe()
        for i in np.flatnonzero(ended):
            last[i] = observations[i]
        info = _masked(self.drives.info(), ended)
        return {"final_obs": last, "_final_obs": ended, "final_info": info, "_final_info": ended.copy()}

    def _mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise InputError(f"options['reset_mask']: an array of {self.num_envs} bools, one of them True, is expected")
        return mask


def _one(seed: Any) -> bool:
    return seed is None or isinstance(seed, int | np.integer)


def _mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = ", ".join(m.value for m in AutoresetMode)
        raise InputError(f"autoreset_mode={mode}: one of {known} is expected") from None


def _masked(info: Mapping[str, Any], told: np.ndarray) -> dict[str, Any]:
    """Infos as gymnasium's vectors give them: each beside a mask of the drives that it tells of, empty elsewhere."""
    out: dict[str, Any] = {}
    for name, value in info.items():
        out[name] = _masked(value, told) if isinstance(value, Mapping) else _where(told, value)
        out[f"_{name}"] = told.copy()
    return out


def _where(told: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.where(told, value, None if value.dtype == object else np.zeros((), value.dtype))
