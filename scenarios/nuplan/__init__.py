"""nuPlan v1.1: sqlite logs and GeoPackage maps (https://github.com/motional/nuplan-devkit, docs/nuplan_schema.md)."""

from .source import NuPlan

__all__ = ["NuPlan"]
