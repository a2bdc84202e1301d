"""What bodies do to each other, and how they slide: by hand, and laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.dynamics.impact import FRICTION, RESTITUTION, Bodies, collide, meeting
from drivesim.dynamics.slide import SLIDING, slide
from drivesim.types import DT, Body, Kind

from .worlds import scenario, track

CAR = 1000.0


def bodies(*rows):
    """Boxes of 4 x 2 m from rows (x, y, yaw, vx, vy, spin, mass)."""
    a = np.array(rows, dtype=float)
    size = np.tile([4.0, 2.0], (len(a), 1))
    return Bodies(a[:, :2].copy(), a[:, 2].copy(), a[:, 3:5].copy(), a[:, 5].copy(), size, a[:, 6].copy())


def momentum(b):
    return (b.mass[:, None] * b.velocity).sum(0)


def angular(b):
    return float((b.mass * (b.xy[:, 0] * b.velocity[:, 1] - b.xy[:, 1] * b.velocity[:, 0]) + b.inertia * b.spin).sum())


# by hand


def test_equal_masses_in_line_share_the_speed():
    b = bodies((0, 0, 0, 10, 0, 0, CAR), (3.5, 0, 0, 0, 0, 0, CAR))
    collide(b, [(0, 1)], DT)
    assert b.velocity[:, 0] == pytest.approx([10 * (1 - RESTITUTION) / 2, 10 * (1 + RESTITUTION) / 2])
    assert np.abs(b.velocity[:, 1]).max() < 1e-9 and np.abs(b.spin).max() < 1e-9
    ago = 0.5 / 10  # they met half a metre ago, and have moved at their new speeds since
    assert b.xy[:, 0] == pytest.approx([-0.5 + ago * 4.5, 3.5 + ago * 5.5])


def test_a_lorry_hardly_notices_a_car():
    b = bodies((0, 0, 0, 10, 0, 0, 9 * CAR), (3.9, 0, 0, 0, 0, 0, CAR))
    collide(b, [(0, 1)], DT)
    common = 10 * 9 / 10
    assert b.velocity[0, 0] == pytest.approx(common - 10 * RESTITUTION / 10)
    assert b.velocity[1, 0] == pytest.approx(common + 10 * RESTITUTION * 9 / 10)


def test_a_wall_throws_back_what_restitution_leaves():
    b = bodies((0, 0, 0, 10, 0, 0, CAR), (3.9, 0, 0, 0, 0, 0, 1e12))
    collide(b, [(0, 1)], DT)
    assert b.velocity[0, 0] == pytest.approx(-10 * RESTITUTION) and abs(b.velocity[1, 0]) < 1e-6


def test_a_side_hit_through_the_centre_does_not_spin():
    b = bodies((0, 0, 0, 10, 0, 0, CAR), (2.9, 0, math.pi / 2, 0, 0, 0, CAR))
    collide(b, [(0, 1)], DT)
    assert b.velocity[:, 0] == pytest.approx([4.5, 5.5]) and np.abs(b.spin).max() < 1e-9


def test_a_side_hit_of_one_that_drives_drags_it_along_by_friction():
    """The struck one crosses at 20 m/s: it scrapes, so that the impulse lies on the edge of the friction cone."""
    b = bodies((0, 0, 0, 10, 0, 0, CAR), (2.9, 0, math.pi / 2, 0, 20, 0, CAR))
    collide(b, [(0, 1)], DT)
    pushed, dragged = b.mass[0] * (10 - b.velocity[0, 0]), b.mass[0] * b.velocity[0, 1]
    assert dragged == pytest.approx(FRICTION * pushed, rel=1e-6) and dragged > 0
    assert momentum(b) == pytest.approx([10 * CAR, 20 * CAR])


def test_a_hit_behind_the_centre_turns_the_tail_away():
    b = bodies((0, 0, 0, 10, 0, 0, CAR), (2.9, 1.2, math.pi / 2, 0, 0, 0, CAR))  # its tail is at y = -0.8
    collide(b, [(0, 1)], DT)
    assert b.velocity[1, 0] > 0 and b.spin[1] > 0.5


def test_a_fast_rear_end_hit_with_half_the_width_is_no_scrape():
    """3 m deep and 1 m wide after one step: the nearest side is the wrong one."""
    b = bodies((0, 0, 0, 30, 0, 0, CAR), (1.0, 1.0, 0, 0, 0, 0, CAR))
    touch = meeting(b, 0, 1, DT)
    assert touch.normal == pytest.approx([1, 0]) and touch.ago == pytest.approx(0.1)
    assert touch.arms[0][1] == pytest.approx(0.5, abs=0.01), "in the middle of the shared width"


def test_who_parts_is_left_alone():
    b = bodies((0, 0, 0, -1, 0, 0, CAR), (3.9, 0, 0, 1, 0, 0, CAR))
    collide(b, [(0, 1)], DT)
    assert b.velocity[:, 0].tolist() == [-1, 1]


def test_a_queue_is_pushed_together():
    b = bodies((0, 0, 0, 8, 0, 0, CAR), (3.9, 0, 0, 0, 0, 0, CAR), (7.8, 0, 0, 0, 0, 0, CAR))
    collide(b, [(0, 1), (1, 2)], DT)
    assert (np.diff(b.velocity[:, 0]) > -2e-3).all() and momentum(b)[0] == pytest.approx(8 * CAR)


def test_masses_are_those_of_vehicles():
    kinds = [Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.PEDESTRIAN, Kind.BICYCLE]
    s = scenario(*[track((20 * i, 0), kind=kind) for i, kind in enumerate(kinds)])
    mass = Bodies.of(s.log[0], torch.zeros(5)).mass
    ranges = [(2000, 2600), (8000, 18000), (11000, 18000), (75, 75), (90, 90)]  # the ego is a Pacifica and its mirrors
    assert all(low <= m <= high for m, (low, high) in zip(mass, ranges, strict=True))


# laws

REAL = st.floats(-1, 1)
ROW = st.tuples(REAL, REAL, REAL, REAL, REAL, REAL, st.floats(0.01, 1))


@given(ROW, ROW)
@settings(max_examples=150, deadline=None)
def test_momentum_stays_and_energy_never_grows(p, q):
    rows = [(3 * x, 2 * y, 3 * a, 20 * u, 20 * v, 3 * w, 2000 * m) for x, y, a, u, v, w, m in (p, q)]
    b = bodies(*rows)
    touch = meeting(b, 0, 1, DT)
    before, sum_before = b.energy(), momentum(b)
    if touch:  # at the moment at which they met
        at = bodies(*rows)
        at.xy = np.array([-touch.arms[0], -touch.arms[1]])
        spin_before = angular(at)
    collide(b, [(0, 1)], DT)
    assert b.energy() <= before * (1 + 1e-9) + 1e-9
    assert momentum(b) == pytest.approx(sum_before, abs=1e-6 * (1 + np.abs(sum_before).max()))
    assert np.isfinite(b.xy).all() and np.isfinite(b.spin).all()
    if touch:
        at.velocity, at.spin = b.velocity, b.spin
        assert angular(at) == pytest.approx(spin_before, rel=1e-6, abs=1e-3)
        speed = b.moves(0, touch.arms[0]) - b.moves(1, touch.arms[1])
        assert touch.normal @ speed < 1e-3, "they do not close any more"


def test_turning_and_moving_the_world_turns_and_moves_the_crash():
    random, hits = np.random.default_rng(5), 0
    for angle in random.uniform(-3, 3, 60):
        rows = random.uniform(-1, 1, (2, 7)) * [3, 2, 3, 20, 20, 3, 900] + [0, 0, 0, 0, 0, 0, 1000]
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        a, b = bodies(*rows), bodies(*rows)
        b.xy, b.velocity, b.yaw = b.xy @ turn.T + [30, -20], b.velocity @ turn.T, b.yaw + angle
        hits += meeting(a, 0, 1, DT) is not None
        collide(a, [(0, 1)], DT)
        collide(b, [(0, 1)], DT)
        assert b.velocity == pytest.approx(a.velocity @ turn.T, abs=1e-6)
        assert b.xy == pytest.approx(a.xy @ turn.T + [30, -20], abs=1e-6)
        assert b.spin == pytest.approx(a.spin, abs=1e-6)
    assert hits > 30


def sliding(speed=0.0, spin=0.0, kind=Kind.CAR):
    s = scenario(track((0, 0)), track((0, 9), speed=speed, kind=kind))
    return s.log[0], Body(torch.zeros(2), torch.zeros(2)), torch.tensor([0.0, spin])


@pytest.mark.parametrize("kind", [Kind.CAR, Kind.TRUCK, Kind.PEDESTRIAN, Kind.BICYCLE])
def test_who_slides_stops_where_friction_says(kind):
    agents, body, spin = sliding(10.0, kind=kind)
    start = agents.xy[1, 0]
    for _ in range(40):
        agents, body = slide(agents, body, spin, DT)
        spin = body.yaw_rate
    assert float(agents.xy[1, 0] - start) == pytest.approx(100 / (2 * SLIDING[kind] * 9.81), rel=0.03)
    assert float(agents.velocity.norm()) == 0 and float(agents.yaw.abs().max()) == 0


def test_who_spins_slides_farther_and_loses_energy_all_the_way():
    def ride(spin0):
        agents, body, spin = sliding(10.0, spin0)
        energy = []
        for _ in range(60):
            energy.append(Bodies.of(agents, spin).energy())
            agents, body = slide(agents, body, spin, DT)
            spin = body.yaw_rate
        assert float(agents.velocity.norm()) == 0 and float(spin.abs().max()) == 0
        assert all(b <= a for a, b in zip(energy, energy[1:], strict=False))
        return float(agents.xy[1, 0])

    assert ride(4.0) > ride(0.0) + 0.5
