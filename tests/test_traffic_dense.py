"""The torch form of traffic: the kernel's twin, independent of batch, device and where the world lies."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import drivesim
from drivesim import traffic
from drivesim.errors import InputError
from drivesim.traffic import dense
from drivesim.traffic.following import IDM
from drivesim.traffic.population import Population
from drivesim.types import Kind

from .worlds import move, scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared" / "data"
REAL = {
    "waymo": SHARED / "waymo" / "gpudrive_json" / "tfrecord-00001-of-01000_307.json.gz",
    "argoverse2": SHARED / "argoverse2" / "sensor" / "val",
    "commonroad": SHARED / "commonroad" / "USA_US101-8_1_T-1.xml.gz",
}


@cache
def log_of(name):
    if name == "synthetic":
        return drivesim.load("synthetic", id="town-0001")
    if not REAL[name].exists():
        pytest.skip(f"{REAL[name].name} is not among the shared data")
    return drivesim.load(name, str(REAL[name]))


def pair(*scenarios, agents=None, variation=0.1, dtype=torch.float64):
    world = traffic.World.of(scenarios, seed=3, agents=agents, population=Population.clones(IDM(), variation))
    return world, dense.tables_of(world.scenarios, world.drivers, dtype)


def same(batch, now, tolerance):
    """Whether a kernel's batch and a torch form's scenes are the same: flags exactly, numbers to `tolerance`."""
    assert torch.equal(batch.valid, now.agents.valid)
    assert torch.equal(batch.step, now.step)
    assert torch.equal(batch.collides, now.collides)
    assert torch.equal(batch.off_road, now.off_road)
    mine = {
        "x": now.agents.xy[..., 0], "y": now.agents.xy[..., 1], "yaw": now.agents.yaw, "s": now.progress.s,
        "vx": now.agents.velocity[..., 0], "vy": now.agents.velocity[..., 1], "steering": now.body.steering,
        "acceleration": now.body.acceleration, "headway": now.progress.headway, "settled": now.progress.settled,
        "decided": now.decided, "length": now.agents.size[..., 0], "width": now.agents.size[..., 1],
    }  # fmt: skip
    for name, value in mine.items():
        ours, theirs = value[now.agents.valid].numpy(), batch.now[name][now.agents.valid.numpy()]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(now.progress.stood.numpy(), batch.stood, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["synthetic", *REAL])
def test_equals_the_kernel(name):
    world, tables = pair(log_of(name), agents=16)
    batch, now = world.start(), dense.start(tables)
    random, steps, decided = torch.Generator().manual_seed(0), 80, 0
    for k in range(steps):
        actions = None
        if k >= 40:  # at first everybody as he likes, then some are driven wildly
            actions = torch.randn((*now.decided.shape, 2), generator=random, dtype=torch.float64)
            actions = actions * torch.tensor([3.0, 0.3])
            actions[torch.rand(now.decided.shape, generator=random) < 0.8] = torch.nan
        batch = traffic.step(batch, actions)
        with torch.no_grad():
            now = dense.step(tables, now, actions, world.driver)
        same(batch, now, 1e-6)
        decided += int(now.decided.sum())
    assert decided > 40  # somebody drove


def test_scenes_do_not_see_each_other():
    road = scenario(track((0, 0), speed=8), track((20, 0), speed=3), track((-30, 3.5), speed=9))
    town = log_of("synthetic")
    world, both = pair(town, road, agents=12)
    _, alone = pair(road, agents=12)
    now, one, n = dense.start(both), dense.start(alone), road.log.valid.shape[1]
    for _ in range(20):
        now, one = dense.step(both, now), dense.step(alone, one)
    np.testing.assert_array_equal(now.agents.xy[1, :n].numpy(), one.agents.xy[0].numpy())
    np.testing.assert_array_equal(now.progress.s[1, :n].numpy(), one.progress.s[0].numpy())
    assert not bool(now.agents.valid[1, n:].any())  # padding never appears


def test_a_follower_by_hand():
    world, tables = pair(scenario(track((80, 0)), track((0, 0), speed=8), track((20, 0), speed=5)), variation=0.0)
    now, driver = dense.start(tables), IDM()
    everybody = torch.ones_like(now.decided)
    command, after = dense.decide(tables, now, everybody, driver)
    gap = 20 - 4.6  # from bumper to bumper
    headway = (gap - driver.gap) / 8  # left by the log: less than the 1.5 s that it would like
    limit = float(tables.drivers.limit[0, 1, round(float(after.s[0, 1]))])
    value = driver.accelerate(
        *(torch.tensor(x, dtype=torch.float64) for x in (8.0, limit, gap, 5.0, min(headway, 1.5)))
    )
    assert float(command[0, 1, 0]) == pytest.approx(float(value), abs=1e-5)
    assert float(command[0, 1, 1]) == pytest.approx(0.0, abs=1e-6)
    assert bool(command[0, 0].isnan().all())  # the ego has no driver
    assert bool(after.settled[0, 1]) and not bool(after.settled[0, 0])


def test_a_walker_is_waited_for():
    crossing = track((30, -6), yaw=torch.pi / 2, speed=1.5, kind=Kind.PEDESTRIAN)
    world, tables = pair(scenario(track((120, 3.5)), track((0, 0), speed=8), crossing), variation=0.0)
    free, _ = pair(scenario(track((120, 3.5)), track((0, 0), speed=8)), variation=0.0)
    now = dense.start(tables)
    for _ in range(30):
        now = dense.step(tables, now)
    batch = free.start()
    for _ in range(30):
        batch = traffic.step(batch)
    assert float(now.agents.speed[0, 1]) < float(batch.speed[0, 1]) - 1.0


def test_a_step_writes_into_nothing():
    _, tables = pair(log_of("synthetic"), agents=8)
    now = dense.step(tables, dense.start(tables))
    before, kept = now.map(torch.clone), tables.map(torch.clone)
    dense.step(tables, now, torch.zeros(1, 8, 2, dtype=torch.float64))

    def flat(x, out):
        x.map(lambda t: out.append(t) or t)
        return out

    for a, b in zip([*flat(now, []), *flat(tables, [])], [*flat(before, []), *flat(kept, [])], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_turned_and_shifted():
    road = scenario(track((0, 0), speed=8), track((20, 0), speed=3), track((-30, 3.5), speed=9), map=straight_road())
    _, here = pair(road)
    _, there = pair(move(road, 0.7, (40.0, -25.0)))
    a, b = dense.start(here), dense.start(there)
    for _ in range(30):
        a, b = dense.step(here, a), dense.step(there, b)
    torch.testing.assert_close(a.agents.speed, b.agents.speed, rtol=0, atol=1e-3)
    torch.testing.assert_close(a.progress.s, b.progress.s, rtol=0, atol=1e-2)
    assert torch.equal(a.collides, b.collides)


def test_over_is_over():
    _, tables = pair(scenario(track((0, 0), steps=4), track((30, 0), steps=4)))
    now = dense.start(tables)
    for _ in range(6):
        now = dense.step(tables, now)
    assert now.step.tolist() == [3]


def test_wrong_shape_is_said():
    _, tables = pair(scenario(track((0, 0)), track((30, 0))))
    with pytest.raises(InputError, match=r"actions of shape \(1, 3, 2\)"):
        dense.step(tables, dense.start(tables), torch.zeros(1, 3, 2))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="this machine has no CUDA"))])  # fmt: skip
def test_single_precision_on_any_device(device):
    town = log_of("synthetic")
    world, tables = pair(town, agents=12, dtype=torch.float32)
    tables = tables.to(device)
    batch, now = world.start(), dense.start(tables)
    for _ in range(20):
        batch, now = traffic.step(batch), dense.step(tables, now)
    assert now.agents.xy.dtype == torch.float32 and now.agents.xy.device.type == device
    np.testing.assert_allclose(now.agents.xy.cpu().numpy(), batch.xy.numpy(), atol=1e-2)
