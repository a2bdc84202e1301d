"""Measures of pictures against values worked by hand, and views of the town against what is drawn."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from drivesim.evaluation.edits import edits, revisit
from drivesim.evaluation.figures import Figure, spread, summary
from drivesim.evaluation.flow import carried, disagreement, still
from drivesim.evaluation.judge import Under
from drivesim.evaluation.painters import Generated
from drivesim.evaluation.perceptual import distance, missing
from drivesim.evaluation.pictures import psnr, squared_error, ssim, within
from drivesim.evaluation.poses import pose_error
from drivesim.evaluation.regions import covered, covered_points, moving_agents
from drivesim.evaluation.views import Shift, beside, first_frame, moment, recorded, resized, shifted
from scenarios.synthetic import Synthetic


@cache
def town():
    return Synthetic(sensors=True, duration=2.0, beams=32).load("town-0003")


@pytest.fixture(scope="module")
def view():
    return next(v for v in recorded(town(), 10, 400, 224, ["CAM_FRONT"]))


def test_psnr_by_hand():
    a, b = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 5, np.uint8)
    assert psnr(within(squared_error(a, b), least=1)) == pytest.approx(20 * np.log10(255 / 5))
    b[:4] = 0
    top = np.zeros((8, 8), bool)
    top[:4] = True
    assert psnr(within(squared_error(a, b), top, 1)) == np.inf
    assert psnr(within(squared_error(a, b), least=1)) == pytest.approx(20 * np.log10(255 / 5) + 10 * np.log10(2))
    assert np.isnan(psnr(within(squared_error(a, b), top, least=33)))


def test_ssim_is_that_of_the_paper():
    """Wang et al. 2004, each window written out: an 11 x 11 Gaussian of 1.5 px, K1 = 0.01, K2 = 0.03, L = 255."""
    draw = np.random.default_rng(0)
    a = draw.integers(0, 256, (20, 24, 3)).astype(np.uint8)
    b = (0.7 * a + 0.3 * draw.integers(0, 256, a.shape)).astype(np.uint8)
    x = np.arange(-5, 6)
    window = np.exp(-(x[:, None] ** 2 + x**2) / (2 * 1.5**2))
    window /= window.sum()
    maps = []
    for k in range(3):
        p, q = a[..., k].astype(float), b[..., k].astype(float)
        mp, mq = convolve2d(p, window, "valid"), convolve2d(q, window, "valid")
        vp, vq = convolve2d(p * p, window, "valid") - mp**2, convolve2d(q * q, window, "valid") - mq**2
        both = convolve2d(p * q, window, "valid") - mp * mq
        c1, c2 = 2.55**2, 7.65**2
        maps.append((2 * mp * mq + c1) * (2 * both + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    found = ssim(a, b)
    np.testing.assert_allclose(found[5:-5, 5:-5], np.mean(maps, 0), atol=1e-9)
    assert np.isnan(found[:5]).all() and np.isnan(found[:, -5:]).all()
    np.testing.assert_allclose(ssim(a, a)[5:-5, 5:-5], 1.0)
    flat = np.full((12, 12, 3), 100, np.uint8), np.full((12, 12, 3), 120, np.uint8)
    assert ssim(*flat)[6, 6] == pytest.approx((2 * 100 * 120 + 2.55**2) / (100**2 + 120**2 + 2.55**2))


def test_a_smaller_picture_shows_the_mean_of_what_it_covers():
    draw = np.random.default_rng(0).integers(0, 256, (6, 10, 3)).astype(np.uint8)
    np.testing.assert_array_equal(resized(draw, 10, 6), draw)
    halved = draw.reshape(3, 2, 5, 2, 3).mean((1, 3))
    assert np.abs(resized(draw, 5, 3) - halved).max() <= 0.5
    row = np.array([[[0] * 3, [90] * 3, [30] * 3]], np.uint8)  # three pixels into two: 1.5 each
    np.testing.assert_array_equal(resized(row, 2, 1)[0, :, 0], [30, 50])


def test_the_perceptual_distance_tells_noise_from_nothing():
    if missing():
        pytest.skip(f"the perceptual features are {missing()}")
    draw = np.random.default_rng(0)
    a = resized(draw.integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1), 64, 64)
    noisy = (a + draw.normal(0, 5, a.shape)).clip(0, 255).astype(np.uint8)
    grey = np.full_like(a, 128)
    assert distance(a, a) == 0 < distance(a, noisy) < distance(a, grey) < 2
    assert distance(a, grey) == pytest.approx(distance(grey, a))


def test_a_moment_between_two_steps_is_between_their_poses():
    scenario = town()
    one, half = scenario.log[4], moment(scenario, 0.45).agents
    both = (scenario.log.valid[4] & scenario.log.valid[5]).nonzero()[:, 0]
    middle = (scenario.log.xy[4] + scenario.log.xy[5]) / 2
    torch.testing.assert_close(half.xy[both].float(), middle[both], atol=1e-4, rtol=0)
    torch.testing.assert_close(moment(scenario, 0.4).agents.xy[both].float(), one.xy[both])
    end = moment(scenario, 99.0)
    assert int(end.step) == 20 and torch.equal(end.agents.valid, scenario.log.valid[20])


def test_boxes_cover_what_is_drawn_of_their_agents(view):
    scenario = town()
    drawn = view.seen.instance.numpy()
    everybody = torch.ones_like(scenario.log.valid[0])
    boxes = covered(view.camera, view.world_from_camera, view.state.agents, everybody)
    shown = drawn >= 0
    assert shown.sum() > 500 and (boxes & shown).sum() > 0.97 * shown.sum()
    sweep = scenario.sensors.sweeps[10].read().numpy()
    inside = covered_points(
        sweep, scenario.log[10].map(lambda x: x.double() if x.is_floating_point() else x), everybody
    )
    assert 0.002 < inside.mean() < 0.5
    movers = moving_agents(scenario.log)
    assert not movers[0] and bool(movers.any()) and not bool(movers.all())


def test_flow_carries_a_picture_onto_the_next(view):
    after = next(v for v in recorded(town(), 11, 400, 224, ["CAM_FRONT"]))
    depth, later = view.seen.depth.numpy(), after.seen.depth.numpy()
    itself = carried(view, depth, view, depth)
    assert (itself.visible[1:-1, 1:-1] == np.isfinite(depth)[1:-1, 1:-1]).all()
    assert disagreement(view.truth, view.truth, itself, itself.visible) < 1e-6
    found = carried(view, depth, after, later)
    same = still(view, after, found)
    assert same.mean() > 0.5
    moved = disagreement(view.truth, after.truth, found, same)
    stayed = within(squared_error(view.truth, after.truth), same)
    assert moved < 0.4 * stayed, "the flow explains most of the change"
    wall = carried(view, depth, after, np.full_like(later, 1.0))
    assert wall.visible.mean() < 0.05, "what something stands in front of is not visible"


def test_the_pose_of_a_picture_is_found(view):
    depth = view.seen.depth.numpy()
    angle, distance = pose_error(view.truth, depth, view, view.truth)
    assert angle < 1e-3 and distance < 1e-3
    scenario = town()
    state = shifted(scenario, 10, Shift("", 0.2, 1.0))
    (moved,) = beside(scenario, state, [scenario.scene.briefing.cameras[0]])
    angle, distance = pose_error(view.truth, depth, view, moved.truth)
    assert angle == pytest.approx(1.0, abs=0.1) and distance == pytest.approx(0.2, abs=0.08)
    grey = np.full_like(view.truth, 128)
    assert pose_error(grey, depth, view, view.truth) is None


def test_figures_are_summed_up_by_camera_first():
    def figure(camera, value, measure="psnr", region="all"):
        return Figure("log", 0.25, "full", camera, 0.0, region, measure, value)

    figures = [figure("a", 20.0), figure("a", 30.0), figure("b", 10.0), figure("b", np.nan), figure("c", 5, region="x")]
    assert summary(figures, "full", "psnr") == 17.5 and summary(figures, "full", "psnr", camera="a") == 25.0
    assert np.isnan(summary(figures, "nearest photo", "psnr"))
    poses = [figure("a", x, "pose angle") for x in (0.1, 0.2, 9.0)] + [figure("b", 0.2, "pose angle")]
    assert summary(poses, "full", "pose angle") == pytest.approx(0.2)
    assert spread(range(35, 60), 3) == [35, 47, 59] and spread([1, 2], 0) == [1, 2] and spread("abc", 1) == ["b"]


def test_the_raster_comes_back_and_edits_stay_in_their_place():
    scenario = town()
    raster, told = scenario.sensors.drawn_by, Under("log", -1.0, "full")
    memory, cameras = raster.remember(scenario), scenario.scene.briefing.cameras
    here, there = moment(scenario, 1.0), moment(scenario, 1.8)
    figures = list(revisit(told, raster, memory, beside(scenario, here, cameras[:2]), there))
    assert {f.value for f in figures if f.measure == "revisit same"} == {1.0}
    found = {f.measure: f.value for f in edits(told, scenario, raster, memory, here, cameras)}
    assert found["removed: changed inside its box"] > 0.9 and found["moved: changed inside its box"] > 0.9
    assert found["removed: changed where it was"] > 0.9


def test_the_first_frame_is_where_the_ego_gets_going():
    scenario = town()
    assert first_frame(scenario) == 0
    speed = scenario.log.velocity.clone()
    speed[:12, 0] *= 0.01
    assert first_frame(replace(scenario, log=scenario.log.replace(velocity=speed))) == 12


def test_a_generator_draws_from_where_the_photo_was_taken(view):
    scenario = town()
    drawn = Generated("full", scenario, scenario.sensors.drawn_by).draw(view, 0.25)
    assert psnr(max(within(squared_error(drawn.rgb, view.truth)), 1e-9)) > 50
