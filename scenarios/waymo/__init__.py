"""Waymo Open Motion (waymo.com/open/data/motion): Scenario protos, tf.Examples, json of GPUDrive and Nocturne."""

from .source import Waymo

__all__ = ["Waymo"]
