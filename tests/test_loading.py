import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.loading import Track, assemble, command_of, fingerprint, make_lanes, route_along
from drivesim.loading.tracks import slopes
from drivesim.types import Command, Kind

from .worlds import straight_road


def seen(time, xyz, yaw=None, id="a"):
    n = len(time)
    zero = np.zeros(n)
    return Track(
        id, Kind.CAR, np.array([4.0, 2, 1.5]), np.asarray(time, float), np.asarray(xyz, float),
        zero if yaw is None else np.asarray(yaw, float), zero, zero,
    )  # fmt: skip


def test_two_hertz_becomes_ten():
    agents = assemble([seen([0, 0.5, 1.0], [[0, 0, 0], [1, 0, 0], [2, 0, 0.5]])], 11)
    assert bool(agents.valid.all())
    assert torch.allclose(agents.xy[:, 0, 0], torch.arange(11) * 0.2, atol=1e-6)
    assert torch.allclose(agents.velocity[:, 0, 0], torch.full((11,), 2.0), atol=1e-5)
    assert torch.allclose(agents.z[-1, 0], torch.tensor(0.5))


def test_long_gaps_stay_absent_and_are_nan():
    agents = assemble([seen([0, 0.1, 2.0], [[0, 0, 0], [1, 0, 0], [9, 0, 0]])], 21)
    assert torch.nonzero(agents.valid[:, 0])[:, 0].tolist() == [0, 1, 20]
    assert bool(agents.xy[5, 0].isnan().all())


def test_angles_take_the_short_way():
    agents = assemble([seen([0, 1.0], [[0, 0, 0], [1, 0, 0]], yaw=[3.1, -3.1])], 11)
    assert float(agents.yaw[5, 0].abs()) > 3.1


def test_bad_tracks_are_named():
    with pytest.raises(InputError, match="track a .* not a number"):
        assemble([seen([0, 0.1], [[0, 0, 0], [np.nan, 0, 0]])], 2)
    with pytest.raises(InputError, match="do not increase"):
        assemble([seen([0, 0], [[0, 0, 0], [1, 0, 0]])], 2)


def test_route_is_the_lane_and_goes_on():
    x = np.arange(0, 40.0)
    path = np.column_stack([x, 0.8 + 0.1 * np.sin(x / 9)])
    route = route_along(straight_road(), path, beyond=30.0)
    ahead = route[route[:, 0] > 8]
    assert float(ahead[:, 1].abs().max()) < 0.25  # on the centre, not on the path
    assert float(route[-1, 0]) > 65 and float(route[0, 0]) < -8
    assert float(route.diff(dim=0).norm(dim=-1).max()) < 1.6
    own = route_along(straight_road(), path, center=False)
    assert abs(float(own[20, 1]) - 0.8) < 0.3


def test_a_route_goes_straight_on_where_lanes_fork():
    """The turn begins exactly along the road, the way on by a hair to the right: how they begin tells nothing."""
    x, angle = np.linspace(0, 40, 21), np.linspace(0, np.pi / 2, 12)
    turn = np.column_stack([40 + 15 * np.sin(angle), 15 - 15 * np.cos(angle), 0 * angle])
    turn[1, 1] = 0.0
    on = np.column_stack([40 + x, np.minimum(0, -0.01 * x), 0 * x])
    lanes = make_lanes([np.column_stack([x, 0 * x, 0 * x]), turn, on], [3.5] * 3, successors=[(0, 1), (0, 2)])
    route = route_along(straight_road().replace(lanes=lanes), np.column_stack([np.arange(30.0), np.zeros(30)]))
    assert float(route[(route[:, 0] > 45) & (route[:, 0] < 75), 1].abs().max()) < 1 and float(route[-1, 0]) > 200
    assert command_of(route, torch.tensor([29.0, 0])) == Command.STRAIGHT


def test_route_of_a_car_that_stands_still():
    still = np.zeros((20, 2))
    with pytest.raises(InputError, match="yaw"):
        route_along(straight_road(), still)
    route = route_along(straight_road(), still, yaw=0.0)
    assert float(route[-1, 0]) > 40


def test_command():
    turn = torch.linspace(0, torch.pi / 2, 20)
    left = torch.stack([15 * torch.sin(turn), 15 - 15 * torch.cos(turn)], -1)
    assert command_of(left, torch.zeros(2)) == Command.LEFT
    assert command_of(left * torch.tensor([1.0, -1]), torch.zeros(2)) == Command.RIGHT
    assert command_of(torch.tensor([[0.0, 0], [90, 0]]), torch.zeros(2)) == Command.STRAIGHT


def test_fingerprint_sees_content_names_and_options(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    prints = {fingerprint([a, b]), fingerprint([b, a]), fingerprint([a]), fingerprint([a, b], "x")}
    assert len(prints) == 4
    a.write_bytes(b"3")
    assert fingerprint([a, b]) not in prints


def test_slopes_are_those_of_scipys_filter_and_exact_for_parabolas():
    from scipy.signal import savgol_filter

    x = np.random.default_rng(0).normal(size=(40, 2))
    for n in (3, 4, 5, 8, 9, 10, 40):
        width = 2 * min(4, (n - 1) // 2) + 1
        assert np.allclose(
            slopes(x[:n], 0.1), savgol_filter(x[:n], width, 2, deriv=1, delta=0.1, axis=0, mode="interp")
        )
    t = np.arange(20) * 0.1
    assert np.allclose(slopes((3 * t**2 - t)[:, None], 0.1)[:, 0], 6 * t - 1)
    assert np.allclose(slopes(np.array([[0.0], [1.0]]), 0.1), 10.0) and np.allclose(slopes(np.ones((1, 2)), 0.1), 0.0)
