"""MEMORY: what has happened in the rollout."""
