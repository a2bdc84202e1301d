"""The logged drives of people score clean, on the town and on two real formats: a false alarm would be a bug here."""

from pathlib import Path

import pytest

import drivesim

from .worlds import rollout

SHARED = Path(__file__).parents[2] / "shared" / "data"
ROOTS = {
    "argoverse2": SHARED / "argoverse2" / "sensor" / "val",
    "nuscenes": SHARED / "nuscenes",
}


@pytest.mark.parametrize("source", ["synthetic", *ROOTS])
def test_the_logged_drive_is_clean(source):
    root = ROOTS.get(source)
    if root and not root.is_dir():
        pytest.skip(f"no {source} logs under {SHARED.parent.name}/{SHARED.name}")
    world = drivesim.load(source, root and str(root))
    scores = {score.name: score for score in drivesim.score(rollout(world), world)}
    for name in ("collision", "drivable_area", "progress"):
        assert scores[name].value == 1.0, scores[name].evidence
    assert all(score.valid for score in scores.values())
    assert scores["progress"].evidence[0].detail["expert"] > 5  # metres: the log drives on along the route
