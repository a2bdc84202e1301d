"""Where the world frame lies in the frame of a nuScenes map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.geometry import rotation_from_quaternion, transform


@dataclass(frozen=True, eq=False)
class World:
    """Origin, clock, and the height over time that the planar localisation of nuScenes leaves out."""

    origin: Tensor  # (3,) float64, map frame
    zero: int  # time stamp of step 0 [us]
    time: np.ndarray  # (n,) [s]
    rise: np.ndarray  # (n,) height to add [m]

    def seconds(self, stamp: Any) -> Any:
        return (stamp - self.zero) * 1e-6

    def place(self, map_from_x: Tensor, seconds: np.ndarray) -> Tensor:
        """world_from_x (n, 4, 4) of poses in the map frame at times (n,)."""
        out = map_from_x.clone()
        out[:, :3, 3] -= self.origin
        out[:, 2, 3] += torch.from_numpy(np.interp(seconds, self.time, self.rise))
        return out


def poses_of(rows: Sequence[dict[str, Any]], table: str) -> Tensor:
    """(n, 4, 4) float64 of rows with a `translation` and a `rotation` quaternion w x y z."""
    wxyz = torch.tensor([row["rotation"] for row in rows], dtype=torch.float64)
    xyz = torch.tensor([row["translation"] for row in rows], dtype=torch.float64)
    good = torch.isfinite(xyz).all(-1) & ((wxyz.norm(dim=-1) - 1).abs() < 0.01)
    if not good.all():
        row = rows[int((~good).nonzero()[0])]
        where = f"{table}.json: row {row['token']}"
        raise InputError(f"{where} holds no pose: {row['translation']}, {row['rotation']}")
    return transform(rotation_from_quaternion(wxyz), xyz)
