"""Realism of simulated traffic: the features and the meta metric of Waymo's sim agents challenge."""

from .challenge import BINS, WEIGHTS
from .meta import evaluated, realism

__all__ = ["BINS", "WEIGHTS", "evaluated", "realism"]
