"""MEMORY: what has happened in the rollout, and what the sensors of its log saw."""
