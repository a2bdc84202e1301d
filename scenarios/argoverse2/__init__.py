"""Argoverse 2 (https://argoverse.github.io/user-guide), sensor logs and motion forecasting, read with pyarrow alone."""

from .source import Argoverse2

__all__ = ["Argoverse2"]
