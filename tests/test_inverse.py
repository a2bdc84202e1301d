"""Actions fitted to tracks: what a model has driven is found again, what it cannot drive is told apart."""

import math

import pytest
import torch

from drivesim.config import source
from drivesim.dynamics.bicycle import Bicycle
from drivesim.dynamics.center_bicycle import CenterBicycle
from drivesim.dynamics.delta import Delta
from drivesim.dynamics.exact import Exact
from drivesim.dynamics.holonomic import Holonomic
from drivesim.dynamics.inverse import fit
from drivesim.dynamics.single_track import SingleTrack
from drivesim.dynamics.survey import survey
from drivesim.dynamics.unicycle import Unicycle
from drivesim.types import WALKERS, Agents, Body, Kind, Vehicle

from .roots import ROOTS
from .worlds import move, path, scenario, track

VEHICLE, DT = Vehicle(), 0.1
MODELS = {
    "center": (CenterBicycle(), Kind.CAR), "rear": (Bicycle(), Kind.CAR), "unicycle": (Unicycle(), Kind.BICYCLE),
    "holonomic": (Holonomic(), Kind.PEDESTRIAN), "single": (SingleTrack(), Kind.CAR),
    "delta": (Delta(), Kind.CAR), "exact": (Exact(), Kind.CAR),
}  # fmt: skip


def driven(model, kind, steps=41, scale=1.0):
    """A log (T, 2) that `model` has driven under smooth commands, and the commands (T - 1, 2, K)."""
    s = scenario(track((0, 0), 0.4, 4.0), track((40, 5), -1.0, 3.0, kind=kind))
    agents, zero = s.log[0], torch.zeros(2)
    body, log, asked = Body(zero, zero), [s.log[0]], []
    for k in range(steps - 1):
        t = k * DT
        if isinstance(model, Delta):
            wish = [0.4, 0.02 * math.sin(t), 0.01]
        else:
            wish = [0.8 * math.sin(t), 0.12 * math.sin(0.7 * t)]
        command = scale * torch.tensor(wish).expand(2, -1)
        if isinstance(model, Exact):
            pose = agents.poses + torch.tensor([0.3, 0.1, 0.02])
            command = pose
        agents, body = model.step(agents, body, command, DT, VEHICLE)
        log.append(agents)
        asked.append(command)
    return Agents.stack(log), torch.stack(asked)


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_drove_is_found_again(name):
    model, kind = MODELS[name]
    log, asked = driven(model, kind, steps=31)
    found = fit(log, model, VEHICLE, DT)
    assert float(found.deviation.max()) < 0.005
    if name in ("unicycle", "holonomic", "delta"):
        assert float((found.command[3:-3] - asked[3:-3]).abs().median()) < 0.05
    replayed = found.agents[0], found.body[0]
    for command in found.command:
        replayed = model.step(*replayed, command, DT, VEHICLE)
    assert torch.allclose(replayed[0].xy, found.agents.xy[-1], atol=1e-6), "the commands alone make the drive"


def test_a_gap_and_a_short_track_are_no_matter():
    log, _ = driven(CenterBicycle(), Kind.CAR, steps=31)
    valid = log.valid.clone()
    valid[10:14, 1], valid[25:, 1] = False, False
    nan = log.map(lambda x: torch.where(valid.reshape(valid.shape + (1,) * (x.ndim - 2)), x, x * torch.nan)
                  if x.is_floating_point() else x)  # fmt: skip
    found = fit(nan.replace(valid=valid), CenterBicycle(), VEHICLE, DT)
    assert bool(found.deviation[10:14, 1].isnan().all()) and float(found.deviation.nan_to_num(0).max()) < 0.005


def test_a_track_that_is_absent_at_first_is_refused():
    log, _ = driven(CenterBicycle(), Kind.CAR, steps=5)
    with pytest.raises(ValueError, match="first step"):
        fit(log.replace(valid=log.valid & (torch.arange(5) > 0)[:, None]), CenterBicycle(), VEHICLE, DT)


def turn(steps=81, speed=9.0, radius=60.0):
    way = speed * DT * torch.arange(steps)
    yaw = way / radius
    return torch.stack([radius * yaw.sin(), radius * (1 - yaw.cos())], -1) + torch.tensor([0.0, 40.0]), yaw


def known():
    """A scenario with one track of each sin, its reason by track number."""
    xy, yaw = turn()
    generator = torch.Generator().manual_seed(3)
    noisy = xy + 0.12 * torch.randn(xy.shape, generator=generator) + torch.tensor([0.0, 60.0])
    jumping = xy + torch.tensor([0.0, 120.0])
    jumping[40:] += torch.tensor([0.0, 3.0])
    crab = torch.stack([8.0 * DT * torch.arange(81), 2.0 * DT * torch.arange(81)], -1) + torch.tensor([0.0, -40.0])
    t = DT * torch.arange(81)
    stop = torch.where(t < 4, 20 * t, 80 + 20 * (t - 4) - 6.5 * (t - 4) ** 2).cummax(0).values  # brakes at 13 m/s^2
    hard = torch.stack([stop, torch.full_like(stop, -80.0)], -1)
    tracks = [
        path(xy, yaw), path(noisy, yaw), path(jumping, yaw), path(crab, torch.zeros(81)),
        path(hard, torch.zeros(81)), track((0, -100), speed=3, valid=slice(10, 60), steps=81),
        track((0, -120), speed=3, valid=slice(10, 20), steps=81), path(xy, yaw, kind=Kind.PEDESTRIAN),
    ]  # fmt: skip
    return scenario(track((0, 0), speed=5, steps=81), *tracks)


EXPECTED = {
    "ego": "",
    "track 1": "",
    "track 2": "noise",
    "track 3": "jumps",
    "track 4": "sideways",
    "track 5": "limits",
}


def test_each_track_that_disobeys_is_told_why():
    rows = {row.id: row for row in survey(known(), CenterBicycle())}
    assert rows.keys() == {*EXPECTED, "track 6"}, "too short a track, and a pedestrian, are left out"
    for id, reason in EXPECTED.items():
        assert rows[id].obeys == (reason == ""), rows[id]
        assert rows[id].reason.split(":")[0] == reason, rows[id]
    assert "braking" in rows["track 5"].reason
    assert rows["track 6"].seconds == pytest.approx(4.9) and rows["ego"].seconds == pytest.approx(8.0)
    assert rows["track 1"].travelled == pytest.approx(72.0, abs=0.1)


def test_walkers_may_go_sideways():
    rows = survey(known(), Holonomic(), kinds=WALKERS)
    assert [row.id for row in rows] == ["track 8"] and rows[0].obeys


def test_the_place_and_direction_of_the_world_do_not_matter():
    s = known()
    a, b = survey(s, CenterBicycle()), survey(move(s, 2.0, (50.0, -30.0)), CenterBicycle())
    assert [r.obeys for r in a] == [r.obeys for r in b]
    assert all(x.deviation == pytest.approx(y.deviation, abs=5e-3) for x, y in zip(a, b, strict=True) if x.obeys)


def test_real_vehicles_obey_the_bicycle():
    """A Waymo scene: of the vehicles seen for 8 s, nine in ten are driven to 5 cm, and each other has its reason."""
    if not ROOTS["waymo"].exists():
        pytest.skip("shared/data/waymo is not here")
    logs = source("waymo", ROOTS["waymo"])
    rows = survey(logs.load(logs.ids()[3]), CenterBicycle())
    whole = [row for row in rows if row.seconds > 7.9]
    assert len(whole) > 20 and sum(row.obeys for row in whole) >= 0.9 * len(whole)
    assert all(row.reason and row.reason != "none of the known" for row in rows if not row.obeys)
