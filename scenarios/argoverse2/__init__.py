"""Argoverse 2 sensor logs (https://argoverse.github.io/user-guide/datasets/sensor.html), read with pyarrow alone."""

from .source import Argoverse2

__all__ = ["Argoverse2"]
