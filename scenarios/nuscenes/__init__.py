"""nuScenes (https://www.nuscenes.org/nuscenes), read through nuscenes-devkit, which is imported when needed."""

from .source import NuScenes

__all__ = ["NuScenes"]
