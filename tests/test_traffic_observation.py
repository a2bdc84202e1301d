"""The vector observation: by hand, kernel against torch, and wherever the world lies."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.config import source
from drivesim.traffic import World, step
from drivesim.traffic.observation import TABLES, column, dense, layout, most, observe, place, size
from drivesim.types import Kind, Light, Signals, StopKind, Stops

from .roots import ROOTS
from .worlds import move, scenario, straight_road, track


def world_of(*tracks, **options):
    return World.of([scenario(*tracks, **options)], seed=0)


def seen(world, agent=0, **options):
    """What an agent observes at the start, in units: table -> rows (R, C) of numpy."""
    row = observe(world.start([0]), normalised=False, **options)[0, agent].numpy()
    out = {}
    for table in TABLES:
        first = layout.starts()[table.name]
        rows = row[first : first + table.rows * len(table.columns)].reshape(table.rows, -1)
        out[table.name] = [dict(zip((c.name for c in table.columns), r.tolist(), strict=True)) for r in rows]
    return out


def test_layout_names_every_number_once():
    named = [i for t in TABLES for c in t.columns for i in column(t.name, c.name)]
    assert sorted(named) == list(range(size())) and len(most()) == size()


def test_own_and_route_by_hand():
    # half a metre left of the route y = 0, which begins at x = -50 and ends at 150; limit 13.9 of the lane
    it = seen(world_of(track((10, 0.5), yaw=0.1, speed=5)))
    own, route = it["own"][0], it["route"][0]
    assert own["speed"] == pytest.approx(5, abs=1e-4) and own["length"] == pytest.approx(5.176)
    assert (own["vehicle"], own["bicycle"], own["walker"], own["present"]) == (1, 0, 0, 1)
    assert route["left"] == pytest.approx(0.5, abs=1e-4)
    assert (route["cos"], route["sin"]) == pytest.approx((np.cos(0.1), -np.sin(0.1)), abs=1e-5)
    assert route["road_end"] == 60  # farther: cut to the bound


def test_places_ahead_by_hand():
    it = seen(world_of(track((10, 0.5), yaw=np.pi / 2, speed=5)))  # looks north, the route runs to its right
    for row, way in zip(it["ahead"], layout.AHEAD, strict=True):
        assert (row["x"], row["y"], row["present"]) == pytest.approx((-0.5, -way, 1), abs=1e-4)
        assert 5 < row["limit"] < 20


def test_neighbours_by_hand_nearest_first():
    others = track((30, 3.5), speed=8), track((0, -6), yaw=np.pi / 2, speed=1, kind=Kind.PEDESTRIAN), track((90, 0))
    it = seen(world_of(track((10, 0), speed=5), *others))["neighbours"]
    walker, car, nobody = it[0], it[1], it[2]
    assert (walker["x"], walker["y"]) == pytest.approx((-10, -6), abs=1e-4) and walker["walker"] == 1
    assert (walker["cos"], walker["sin"]) == pytest.approx((0, 1), abs=1e-5)
    assert (walker["vx"], walker["vy"]) == pytest.approx((-5, 1), abs=1e-4)
    assert (car["x"], car["y"], car["vx"], car["length"], car["vehicle"]) == pytest.approx((20, 3.5, 3, 4.6, 1))
    assert set(nobody.values()) == {0.0}  # the third is 80 m away


def test_absent_agents_observe_and_are_observed_as_zeros():
    world = world_of(track((0, 0), speed=5), track((20, 0), speed=5, valid=slice(20, None)))
    out = observe(world.start([0]))
    assert not out[0, 1].any() and not out[0, 0, column("neighbours", "present")].any()


def test_lights_and_signs_by_hand():
    signals = Signals(
        torch.tensor([0]), torch.tensor([[40.0, 0.0]]), torch.zeros(1, 4), torch.full((41, 1), int(Light.RED))
    )
    road = straight_road()
    stops = Stops(torch.tensor([0]), torch.tensor([[30.0, 0.0]]), torch.tensor([int(StopKind.STOP_SIGN)]))
    ego = track((10, 0), speed=5)
    it = seen(world_of(ego, map=replace(road, stops=stops), signals=signals))
    front = 10 + 5.176 / 2
    light, stop = it["light"][0], it["stop"][0]
    assert light["distance"] == pytest.approx(40 - front, abs=1e-3)
    assert (light["red"], light["green"], light["yellow"], light["present"]) == (1, 0, 0, 1)
    assert (stop["distance"], stop["present"]) == pytest.approx((30 - front, 1), abs=1e-3)
    assert not any(it["yield"][0].values()) and not any(it["crosswalk"][0].values())


def test_lane_points_by_hand():
    it = seen(world_of(track((10, 0), speed=5)))["lanes"]
    assert all(row["present"] == 1 and abs(row["sin"]) < 1e-6 and row["width"] == 3.5 for row in it)
    assert {round(row["y"], 3) for row in it} == {0.0, 3.5}
    away = [np.hypot(row["x"] - layout.LOOK, row["y"]) for row in it]
    assert away == sorted(away) and abs(it[0]["x"] - layout.LOOK) <= layout.LANE_SPACING / 2


def test_it_is_finite_bounded_and_normalised():
    batch = world_of(track((0, 0), speed=30), track((20, 0)), track((400, 0), speed=5)).start([0])
    raw, share = observe(batch, normalised=False), observe(batch)
    assert raw.isfinite().all() and share.abs().max() <= 1
    assert torch.allclose(share * torch.from_numpy(most()), raw, atol=1e-5)


def test_it_does_not_depend_on_where_the_world_lies():
    here = scenario(track((10, 0.5), yaw=0.1, speed=5), track((30, 3.5), speed=8), track((5, 6), kind=Kind.PEDESTRIAN))
    there = move(here, 1.0, (100.0, -50.0))
    a, b = (observe(World.of([s], seed=0).start([0])) for s in (here, there))
    # of lane points that are equally near the first may be another
    k = layout.starts()["lanes"]
    assert torch.allclose(a[..., :k], b[..., :k], atol=1e-4)


def test_the_place_on_a_route_that_crosses_itself_is_the_expected_one():
    turn = torch.linspace(0, 2 * torch.pi, 200)
    loop = torch.stack([40 * turn.sin(), 40 * (1 - turn.cos())], -1)
    world = world_of(track((0, 0), speed=5), route=torch.cat([torch.tensor([[-20.0, 0.0]]), loop]))
    batch = world.start([0])
    for near, expected in ((20.0, 20.0), (270.0, 20 + 80 * np.pi)):
        s, left, _ = place(batch, 1, np.array([[near]]))
        assert float(s) == pytest.approx(expected, abs=1.5) and abs(float(left)) < 0.1


def drive_and_compare(world, steps, action=True):
    batch = world.start()
    for k in range(steps):
        for normalised in (True, False):
            fast, clear = observe(batch, normalised=normalised), dense.observe(batch, normalised=normalised)
            assert torch.allclose(fast, clear, atol=1e-4), (k, (fast - clear).abs().max())
        actions = torch.full((len(batch), world.agents, 2), torch.nan)
        if action:
            actions[:, 0] = torch.tensor([0.5, 0.02])
        batch = step(batch, actions)
    return batch


def test_the_kernel_is_the_torch_form_in_towns():
    towns = source("synthetic")
    drive_and_compare(World.of([towns.load(f"town-{i:04d}") for i in range(2)], seed=0, agents=24), 12)


def test_the_kernel_is_the_torch_form_on_real_logs():
    if not ROOTS["waymo"].exists():
        pytest.skip("no Waymo logs here")
    logs = source("waymo", ROOTS["waymo"])
    drive_and_compare(World.of([logs.load(id) for id in logs.ids()[:2]], seed=0, agents=32), 8)


def test_scenes_do_not_see_each_other():
    towns = source("synthetic")
    scenarios = [towns.load(f"town-{i:04d}") for i in range(2)]
    both = World.of(scenarios, seed=0, agents=12)
    together = observe(both.start([1, 0, 1]))
    alone = observe(both.start([1]))
    assert torch.equal(together[0], alone[0]) and torch.equal(together[2], alone[0])
    assert torch.equal(observe(both.start([0]), 3), observe(both.start([0]))[:, :3])
