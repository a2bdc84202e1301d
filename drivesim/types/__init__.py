"""The nouns. SI units and radians; `...` is any batch prefix; A agents (the ego is agent 0), T steps, L lanes.

World frame: x east, y north, z up, origin at the ego's first pose (float32 resolves 0.25 m at UTM northings).
Ego frame: x forward, y left, z up, origin at the rear axle on the ground.
Absent is NaN plus `valid = False`, never a sentinel.
"""

from .agents import CYCLES, DT, OBJECTS, VEHICLES, WALKERS, Agents, Kind, Vehicle, is_kind
from .drive import (
    Action,
    Body,
    Cause,
    EgoHistory,
    Event,
    Observation,
    Plan,
    Privileged,
    Rollout,
    Score,
    State,
    Trajectory,
)
from .map import Ground, LaneKind, Lanes, Light, Map, Marking, Material, Polylines, Prop, Scenery, Signals
from .scenario import Briefing, Command, Scenario, Scene
from .sensors import Camera, Frame, Frames, Provenance, ReadImage, RecordedImage, RecordedSweep, Semantic, SensorLog

__all__ = [
    "Action",
    "Agents",
    "Body",
    "Briefing",
    "CYCLES",
    "Camera",
    "Cause",
    "Command",
    "DT",
    "EgoHistory",
    "Event",
    "Frame",
    "Frames",
    "Ground",
    "Kind",
    "LaneKind",
    "Lanes",
    "Light",
    "Map",
    "Marking",
    "Material",
    "OBJECTS",
    "Observation",
    "Plan",
    "Polylines",
    "Privileged",
    "Prop",
    "Provenance",
    "ReadImage",
    "RecordedImage",
    "RecordedSweep",
    "Rollout",
    "Scenario",
    "Scene",
    "Scenery",
    "Score",
    "Semantic",
    "SensorLog",
    "Signals",
    "State",
    "Trajectory",
    "VEHICLES",
    "Vehicle",
    "WALKERS",
    "is_kind",
]
