"""ScenarioNet and MetaDrive scenario files (https://scenarionet.readthedocs.io), read without unpickling objects."""

from .source import ScenarioNet

__all__ = ["ScenarioNet"]
