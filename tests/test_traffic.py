"""The fused step of many scenes: equal to its torch form, the same in any batch, within everybody's limits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from drivesim import traffic
from drivesim.config import source
from drivesim.dynamics.limits import limits_of
from drivesim.errors import InputError
from drivesim.traffic import dense
from drivesim.types import WALKERS, Kind, is_kind

from .worlds import move, scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared"
STATE = ("xy", "velocity", "yaw", "steering", "s")


def logs(*chosen: tuple[str, str, int]):
    return [pytest.param(*c, id=f"{c[0]}-{c[2]}") for c in chosen]


def loaded(name: str, folder: str, index: int):
    if name == "synthetic":
        return source(name).load(source(name).ids()[index])
    if not (SHARED / folder).exists():
        pytest.skip(f"shared/{folder} is not here")
    reader = source(name, SHARED / folder)
    return reader.load(reader.ids()[index])


def apart(a: Tensor, b: Tensor) -> float:
    assert torch.equal(a.isnan(), b.isnan())
    return float((a - b).abs().nan_to_num(0).max())


@pytest.fixture(scope="module")
def town():
    return loaded("synthetic", "", 0)


@pytest.mark.parametrize(
    "name, folder, index",
    logs(
        ("synthetic", "", 0), ("waymo", "data/waymo", 2), ("waymo", "data/waymo", 5), ("waymo", "data/waymo", 7),
        ("commonroad", "data/commonroad", 3),
    ),
)  # fmt: skip
def test_kernel_and_torch_form_are_equal(name, folder, index):
    """Over 80 steps of everybody's own driving: states within 1e-6, the same collisions and off-road flags."""
    world = traffic.World.of([loaded(name, folder, index)], agents=20)
    tables = dense.tables_of(world.scenarios, world.drivers, torch.float64)
    batch, now = world.start(), dense.start(tables)
    for _ in range(80):
        batch, now = traffic.step(batch), dense.step(tables, now)
        assert torch.equal(batch.valid, now.agents.valid)
        assert torch.equal(batch.collides, now.collides) and torch.equal(batch.off_road, now.off_road)
        there = batch.valid[..., None]
        assert float(((batch.xy - now.agents.xy) * there).abs().nan_to_num(0).max()) < 1e-6
        assert float(((batch.velocity - now.agents.velocity) * there).abs().nan_to_num(0).max()) < 1e-6
    assert bool(batch.now["decided"].any()) or bool(batch.done.all())


def test_kernel_and_torch_form_are_equal_under_random_actions(town):
    world = traffic.World.of([town], agents=16)
    tables = dense.tables_of(world.scenarios, world.drivers, torch.float64)
    batch, now = world.start(), dense.start(tables)
    rng = np.random.default_rng(3)
    for _ in range(60):
        actions = torch.from_numpy(rng.normal(0, (4.0, 0.4), (1, world.agents, 2)))
        actions[torch.from_numpy(rng.random((1, world.agents)) < 0.3)] = torch.nan
        batch, now = traffic.step(batch, actions), dense.step(tables, now, actions)
        assert torch.equal(batch.collides, now.collides) and torch.equal(batch.off_road, now.off_road)
        assert apart(batch.xy, now.agents.xy) < 1e-6
    assert bool(batch.off_road.any())  # nobody steers at random for six seconds and stays on the road


def test_a_batch_is_its_singles_in_any_order(town):
    other = loaded("synthetic", "", 1)
    world = traffic.World.of([town, other], agents=16)
    which = [0, 1, 1, 0, 1]
    batch, singles = world.start(which), [world.start([k]) for k in which]
    for _ in range(30):
        batch, singles = traffic.step(batch), [traffic.step(x) for x in singles]
    for row, single in enumerate(singles):
        assert batch.now[row].tobytes() == single.now[0].tobytes()


def test_threads_change_nothing(town):
    world = traffic.World.of([town], agents=16)
    one = two = world.start([0] * 6)
    for _ in range(20):
        one = traffic.step(one)
    traffic.set_threads(2)
    try:
        for _ in range(20):
            two = traffic.step(two)
    finally:
        traffic.set_threads(1)
    assert one.now.tobytes() == two.now.tobytes()


def test_a_step_leaves_its_batch_as_it_was(town):
    world = traffic.World.of([town], agents=16)
    batch = traffic.step(world.start())
    before = batch.now.tobytes(), batch.stood.tobytes(), batch.steps.tobytes()
    again = traffic.step(batch)
    assert (batch.now.tobytes(), batch.stood.tobytes(), batch.steps.tobytes()) == before
    assert again.now.tobytes() == traffic.step(batch).now.tobytes()


def small_world():
    steps = 81
    tracks = [
        track((-40, 3.5), speed=9, steps=steps),
        track((0, 0), speed=5, steps=steps),
        track((-30, 0), speed=12, steps=steps),
        track((30, 0.3), speed=0, steps=steps, kind=Kind.CONE),
        track((10, -6), yaw=1.57, speed=1.2, steps=steps, kind=Kind.PEDESTRIAN),
    ]
    return scenario(*tracks, map=straight_road(lanes=2, length=400.0))


@pytest.mark.parametrize("angle, shift", [(0.7, (0.0, 0.0)), (-2.5, (130.0, -60.0)), (0.0, (-300.0, 200.0))])
def test_the_world_may_be_turned_and_moved(angle, shift):
    here = small_world()
    batch = traffic.World.of([here]).start()
    moved = traffic.World.of([move(here, angle, shift)]).start()
    for _ in range(70):
        batch, moved = traffic.step(batch), traffic.step(moved)
    c, s = np.cos(angle), np.sin(angle)
    turn = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    back = batch.xy @ turn + torch.tensor(shift)
    assert apart(back, moved.xy) < 5e-3  # tables are in single precision
    assert torch.equal(batch.collides, moved.collides) and torch.equal(batch.off_road, moved.off_road)


@pytest.mark.parametrize("acceleration, steering", [(50.0, 0.0), (-50.0, 0.0), (3.0, 1.5), (50.0, -1.5)])
def test_nobody_exceeds_the_limits_of_its_kind(town, acceleration, steering):
    world = traffic.World.of([town], agents=24)
    batch = world.start()
    kind = world.scenarios[0].log.kind.amax(0)
    limits, on_foot = limits_of(kind), is_kind(kind, WALKERS)
    for _ in range(40):
        actions = torch.tensor([acceleration, steering]).expand(1, world.agents, 2)
        after = traffic.step(batch, actions)
        both = batch.valid & after.valid & torch.from_numpy(after.now["decided"])
        change = (after.speed - batch.speed) / 0.1
        turn = (after.steering - batch.steering).abs() / 0.1
        rolls, walks = both & ~on_foot, both & on_foot
        assert bool((change <= limits.acceleration + 1e-6)[rolls].all())
        assert bool((change >= -limits.braking - 1e-6)[rolls].all())
        pushed = (after.velocity - batch.velocity).norm(dim=-1) / 0.1
        assert bool((pushed <= limits.braking + 1e-6)[walks].all())
        grown = (after.velocity.norm(dim=-1) - batch.velocity.norm(dim=-1)) / 0.1
        assert bool((grown <= limits.acceleration + 1e-6)[walks].all())
        assert bool((turn <= limits.steering_rate + 1e-6)[both].all())
        batch = after


def test_where_nobody_decides_it_is_the_log():
    """Parked cars, walkers and whoever has no route follow the log exactly; so does the ego that nobody drives."""
    here = small_world()
    batch = traffic.World.of([here]).start()
    for k in range(here.start + 1, here.steps):
        batch = traffic.step(batch)
        assert torch.equal(batch.xy[0, [0, 3, 4]].float(), here.log.xy[k, [0, 3, 4]])
    assert bool(batch.done.all())
    assert traffic.step(batch).now.tobytes() == batch.now.tobytes()  # a finished scene stays as it is


def test_a_follower_brakes_and_two_in_one_place_collide():
    here = small_world()
    world = traffic.World.of([here])
    batch = world.start()
    actions = torch.full((1, world.agents, 2), torch.nan)
    for _ in range(80):
        batch = traffic.step(batch)
    assert not bool(batch.collides.any())  # 2 comes up behind 1, which stops for the cone
    batch = world.start()
    actions[0, 2] = torch.tensor([2.0, 0.0])  # and does not brake when told not to
    hit = torch.zeros(world.agents, dtype=torch.bool)
    for _ in range(80):
        batch = traffic.step(batch, actions)
        hit |= batch.collides[0]
    assert bool(hit[1]) and bool(hit[2])


def test_scenes_are_cut_to_the_agents_that_come_near(town):
    world = traffic.World.of([town], agents=5)
    assert world.agents == 5 and world.scenarios[0].track_ids[0] == town.track_ids[0]
    near = [town.track_ids.index(t) for t in world.scenarios[0].track_ids[1:]]
    distance = (town.log.xy - town.log.xy[:, :1]).norm(dim=-1)
    least = torch.where(town.log.valid, distance, torch.inf).amin(0)
    assert float(least[near].max()) <= float(np.sort(least.numpy())[4]) + 1e-6


@pytest.mark.parametrize("wrong", [[5], [-1], [[0]]])
def test_scenes_that_are_not_there_are_refused(town, wrong):
    with pytest.raises(InputError, match="which scenes"):
        traffic.World.of([town], agents=4).start(wrong)


def test_actions_of_the_wrong_shape_are_refused(town):
    world = traffic.World.of([town], agents=4)
    with pytest.raises(InputError, match=r"actions of shape .*\(1, 4, 2\) is expected"):
        traffic.step(world.start(), torch.zeros(1, 4))
    with pytest.raises(InputError, match="no scenario"):
        traffic.World.of([])
