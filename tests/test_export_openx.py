"""OpenSCENARIO with OpenDRIVE, written and read back."""

import builtins
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch

import drivesim
from drivesim.errors import InputError
from drivesim.export.openx import write
from drivesim.geometry import wrap_angle
from drivesim.types import Kind
from scenarios.openscenario import OpenScenario
from scenarios.openscenario.opendrive import read_opendrive
from tests.worlds import scenario, track

pytest.importorskip("scenariogeneration", reason="the extra openx is not installed")

SHARED = Path(__file__).parents[2] / "shared"
AV2 = SHARED / "data" / "argoverse2"


def small():
    """An ego, a car that leaves and comes back, a pedestrian, a cone, and a truck that comes late."""
    cut = track((20, 0), speed=5)
    cut.valid[10:20] = False
    return scenario(
        track((0, 0), speed=5, acceleration=1), cut, track((10, 5), yaw=-1.5, speed=1, kind=Kind.PEDESTRIAN),
        track((15, -2), kind=Kind.CONE), track((60, 3.5), yaw=3.0, speed=8, kind=Kind.TRUCK, valid=slice(7, 33)),
    )  # fmt: skip


def check_roads(path, source):
    """Centre lines within 5 cm, and the same graph."""
    found, lanes = read_opendrive(path), source.scene.map.lanes
    assert not found.problems
    names = [int(road) for road, _, _ in found.lane_index]
    assert sorted(names) == list(range(len(lanes)))
    assert {(names[a], names[b]) for a, b in found.successors} == {tuple(x) for x in lanes.successors.tolist()}
    back = found.map(np.zeros(3)).lanes
    for i, name in enumerate(names):
        mine, its = lanes.center.line(name).double().numpy(), found.path(i)
        assert shapely.hausdorff_distance(*(shapely.LineString(x[:, :2]) for x in (mine, its)), 0.2) < 0.05
        assert np.abs(its[[0, -1]] - mine[[0, -1]]).max() < 0.05
        assert float(back.width[i]) == pytest.approx(float(lanes.width[name]), abs=1e-3)
        assert bool(back.intersection[i]) == bool(lanes.intersection[name])
        assert back.center.kind[i] == lanes.center.kind[name]


def check_tracks(path, source):
    """Everybody where the log has them at every step, and absent when it does."""
    back = OpenScenario(str(path)).load(path.stem)
    assert abs(back.steps - source.steps) <= 1
    steps, shift = min(back.steps, source.steps), back.origin.float()
    names = ["Ego", *(str(x).replace(" ", "_").replace(":", "_") for x in source.track_ids[1:])]
    assert sorted(back.track_ids) == sorted(names)
    for i, name in enumerate(back.track_ids):
        mine, its = source.log[:steps, names.index(name)], back.log[:steps, i]
        assert its.valid.tolist() == mine.valid.tolist(), name
        there = mine.valid
        assert float((its.xy + shift[:2] - mine.xy)[there].norm(dim=-1).max()) < 0.05
        assert float(wrap_angle(its.yaw - mine.yaw)[there].abs().max()) < np.deg2rad(1)
        assert torch.allclose(its.size[there], mine.size[there], atol=1e-3)


def test_a_small_world_comes_back(tmp_path):
    source = small()
    roads, story = write(source, tmp_path / "out")
    check_roads(roads, source)
    check_tracks(story, source)
    text = story.read_text()
    assert source.licence in text and source.fingerprint in text and 'filepath="test.xodr"' in text


def test_the_same_scenario_gives_the_same_files(tmp_path):
    one, two = ([p.read_bytes() for p in write(small(), tmp_path / name)] for name in "ab")
    assert one == two


def test_a_town_comes_back(tmp_path):
    source = drivesim.load("synthetic")
    roads, story = write(source, tmp_path)
    check_roads(roads, source)


@pytest.mark.skipif(not AV2.is_dir(), reason="shared/data/argoverse2 is not there")
def test_a_real_log_comes_back(tmp_path):
    source = drivesim.load("argoverse2", str(AV2))
    roads, story = write(source, tmp_path)
    check_roads(roads, source)
    check_tracks(story, source)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    find = builtins.__import__

    def without(name, *rest):
        if name.startswith("scenariogeneration"):
            raise ImportError(name)
        return find(name, *rest)

    for name in [x for x in sys.modules if x.startswith("scenariogeneration")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install drivesim\[openx\]"):
        write(small(), tmp_path)
