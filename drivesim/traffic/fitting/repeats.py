"""The same drive in several scenes: logs are cut into scenes that overlap, and a driver must not count twice."""

from __future__ import annotations

from collections import Counter

import numpy as np

from .episodes import Track

WINDOW = 20
"""Steps that are compared at once."""

FINE = 0.002
"""To which ways per step are rounded [m]: ten times what moving the origin changes in float32. Windows whose ways lie
on a line within this tell nothing: many speed up alike."""

ENOUGH = 3
"""Windows in common that make two tracks the same drive: single ones may be chance."""


class Repeats:
    """Tracks seen so far, by what does not depend on the scene they were cut into: size and ways per step."""

    def __init__(self) -> None:
        self._owners: dict[tuple, tuple[str, int]] = {}  # of each window: scene and number of the track
        self._count = 0

    def known(self, track: Track, scene: str) -> bool:
        """Whether a track shares a stretch with one of another scene asked for before; if not, it is kept."""
        marks = list(_marks(track))
        owners = Counter(self._owners[mark] for mark in marks if mark in self._owners)
        if any(count >= ENOUGH and own != scene for (own, _), count in owners.items()):
            return True
        for mark in marks:
            self._owners.setdefault(mark, (scene, self._count))
        self._count += 1
        return False


def _marks(track: Track) -> list[tuple]:
    if len(track.ways) < WINDOW:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(track.ways, WINDOW)
    basis = np.linalg.qr(np.stack([np.ones(WINDOW), np.arange(WINDOW)], 1))[0]
    off = windows - windows @ basis @ basis.T
    box = tuple(np.round(np.asarray(track.size) * 10).astype(int).tolist())
    return [(*box, *row) for row in np.round(windows[off.std(1) > FINE] / FINE).astype(int).tolist()]
