"""What is worked out beforehand of routes never changes what the kernel finds."""

import numpy as np
import pytest
import torch

from drivesim.traffic import following
from drivesim.traffic.corridors import DISCS, clearances, corridors
from drivesim.traffic.kernel.leaders import disc_at
from drivesim.traffic.kernel.routes import locate
from drivesim.traffic.records import AGENT, POINT

ROUTES = ["straight", "bend", "hairpin", "wave", "circle"]


def route(name, far=0.0):
    """Points (P, 2) a metre apart, `far` metres away from the origin."""
    turn = {
        "straight": np.zeros(120), "bend": np.where(np.arange(120) % 60 > 30, 0.1, 0.0),
        "hairpin": np.where(abs(np.arange(120) - 40) < 3, np.pi / 5, 0.0), "wave": np.sin(np.arange(120) / 4) / 3,
        "circle": np.full(120, 2 * np.pi / 25),
    }[name]  # fmt: skip
    yaw = 0.7 + turn.cumsum()
    return (np.stack([np.cos(yaw), np.sin(yaw)], 1).cumsum(0) + far).astype(np.float32)


def records(*lines):
    """POINT of routes, one behind the other, whose noses are their points, and AGENT of who drives them."""
    agents = np.zeros(len(lines), AGENT)
    agents["points"] = [len(line) for line in lines]
    agents["route"] = np.cumsum([0, *agents["points"][:-1]])
    flat = np.concatenate(lines)
    agents["swing"] = [np.linalg.norm(np.diff(line, axis=0), axis=1).max() for line in lines]
    points = np.zeros(len(flat), POINT)
    for k, axis in enumerate("xy"):
        points[axis] = points[f"nose_{axis}"] = flat[:, k]
    points["clear"] = clearances(flat, agents["route"], agents["points"])
    return points, agents, corridors(flat, agents["route"], agents["points"])


def test_straight_route_by_hand():
    points, _, boxes = records(np.stack([np.arange(100.0), np.zeros(100)], 1).astype(np.float32))
    # half a metre beside a segment one is a metre and a half from the next but one
    np.testing.assert_allclose(points["clear"][:99], 0.499**2, rtol=1e-4)
    assert points["clear"][99] == 0  # no segment begins there
    np.testing.assert_allclose(boxes["x"], np.arange(100) + 30, atol=1e-3)  # straight on beyond the end
    np.testing.assert_allclose(boxes["half_length"], 30.01, atol=1e-3)
    np.testing.assert_allclose(boxes["half_width"], 0.01, atol=1e-3)


def test_hairpin_is_not_clear():
    line = route("hairpin")
    points, _, _ = records(line)
    gap = np.linalg.norm(line[:37, None] - line[None, 44:], axis=-1).min(1)
    assert gap.min() < 4.0  # it comes back that near
    assert (np.sqrt(points["clear"][:36]) <= gap[:36] / 2).all()


@pytest.mark.parametrize("name", ROUTES)
def test_locate_finds_what_a_search_of_all_finds(name):
    rng, line = np.random.default_rng(0), route(name)
    points, agents, _ = records(route("wave"), line)
    where = rng.integers(len(line), size=400)
    xy = line[where] + rng.normal(0, 1, (400, 2)) * rng.choice([0.05, 0.5, 3.0, 9.0], (400, 1))
    near = where + rng.choice([0.0, 0.4, -1.3, 6.0], 400)
    found = np.array([locate(points, agents[1], x, y, s) for (x, y), s in zip(xy, near, strict=True)])
    lines = torch.from_numpy(line).double().expand(400, -1, -1)
    s, lateral = following.locate(lines, torch.from_numpy(xy), torch.from_numpy(near))
    np.testing.assert_allclose(found[:, 0], s, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[:, 1], lateral, rtol=0, atol=1e-9)


@pytest.mark.parametrize("far", [0.0, 30_000.0])
@pytest.mark.parametrize("name", ROUTES)
def test_corridor_holds_all_discs(name, far):
    points, agents, boxes = records(route(name, far))
    widest = -np.inf
    for base in range(0, len(points), 7):
        box = boxes[base]
        x, y, cos, sin = (float(box[k]) for k in ("x", "y", "cos", "sin"))
        for share in (0.0, 0.9):
            discs = np.array([disc_at(points, agents[0], base, share, k) for k in range(0, DISCS, 3)]) - (x, y)
            beside = abs(discs @ (-sin, cos)).max()
            assert abs(discs @ (cos, sin)).max() <= box["half_length"]
            assert beside <= box["half_width"]
            widest = max(widest, beside - float(box["half_width"]))
    assert widest > -0.2  # and is no wider than it must be
