"""DYNAMICS: who else decides, and how bodies move."""
