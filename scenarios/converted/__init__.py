"""Scenarios that `drivesim convert` wrote: our own file, documented in `drivesim.scenario_file`."""

from .source import Converted

__all__ = ["Converted"]
