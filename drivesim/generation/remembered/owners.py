"""Where the owners of surfels are now, and who of the agents is remembered at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...memory.discs import Discs, Placed
from ...memory.remembered import STANDING, Remembered
from ...types import Agents, Scenario

SAME = (0.3, 3.0)
"""An agent that is less than this [m], [deg] beside its place in the log is there."""

LIKE = 0.1
"""An agent whose box differs by a larger share from the one in the log is somebody else."""


@dataclass(frozen=True, eq=False)
class Owners:
    """The surfels of a memory as runs: the standing world, the agents, their mirrored other halves."""

    discs: Discs
    semantic: np.ndarray  # (N,) uint8 of each disc
    owner: np.ndarray  # (R,) int32 of each run
    mirrored: np.ndarray  # (R,) bool
    first: np.ndarray  # (R,) int64
    last: np.ndarray  # (R,) int64, excluded
    size: np.ndarray  # (A, 3) of the log's agents [m]; NaN for who was never there
    mover: np.ndarray  # (A,) bool: who is not at one place through the log

    @staticmethod
    def of(memory: Remembered, scenario: Scenario) -> Owners:
        s = memory.surfels
        change = np.flatnonzero((np.diff(s.owner) != 0) | (np.diff(s.mirrored.astype(np.int8)) != 0)) + 1
        ends = np.concatenate([[0], change, [len(s.owner)]]).astype(np.int64)
        first, last = (ends[:-1], ends[1:]) if len(s.owner) else (ends[:0], ends[:0])
        valid = scenario.log.valid.numpy()
        size = np.where(valid[..., None], scenario.log.size.double().numpy(), np.nan)
        place = memory.world_from_box[:, :, :3, 3]
        with np.errstate(invalid="ignore"):
            way = np.fmax.reduce(place, 0) - np.fmin.reduce(place, 0)
            mover = (way.max(-1) > 0.5) & np.isfinite(way).all(-1)
        return Owners(
            Discs.of(s.xyz, s.normal, s.radius), s.semantic, s.owner[first], s.mirrored[first], first, last,
            np.fmax.reduce(size, 0), mover,
        )  # fmt: skip

    def known(self, agents: Agents) -> np.ndarray:
        """(A,) bool: agents of a state that are there and are the ones whose surfels are remembered."""
        count = len(agents.valid)
        there = agents.valid.numpy() & np.isfinite(agents.world_from_box.numpy()).all((1, 2))
        known = np.zeros(count, bool)
        n = min(count, len(self.size))
        size = agents.size.double().numpy()[:n]
        with np.errstate(invalid="ignore"):
            known[:n] = there[:n] & (np.abs(size - self.size[:n]) <= LIKE * self.size[:n] + 0.05).all(-1)
        known[0] = False
        owners = self.owner[self.owner >= 0]
        return known & np.isin(np.arange(count), owners)

    def placed(self, boxes: np.ndarray, known: np.ndarray) -> tuple[Placed, np.ndarray]:
        """The runs where boxes (A, 4, 4) put them, of the standing world and the known agents (A,); which they are."""
        use = (self.owner == STANDING) | np.append(known, False)[self.owner]
        runs = np.flatnonzero(use)
        poses = np.concatenate([boxes, np.eye(4)[None]])[self.owner[runs]]  # STANDING is -1: the last
        return Placed(self.first[runs], self.last[runs], np.ascontiguousarray(poses)), runs

    def there(self, boxes: np.ndarray, memory: Remembered, time: float) -> np.ndarray:
        """(A,) bool: agents of a state with boxes (A, 4, 4) that stand where they stood all through the log."""
        own = _own(memory, time)
        n = min(len(own), len(boxes))
        out = np.zeros(len(boxes), bool)
        with np.errstate(invalid="ignore"):
            apart = np.linalg.norm(boxes[:n, :3, 3] - own[:n, :3, 3], axis=1)
            along = (boxes[:n, :3, 0] * own[:n, :3, 0]).sum(1)
            out[:n] = (apart < SAME[0]) & (along > np.cos(np.radians(SAME[1]))) & ~self.mover[:n]
        return out

    def left(self, there: np.ndarray, memory: Remembered, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Who of the log stood still all through it and is not there (A,) any more, (n,), and its box (n, 4, 4)."""
        own = _own(memory, time)
        gone = ~self.mover & np.isfinite(own).all((1, 2)) & np.isin(np.arange(len(own)), self.owner)
        n = min(len(own), len(there))
        gone[:n] &= ~there[:n]
        gone[0] = False
        return np.flatnonzero(gone), own[gone]


def _own(memory: Remembered, time: float) -> np.ndarray:
    return memory.world_from_box[min(max(round(time / memory.dt), 0), len(memory.world_from_box) - 1)]
