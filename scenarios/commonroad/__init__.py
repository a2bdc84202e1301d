"""CommonRoad scenarios (https://commonroad.in.tum.de), XML of the versions 2018b and 2020a."""

from .source import CommonRoad

__all__ = ["CommonRoad"]
