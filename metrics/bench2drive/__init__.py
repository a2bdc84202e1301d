"""Bench2Drive's scores (Bench2Drive 087f74f, on CARLA's leaderboard 2): compositions, and three metrics."""

from .composition import ABILITIES, PENALTIES, ability, driving_score, efficiency, mean_driving_score, success
from .drive import bench2drive
from .smoothness import is_smooth, smooth_share, smoothness
from .speed import speed_efficiency

__all__ = [
    "ABILITIES", "PENALTIES", "ability", "bench2drive", "driving_score", "efficiency", "is_smooth",
    "mean_driving_score", "smooth_share", "smoothness", "speed_efficiency", "success",
]  # fmt: skip
