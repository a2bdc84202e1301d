"""The last steps of every load: damaged tracks are left out and told, what cannot be is refused by name."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.loading import Track, check, compose
from drivesim.types import Kind, Polylines, Vehicle

from .worlds import scenario, straight_road, track


def moving(id, x=0.0, y=0.0, speed=5.0, n=31, **changes):
    time = np.arange(n) * 0.1
    xyz = np.column_stack([x + speed * time, np.full(n, y), np.zeros(n)])
    made = Track.flat(id, Kind.CAR, np.array([4.5, 1.9, 1.6]), time, xyz, np.zeros(n))
    return replace(made, **changes)


def composed(*tracks, steps=31, **options):
    given = {
        "id": "a", "source": "test", "fingerprint": "0", "map": straight_road(), "vehicle": Vehicle(), "cameras": (),
        "licence": "none", "origin": np.zeros(3),
    }  # fmt: skip
    return compose(tracks=tracks, steps=steps, **{**given, **options})


def test_agents_route_and_names():
    s = composed(moving("ego"), moving("7", 20, 3.5))
    assert s.track_ids == ("ego", "7") and s.steps == 31 and s.start == 10
    assert torch.allclose(s.log.velocity[..., 0], torch.full((31, 2), 5.0), atol=1e-3)
    assert float(s.scene.briefing.route.diff(dim=0).norm(dim=-1).sum()) > 100


def test_logged_velocities_are_kept_and_missing_ones_smoothed():
    rng = np.random.default_rng(3)
    jitter = moving("ego").xyz + rng.normal(0, 0.02, (31, 3)) * [1, 1, 0]
    rough = composed(replace(moving("ego"), xyz=jitter))
    raw = np.diff(jitter[:, 0]) / 0.1
    assert np.abs(rough.log.velocity[:, 0, 0].numpy() - 5).std() < 0.4 * np.abs(raw - 5).std()
    told = composed(moving("ego", velocity=np.tile([4.2, 0.1], (31, 1))))
    assert torch.allclose(told.log.velocity[:, 0], torch.tensor([4.2, 0.1]))


@pytest.mark.parametrize(
    "damage, reason",
    [
        ({"xyz": np.full((31, 3), np.nan)}, "not a number"),
        ({"xyz": np.full((31, 3), 1e30)}, "out of this world"),
        ({"size": np.array([4.0, -1, 1])}, "size is 4 x -1 x 1 m"),
        ({"time": np.zeros(31)}, "do not increase"),
        ({"xyz": np.cumsum(np.full((31, 3), 40.0), 0)}, "jumps"),
        ({"xyz": np.cumsum(np.full((31, 3), 40.0), 0), "velocity": np.zeros((31, 2))}, "jumps"),
    ],
)
def test_a_damaged_track_does_not_sink_the_scene(damage, reason):
    s = composed(moving("ego"), moving("bad", **damage), moving("good", 30))
    assert s.track_ids == ("ego", "good")
    assert len(s.problems) == 1 and "track bad left out" in s.problems[0] and reason in s.problems[0]


def test_a_damaged_ego_does():
    with pytest.raises(InputError, match="ego"):
        composed(moving("ego", xyz=np.full((31, 3), np.nan)))
    with pytest.raises(InputError, match="the ego ego is not there at 2.0 s"):
        composed(moving("ego", n=20))
    with pytest.raises(NotDrivable, match="1.5 s long"):
        composed(moving("ego"), steps=15)
    assert composed(moving("ego"), steps=15, start=0).start == 0


def _broken():
    s = scenario(track((0, 0), speed=5))
    road = s.scene.map
    with_map = lambda **changes: replace(s, scene=replace(s.scene, map=road.replace(**changes)))  # noqa: E731
    nan = road.drivable.replace(points=road.drivable.points * torch.nan)
    yield "drivable hold a coordinate", with_map(drivable=nan)
    short = road.drivable.replace(offsets=torch.tensor([0, 9]))
    yield "drivable do not fit their points", with_map(drivable=short)
    links = road.lanes.replace(successors=torch.tensor([[0, 7]]))
    yield "successor is not among its 2 lanes", with_map(lanes=links)
    yield "a lane's width", with_map(lanes=road.lanes.replace(width=torch.tensor([3.5, 0])))
    yield (
        "fewer than two points",
        with_map(lanes=road.lanes.replace(center=Polylines.of([road.lanes.center.line(0), torch.zeros(1, 3)], dims=3))),
    )
    yield "4 names", replace(s, track_ids=("a", "b", "c", "d"))
    yield "faster", replace(s, log=s.log.replace(velocity=s.log.velocity * 1000))


@pytest.mark.parametrize("told, broken", list(_broken()), ids=lambda x: x if isinstance(x, str) else "")
def test_what_cannot_be_is_refused(told, broken):
    with pytest.raises(InputError, match=told):
        check(broken)


def test_what_can_be_passes():
    s = scenario(track((0, 0), speed=5), track((20, 0), valid=slice(3, 9)))
    assert check(s) is s
