"""Scenario sources: one file per log format."""
