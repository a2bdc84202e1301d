"""Distributions of driving styles, styles drawn from them, and calibration to tracks."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.errors import InputError
from drivesim.traffic.fitting.calibration import FITTED, calibrate, drive_of, simulate
from drivesim.traffic.fitting.distributions import Distribution, correlation, distance, likely
from drivesim.traffic.fitting.episodes import Episode, bend, braking, episodes, free_speed, observe, standstill_gap
from drivesim.traffic.fitting.repeats import Repeats
from drivesim.traffic.following import IDM
from drivesim.traffic.population import CLASSES, PARAMETERS, Class, Population, Source
from drivesim.types import DT, Agents, Kind

from .worlds import move, path, scenario, straight_road, track

CAR, WALKER, CONE = int(Kind.CAR), int(Kind.PEDESTRIAN), int(Kind.CONE)


def law(family="lognormal", center=1.2, spread=0.4, least=0.4, most=4.0):
    return Distribution(family, center, spread, least, most, 100, 0.05)


def people(**changes):
    laws = {"headway": law(), "gap": law(center=2.5, least=0.5, most=8.0), "pace": law("normal", 1.0, 0.1, 0.6, 1.3)}
    return Population({"car": Class(100, laws, {("headway", "gap"): 0.6})}, (Source("s", 1, 100, "none"),), **changes)


# distributions


@pytest.mark.parametrize("family", ["normal", "lognormal"])
def test_quantile_and_share_are_inverse(family):
    own = law(family)
    shares = np.linspace(0, 1, 101)
    np.testing.assert_allclose(own.share(own.quantile(shares)), shares, atol=1e-9)
    assert own.quantile(0.0) == pytest.approx(0.4) and own.quantile(1.0) == pytest.approx(4.0)
    x = np.linspace(0.4, 4.0, 20001)
    area = (own.density(x)[1:] + own.density(x)[:-1]).sum() / 2 * (x[1] - x[0])
    assert area == pytest.approx(1.0, abs=1e-3)


def test_a_truncated_lognormal_by_hand():
    own = law(center=1.0, spread=1.0, least=float(np.exp(-1)), most=float(np.exp(1)))
    inside = 0.6826894921  # of a normal law within one sigma
    assert own.share(1.0) == pytest.approx(0.5)
    assert own.share(np.exp(0.5)) == pytest.approx((0.6914624613 - 0.1586552539) / inside)


@pytest.mark.parametrize("family", ["normal", "lognormal"])
def test_a_fit_finds_the_law_that_the_data_come_from(family):
    true = law(family, 1.5, 0.3, 0.2, 6.0)
    seen = true.quantile(np.random.default_rng(0).random(2000))
    found = Distribution.fit(seen, family)
    assert found.center == pytest.approx(1.5, rel=0.03) and found.spread == pytest.approx(0.3, rel=0.1)
    assert found.ks == distance(seen, found) < likely(2000)
    assert found.tracks == 2000 and true.least < found.least < found.most < true.most


def test_wild_tracks_hardly_move_a_fit():
    seen = law().quantile(np.random.default_rng(1).random(300))
    clean, wild = Distribution.fit(seen, "lognormal"), Distribution.fit(np.r_[seen, [60.0, 70.0]], "lognormal")
    np.testing.assert_allclose(wild.quantile([0.1, 0.5, 0.9]), clean.quantile([0.1, 0.5, 0.9]), rtol=0.05)


def test_a_law_that_does_not_fit_is_told():
    two_humps = np.r_[np.full(100, 1.0), np.full(100, 4.0)] + np.random.default_rng(0).random(200) * 0.01
    assert Distribution.fit(two_humps, "lognormal").ks > likely(200)
    for bad in ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0], [0.0, 1.0, 2.0]):
        with pytest.raises(InputError, match="three positive values"):
            Distribution.fit(np.array(bad), "normal")


def test_correlation_is_that_of_the_copula_and_chance_is_none():
    rng = np.random.default_rng(0)
    a, b = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 5000).T
    assert correlation(np.exp(a), b**3) == pytest.approx(0.6, abs=0.04)  # any growing function keeps it
    assert correlation(a[:50], rng.standard_normal(50)) == 0.0


# draws


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.data())
def test_a_style_does_not_depend_on_the_others(seed, i, data):
    others = data.draw(st.lists(st.sampled_from([CAR, WALKER, CONE]), min_size=31, max_size=31))
    alone = torch.full((i + 1,), CAR)
    crowd = torch.tensor(others)
    crowd[i] = CAR
    one, many = people().draw(alone, seed), people().draw(crowd, seed)
    for name in vars(one):
        assert torch.equal(getattr(one, name)[i], getattr(many, name)[i])
        assert getattr(many, name).dtype == torch.float32 and getattr(many, name).shape == (31,)


def test_draws_follow_the_laws_and_their_correlation():
    styles = people().draw(torch.full((3001,), CAR), 7)[1:]
    for name, own in people().classes["car"].laws.items():
        values = getattr(styles, name).double().numpy()
        assert values.min() >= own.least - 1e-6 and values.max() <= own.most + 1e-6
        assert distance(values, own) < 1.63 / np.sqrt(3000)  # 1 % point of Kolmogorov's
    assert correlation(styles.headway.numpy(), styles.gap.numpy()) == pytest.approx(0.6, abs=0.05)
    assert correlation(styles.headway.numpy(), styles.pace.numpy()) == pytest.approx(0.0, abs=0.05)
    assert len(styles.headway.unique()) > 2900
    assert not torch.equal(styles.headway, people().draw(torch.full((3001,), CAR), 8)[1:].headway)


def test_whom_no_law_tells_of_is_the_plain_driver_with_some_variation():
    driver = IDM(acceleration=1.1, gap=3.0)
    styles = people(driver=driver).draw(torch.tensor([CAR, CAR, WALKER, CONE]), 3)
    assert styles.gap.tolist()[2:] == [3.0, 3.0] and styles.gap[1] != 3.0
    assert styles.acceleration.tolist() == pytest.approx([1.1] * 4)
    assert styles.pace[0] == 1.0 and styles.headway[0] == 1.5  # the ego has a planner


def test_clones_are_what_traffic_was_without_a_population():
    driver, n = IDM(), 40
    draws = np.zeros((n, 2))
    for i in range(1, n):
        draws[i] = np.random.default_rng([11, i]).standard_normal(2)
    pace, headway = (1 + 0.1 * torch.from_numpy(draws.clip(-2, 2)).float()).unbind(1)
    styles = Population.clones(driver, 0.1).draw(torch.full((n,), CAR), 11)
    assert torch.equal(styles.pace, pace) and torch.equal(styles.headway, driver.headway * headway)
    assert set(styles.gap.tolist()) == {2.0} and set(styles.lateral.tolist()) == {2.0}
    same = Population.clones(driver, 0.0).draw(torch.full((n,), CAR), 11)
    assert set(same.headway.tolist()) == {1.5}
    assert Population.clones(driver, 0.1).draw(torch.zeros(0, dtype=torch.int64), 0).gap.shape == (0,)


def test_the_pace_of_walkers_is_their_speed_over_the_median():
    walkers = Population({"pedestrian": Class(50, {"speed": law("normal", 1.3, 0.2, 0.7, 1.9)})})
    styles = walkers.draw(torch.full((2001,), WALKER), 0)[1:]
    assert float(styles.pace.median()) == pytest.approx(1.0, abs=0.02)
    assert float(styles.pace.max()) <= 1.9 / 1.3 + 1e-6 < 1.5


# files


def test_a_population_is_read_as_it_was_written(tmp_path):
    people().write(tmp_path / "p.yaml")
    again = Population.read(tmp_path / "p.yaml")
    kinds = torch.full((50,), CAR)
    for name, column in vars(people().draw(kinds, 5)).items():
        torch.testing.assert_close(getattr(again.draw(kinds, 5), name), column)
    assert again.sources == people().sources and again.classes["car"].tracks == 100
    again.write(tmp_path / "q.yaml")
    assert (tmp_path / "q.yaml").read_text() == (tmp_path / "p.yaml").read_text()


def test_a_shipped_population_is_found_by_name():
    shipped = Population.read("ngsim")
    laws = shipped.classes["car"].laws
    assert {"headway", "gap", "acceleration"} <= set(laws) and shipped.sources[0].tracks > 500
    assert 0.8 < float(laws["headway"].quantile(0.5)) < 1.6 and 1.5 < float(laws["gap"].quantile(0.5)) < 4.0


def edited(edit):
    def change(content):
        edit(content["classes"]["car"])
        return content

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: [1, 2], "keys with values are expected"),
        (lambda c: {**c, "format": 9}, "format 9 is not known"),
        (lambda c: {**c, "classes": {"tank": {}}}, "tank is not known; choose from"),
        (lambda c: {**c, "sources": 3}, "sources: a list is expected"),
        (edited(lambda car: car.update(tracks=-1)), r"car.tracks: a count is expected"),
        (edited(lambda car: car["parameters"].update(mood={})), "car.parameters: mood is not known"),
        (edited(lambda car: car["parameters"]["gap"].pop("center")), "car.gap: center is missing"),
        (edited(lambda car: car["parameters"]["gap"].update(spread="x")), "car.gap.spread: 'x' is not a number"),
        (edited(lambda car: car["parameters"]["gap"].update(spread=0)), "car.gap: .*spread above 0"),
        (edited(lambda car: car["parameters"]["gap"].update(spread=float("nan"))), "car.gap: .*must be numbers"),
        (edited(lambda car: car["parameters"]["gap"].update(family="beta")), "family beta: normal or lognormal"),
        (edited(lambda car: car["parameters"]["gap"].update(least=9.0)), "least 9 must be below most 8"),
        (edited(lambda car: car["parameters"]["gap"].update(center=1e6)), "next to nothing of the law lies between"),
        (edited(lambda car: car.update(correlations=[["gap", "mood", 0.1]])), "two of its parameters"),
        (edited(lambda car: car.update(correlations=[["gap", "pace", 1.5]])), "two of its parameters"),
        (
            edited(lambda car: car.update(correlations=[
                ["gap", "pace", 0.9], ["gap", "headway", 0.9], ["pace", "headway", -0.9]])),
            "contradict each other",
        ),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_plain_words(tmp_path, change, told):
    file = tmp_path / "p.yaml"
    people().write(file)
    file.write_text(yaml.safe_dump(change(yaml.safe_load(file.read_text()))))
    with pytest.raises(InputError, match=told) as error:
        Population.read(file)
    assert str(file) in str(error.value)


def test_no_file_and_no_yaml_are_told(tmp_path):
    with pytest.raises(InputError, match="neither a file that .* nor a shipped one; .*ngsim"):
        Population.read("ngsin")
    (tmp_path / "p.yaml").write_text("a: [")
    with pytest.raises(InputError, match="cannot be read"):
        Population.read(tmp_path / "p.yaml")
    with pytest.raises(InputError, match="cannot write"):
        people().write(tmp_path / "no" / "p.yaml")


# calibration


def stop_and_go(steps: int, rng: np.random.Generator) -> np.ndarray:
    """Speeds (steps,) of a leader who changes its mind every 3 s."""
    speed, change = np.empty(steps), 0.0
    speed[0] = rng.uniform(3, 14)
    for k in range(1, steps):
        if k % 30 == 1:
            change = rng.uniform(-2.0, 1.5)
        speed[k] = np.clip(speed[k - 1] + change * DT, 0, 15)
    return speed


def followed(values: np.ndarray, steps: int, rng: np.random.Generator) -> Episode:
    """A driver of known parameters behind such a leader."""
    leader = stop_and_go(steps, rng)
    rear = np.cumsum(leader) * DT + values[3] + values[2] * leader[0] + rng.uniform(0, 5)
    s, speed = simulate(0.0, leader[0], rear, leader, DT, *values, 15.0)
    return Episode(s, speed, rear, leader, DT)


def test_the_simulated_driver_is_the_one_that_traffic_has():
    driver, values = IDM(), np.array([1.5, 2.0, 1.5, 2.0])
    for speed, gap, leader in ((10.0, 20.0, 8.0), (14.0, 6.0, 0.0), (0.0, 30.0, 5.0), (8.0, 1e9, 0.0), (5.0, 9.0, 9.0)):
        _, speeds = simulate(0.0, speed, np.full(2, gap), np.full(2, leader), DT, *values, 15.0)
        told = [torch.tensor(x, dtype=torch.float64) for x in (speed, 15.0, gap, leader, 1.5)]
        assert (speeds[1] - speed) / DT == pytest.approx(float(driver.accelerate(*told)), abs=1e-9)


def test_known_parameters_are_found_again():
    """Of 60 drivers of known style seen for 6 to 19 s: 90 % of what counts is within 30 %, the mean within 15 %."""
    rng = np.random.default_rng(0)
    off = {name: [] for name in FITTED[:4]}
    for _ in range(60):
        values = np.exp(rng.normal(np.log([1.3, 2.0, 1.2, 2.2]), 0.3))
        found = calibrate([followed(values, int(rng.choice([60, 90, 190])), rng)], desired=15.0)
        assert found.values.keys().isdisjoint(found.unknown) and len(found.values) + len(found.unknown) == 4
        for name, true in zip(FITTED[:4], values, strict=True):
            if name in found.values:
                off[name].append(np.log(found.values[name] / true))
    assert len(off["headway"]) > 40 and len(off["acceleration"]) > 10
    for name, errors in off.items():
        assert len(errors) and np.quantile(np.abs(errors), 0.9) < 0.3 and abs(np.mean(errors)) < 0.15, name


def test_a_known_standstill_gap_is_kept_and_helps():
    rng = np.random.default_rng(1)
    values = np.array([1.3, 2.0, 1.4, 3.5])
    fit = calibrate([followed(values, 120, rng)], gap=3.5, desired=15.0)
    assert fit.values["gap"] == pytest.approx(3.5, rel=0.1) and fit.values["headway"] == pytest.approx(1.4, rel=0.1)


def test_what_an_episode_does_not_tell_does_not_count():
    """Steady following at one speed shows one gap: headway and standstill gap cannot both be known, and nothing of
    acceleration and braking."""
    steps = 60
    rear, leader = 20.0 + 10.0 * DT * np.arange(steps), np.full(steps, 10.0)
    steady = Episode(10.0 * DT * np.arange(steps), np.full(steps, 10.0), rear, leader, DT)
    found = calibrate([steady], desired=20.0)
    assert {"acceleration", "braking", "gap"} <= set(found.unknown)
    assert set(found.unknown.values()) == {"not told by the episodes"}
    assert set(calibrate([]).unknown.values()) == {"no episode"}


def test_who_does_not_drive_like_the_model_does_not_count():
    t = np.arange(100) * DT
    leader = np.full(100, 10.0)
    speed = 10 + 6 * np.sin(1.5 * t)  # surges towards a steady leader and away from it
    s = np.cumsum(speed) * DT
    found = calibrate([Episode(s, speed, 12.0 + 10.0 * t, leader, DT)], desired=15.0)
    assert found.error > 0.3 and set(found.unknown.values()) == {"the model does not drive like this"}


# episodes in logs


def way(speeds: np.ndarray, begin: float) -> np.ndarray:
    return begin + np.concatenate([[0.0], np.cumsum((speeds[1:] + speeds[:-1]) / 2 * DT)])


def driven(speeds: np.ndarray, begin: float, y: float = 0.0) -> Agents:
    x = way(speeds, begin)
    xy = torch.from_numpy(np.stack([x, np.full(len(x), y)], -1)).float()
    return path(xy, torch.zeros(len(x)))


def queue(steps: int = 180):
    """Ego far off, a leader that stops, waits and goes, and an IDM driver 30 m behind it."""
    leader = np.interp(np.arange(steps) * DT, [0, 2, 5, 12, 16, 18], [9, 9, 0, 0, 7, 8])
    ahead = way(leader, 30.0)
    _, speed = simulate(4.6 / 2, 9.0, ahead - 2.3, leader, DT, 1.4, 2.0, 1.1, 2.5, 13.9)
    far = track((0, 60.0), speed=0.1, steps=steps)
    return scenario(far, driven(leader, 30.0), driven(speed, 0.0), map=straight_road(2, 400.0))


def test_a_follower_in_a_log_is_found_and_calibrated():
    found = {x.id: x for x in observe(queue())}
    assert set(found) == {"track 1", "track 2"}
    behind = episodes(found["track 2"])
    assert len(behind) == 1 and len(behind[0].s) > 80 and not behind[0].line
    driver = drive_of(found["track 2"])
    assert standstill_gap(found["track 2"]) == pytest.approx(2.6, abs=0.4) == driver.values["gap"]
    assert driver.values["headway"] == pytest.approx(1.1, rel=0.25)
    assert driver.values["acceleration"] == pytest.approx(1.4, rel=0.3)
    assert "pace" in driver.unknown and driver.error < 0.1


def test_who_stops_for_nobody_shows_its_braking():
    leader = {x.id: x for x in observe(queue())}["track 1"]
    stops = [x for x in episodes(leader) if x.line]
    assert len(stops) == 1 and stops[0].rear[0] == pytest.approx(stops[0].s[-1])
    assert braking(leader) == pytest.approx(3.0, rel=0.1)  # from 9 m/s in 3 s


def test_free_speed_against_the_limit():
    far = track((0, 60.0), speed=0.1, steps=60)
    s = scenario(far, track((0, 0), speed=12.0, steps=60), map=straight_road(1, 400.0))
    (free,) = observe(s)
    assert free_speed(free) == pytest.approx((12.0, 13.9), rel=1e-3)
    assert drive_of(free).values["pace"] == pytest.approx(12.0 / 13.9, rel=1e-3)


def test_a_turn_shows_the_lateral_acceleration():
    t = np.arange(90) * DT
    speed, radius = 6.0, 15.0
    yaw = np.clip((t - 2.0) * speed / radius, 0, np.pi / 2)
    xy = np.cumsum(np.stack([np.cos(yaw), np.sin(yaw)], -1), 0) * speed * DT
    turns = path(torch.from_numpy(xy), torch.from_numpy(yaw))
    (seen,) = observe(scenario(track((0, 60.0), speed=0.1, steps=90), turns, map=straight_road(1, 400.0)))
    assert bend(seen) == pytest.approx(speed**2 / radius, rel=0.05)


def test_who_reverses_is_parked_or_passes_by_is_not_looked_at():
    far = track((0, 60.0), speed=0.1, steps=60)
    others = [
        track((0, 0), speed=-3.0, steps=60),
        track((30, 0), steps=60),
        track((50, 0), speed=10.0, steps=60, valid=slice(0, 20)),
        track((90, 3.5), kind=Kind.CONE, steps=60),
    ]
    assert observe(scenario(far, *others, map=straight_road(2, 400.0))) == []


def test_a_moved_world_tells_the_same():
    here = {x.id: drive_of(x) for x in observe(queue())}
    there = {x.id: drive_of(x) for x in observe(move(queue(), 1.1, (40.0, -25.0)))}
    for name, driver in here.items():
        assert driver.values.keys() == there[name].values.keys()
        for key, value in driver.values.items():
            assert there[name].values[key] == pytest.approx(value, rel=0.1)


def test_the_same_drive_in_two_scenes_counts_once():
    whole = queue()
    later = dataclasses.replace(move(whole, 0.7, (300.0, 80.0)), log=move(whole, 0.7, (300.0, 80.0)).log[20:])
    repeats = Repeats()
    assert [repeats.known(x, "whole") for x in observe(whole)] == [False, False]
    assert [repeats.known(x, "later") for x in observe(later)] == [True, True]


def test_fit_counts_tracks_and_leaves_out_what_has_too_few():
    rng = np.random.default_rng(0)
    tracks = [{"headway": float(x)} for x in law().quantile(rng.random(40))]
    tracks[:10] = [{**x, "gap": 2.0 + 0.1 * k} for k, x in enumerate(tracks[:10])]
    own = Population.fit({"car": tracks, "truck": tracks[:5]}).classes
    assert own.keys() == {"car"} and own["car"].laws.keys() == {"headway"}
    assert own["car"].tracks == own["car"].laws["headway"].tracks == 40
    assert Population.fit({"car": tracks}, fewest=10).classes["car"].laws.keys() == {"headway", "gap"}


def test_every_moving_kind_has_one_class():
    counted = Counter(kind for kinds in CLASSES.values() for kind in kinds)
    assert set(counted.values()) == {1} and len(counted) == 9
    assert list(PARAMETERS)[:2] == ["pace", "headway"]  # the order of the draws before there were populations
