"""Driving styles told by logged tracks."""
