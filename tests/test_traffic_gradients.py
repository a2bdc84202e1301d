"""Gradients of the torch form, against finite differences."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import drivesim
from drivesim.traffic import World, dense
from drivesim.traffic.following import IDM
from drivesim.traffic.population import Population
from drivesim.types import Kind

from .worlds import scenario, track

ROOT = Path(__file__).parents[1]
WAYMO = ROOT.parent / "shared" / "data" / "waymo" / "gpudrive_json" / "tfrecord-00001-of-01000_307.json.gz"


def tables_of(log, agents=None):
    world = World.of([log], agents=agents, population=Population.clones(IDM(), 0.0))
    return dense.tables_of(world.scenarios, world.drivers, torch.float64)


def platoon():
    """An ego ahead of two drivers, a driver who comes late, and a walker."""
    others = [
        track((-12, 0), speed=9), track((-26, 0.3), speed=9.5), track((-40, 3.5), speed=9, valid=slice(7, None)),
        track((60, -5), yaw=torch.pi / 2, speed=1.2, kind=Kind.PEDESTRIAN),
    ]  # fmt: skip
    return scenario(track((0, 0.2), yaw=0.02, speed=9), *others)


def drive(tables, actions, who=0):
    """All scenes after each of the actions (H, 2) of one agent."""
    now, out = dense.start(tables), []
    for action in actions:
        n = now.decided.shape[1]
        mask = (torch.arange(n) == who)[:, None]
        given = torch.where(mask, action, torch.full((n, 2), torch.nan, dtype=action.dtype))
        now = dense.step(tables, now, given.expand(len(now.step), n, 2))
        out.append(now)
    return out


def differences(function, x, where, eps=1e-6):
    """Central differences of a function of x at some of its entries."""
    out = []
    for i in where:
        d = torch.zeros_like(x)
        d.view(-1)[i] = eps
        with torch.no_grad():
            out.append((function(x + d) - function(x - d)) / (2 * eps))
    return torch.stack(out)


def agree(function, x, where, tolerance=1e-5):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x)
    assert bool(gradient.isfinite().all())
    expected = differences(function, x.detach(), where)
    torch.testing.assert_close(gradient.view(-1)[where], expected, rtol=tolerance, atol=tolerance)
    return gradient


def brakes(horizon):
    """Actions (H, 2): brakes gently and steers a little."""
    t = torch.arange(horizon, dtype=torch.float64)
    return torch.stack([-1.0 - 0.5 * torch.sin(t), 0.01 * torch.cos(t)], -1)


def test_positions_by_the_egos_actions():
    tables = tables_of(platoon())
    weights = torch.tensor([[1.0, 2.0], [0.7, 0.3], [0.2, 0.5], [0.1, 0.1], [0.0, 0.0]], dtype=torch.float64)
    end = lambda actions: (drive(tables, actions)[-1].agents.xy[0].nan_to_num(0) * weights).sum()  # noqa: E731
    gradient = agree(end, brakes(20), [0, 1, 11, 36])
    assert float(gradient[0, 0]) > 0.19  # another m/s^2 in the first step is 0.1 m/s for 1.9 s, and others follow


def test_followers_are_moved_by_whom_they_follow():
    tables = tables_of(platoon())
    last = lambda actions: drive(tables, actions)[-1].agents.xy[0, 2, 0]  # noqa: E731  two cars further back
    gradient = agree(last, brakes(25), [0, 4])
    assert float(gradient[0, 0]) > 1e-3


def test_by_the_actions_of_another():
    tables = tables_of(platoon())
    behind = lambda actions: drive(tables, actions, who=1)[-1].agents.xy[0, 2].sum()  # noqa: E731
    gradient = agree(behind, brakes(15), [0, 2, 10])
    assert float(gradient[:, 0].abs().sum()) > 1e-3


def test_of_a_walker():
    tables = tables_of(platoon())
    place = lambda actions: drive(tables, actions, who=4)[-1].agents.xy[0, 4].sum()  # noqa: E731
    agree(place, torch.full((10, 2), 0.3, dtype=torch.float64), [0, 1, 7, 12])


def test_of_clearance_and_margin_along_a_drive():
    tables = tables_of(platoon())

    def cost(actions):
        states = drive(tables, actions)
        near = torch.stack([dense.clearance(now.agents)[0, 0] for now in states])
        edge = torch.stack([dense.margin(tables, now.agents)[0, 0] for now in states])
        return near.sum() + 3 * edge.sum()

    agree(cost, brakes(15), [0, 1, 9, 12, 20])


@pytest.mark.parametrize("name", ["synthetic", "waymo"])
def test_in_whole_scenes(name):
    if name == "waymo" and not WAYMO.exists():
        pytest.skip(f"{WAYMO.name} is not among the shared data")
    tables = tables_of(drivesim.load("waymo", str(WAYMO)) if name == "waymo" else drivesim.load("synthetic"), 10)

    def cost(actions):
        states = drive(tables, actions)
        there = states[-1].agents.valid
        near = dense.clearance(states[-1].agents)[there].clamp_max(50).sum()
        edge = dense.margin(tables, states[-1].agents)[there].sum()
        return states[-1].agents.xy[there].sum() + near + edge

    agree(cost, brakes(10), [0, 1, 8], tolerance=1e-4)


def boxes(seed, n=400):
    random = torch.Generator().manual_seed(seed)
    one = track((0, 0), steps=1)[0].map(lambda x: x.double() if x.is_floating_point() else x)
    draw = lambda *shape: torch.rand(*shape, generator=random, dtype=torch.float64)  # noqa: E731
    two = one.map(lambda x: x.expand(n, 2, *x.shape).clone())
    return two.replace(xy=8 * draw(n, 2, 2), yaw=6.3 * draw(n, 2), size=0.5 + 5 * draw(n, 2, 3))


@pytest.mark.parametrize("softness", [0.1, 0.01])
def test_clearance_knows_who_touches(softness):
    agents = boxes(0)
    clearance = dense.clearance(agents, softness)
    touches = drivesim.geometry.boxes_overlap(
        *(drivesim.geometry.box_corners(agents.xy, agents.yaw, agents.size)[:, k] for k in (0, 1))
    )
    assert 50 < int(touches.sum()) < 350
    assert not bool(touches[(clearance > 0).any(1)].any())
    slack = 2.4 * softness + 0.01 * agents.size[..., :2].sum((1, 2)) / 2
    assert bool((clearance[~touches] > -slack[~touches, None]).all())


def test_clearance_by_hand():
    world = scenario(track((0, 0)), track((10, 0)), track((10, 3.5), valid=slice(1, None))).log
    agents = world[:1].map(lambda x: x.double() if x.is_floating_point() else x)
    near = dense.clearance(agents, 0.01)[0]
    gap = 10 - 5.176 / 2 - 4.6 / 2
    assert float(near[0]) == pytest.approx(gap, abs=0.05) and float(near[0]) <= gap
    assert bool(near[2].isnan())  # absent
    assert float(dense.clearance(agents[:, :1])[0, 0]) == torch.inf


def test_margin_by_hand():
    log = scenario(track((0, 0.5)), track((10, -1.0)), track((20, -6)))  # drivable from y = -1.75 to 5.25
    tables = tables_of(log)
    now = dense.start(tables)
    margin = dense.margin(tables, now.agents, 0.01)[0]
    expected = [0.5 + 1.75 - 2.297 / 2, -1.0 + 1.75 - 0.95, -6 + 1.75 - 0.95]
    for value, exact in zip(margin.tolist(), expected, strict=True):
        assert exact - 0.014 - 1e-6 <= value <= exact + 1e-6
    later = dense.step(tables, now)
    assert torch.equal(dense.margin(tables, later.agents, 0.01) < 0, later.off_road)


def test_apart_is_smooth():
    """Second derivatives by the turn between boxes do not grow where it is looked at more closely, as they do at kinks
    (parallel sides, one axis after the other): there they go with one over the spacing."""
    agents = boxes(1, 40)

    def sharpest(spacing):
        turn = torch.arange(0, 3.2, spacing, dtype=torch.float64)
        other = agents[:, 1:]
        value = dense.apart(agents[:, :1], other.replace(yaw=other.yaw + turn), 0.1)
        return float(value.diff().diff(dim=1).abs().max() / spacing**2)

    assert sharpest(0.0005) < 1.3 * sharpest(0.002)


def test_the_example_brakes_in_time():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "brake_in_time.py"], capture_output=True, text=True, check=True
    )
    nearest = [float(line.split()[3]) for line in done.stdout.splitlines()]
    assert nearest[0] < -1 and nearest[-1] > 0.5
