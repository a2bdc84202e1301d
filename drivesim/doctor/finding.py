"""What an examination came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    told: str
    needed: bool = True  # whether a run fails without it
