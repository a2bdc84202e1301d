"""PandaSet: six cameras, two lidars, cuboids with track ids; no map."""

from .source import PandaSet

__all__ = ["PandaSet"]
