"""Crash tests on logged drives, after NeuroNCAP: a stationary, an oncoming or a crossing road user in the ego's way."""

from .source import Ncap

__all__ = ["Ncap"]
