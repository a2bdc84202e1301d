"""ASAM OpenSCENARIO XML 1.0 to 1.3 on OpenDRIVE roads (https://www.asam.net/standards/detail/openscenario-xml/)."""

from .source import OpenScenario

__all__ = ["OpenScenario"]
