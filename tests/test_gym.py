"""The environments of gymnasium: its own checks, rewards and ends by hand, the vector against its single parts."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")

import torch  # noqa: E402
from gymnasium.utils.env_checker import check_env  # noqa: E402
from gymnasium.vector import AutoresetMode, SyncVectorEnv  # noqa: E402

from drivesim.errors import InputError  # noqa: E402
from drivesim.gym import ID, ClosedLoop, ClosedLoopVector, Pedals, Weights  # noqa: E402
from drivesim.traffic.observation import column  # noqa: E402
from drivesim.types import Goal, Light, Signals  # noqa: E402

from .worlds import scenario, straight_road, track  # noqa: E402

STILL, AHEAD = np.zeros(2, np.float32), np.array([0.5, 0.0], np.float32)


def street(id="street", speed=8.0, leader=60.0, **options):
    """An ego behind a parked car on a straight road."""
    return scenario(track((0, 0), speed=speed), track((leader, 0)), track((20, 3.5), speed=6), id=id, **options)


def streets():
    return [street("a"), street("b", leader=30.0), street("c", speed=4.0)]


def finish(env, action, **reset):
    """Drive to the end: total reward, steps and the last info."""
    env.reset(**reset)
    total, steps, over = 0.0, 0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(action)
        total, steps, over = total + reward, steps + 1, terminated or truncated
    return total, steps, info


@pytest.mark.parametrize("action", ["continuous", "discrete"])
def test_gymnasium_finds_nothing_wrong(action):
    env = gymnasium.make(f"drivesim.gym:{ID}", scenarios=streets(), action=action)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_a_town_by_its_source():
    env = gymnasium.make(f"drivesim.gym:{ID}", ids=["town-0003"], agents=8)
    observation, info = env.reset(seed=0)
    assert info["scenario"] == "town-0003" and env.observation_space.contains(observation)


def test_same_seed_same_bytes():
    def drive(seed):
        env = ClosedLoop(streets())
        env.action_space.seed(seed)
        seen = [env.reset(seed=seed)[0]]
        for _ in range(20):
            seen.append(env.step(env.action_space.sample())[0])
        return np.stack(seen).tobytes()

    assert drive(3) == drive(3) != drive(4)


def test_observations_stay_in_their_space_whatever_one_does():
    env = ClosedLoop(streets(), ends=())
    env.action_space.seed(1)
    observation, _ = env.reset(seed=1)
    for _ in range(60):  # beyond the log's end, too
        assert env.observation_space.contains(observation)
        observation, reward, *_ = env.step(env.action_space.sample())
        assert np.isfinite(reward)


def test_an_idle_ego_is_truncated_at_the_end_of_the_log():
    env = ClosedLoop(street(speed=0.0))
    total, steps, info = finish(env, STILL)
    assert (steps, info["cause"], info["progress"]) == (40, "end_of_log", pytest.approx(0, abs=1e-3))
    assert total == pytest.approx(0, abs=1e-3) and not info["arrived"]  # its log stands, too: nowhere to arrive


def test_running_into_the_car_ahead_ends_it():
    env = ClosedLoop(street(leader=20.0, speed=8.0))
    _, steps, info = finish(env, AHEAD)
    # bumpers are 20 - (5.176 + 4.6) / 2 = 15.11 m apart: 8 t + t^2 >= 15.11 after 1.58 s
    assert info["cause"] == "collision" and abs(steps - 16) <= 1
    assert info["reward_terms"]["collision"] == -Weights().collision


def test_leaving_the_road_ends_it():
    env = ClosedLoop(street())
    _, _, info = finish(env, np.array([0.0, -0.5], np.float32))
    assert info["cause"] == "off_road" and info["reward_terms"]["off_road"] == -Weights().off_road


def test_arriving_where_the_log_ended():
    env = ClosedLoop(street(leader=150.0))  # 8 m/s for 4 s: 32 m
    total, steps, info = finish(env, np.array([0.25, 0.0], np.float32))
    assert info["cause"] == "arrived" and info["expert_progress"] == pytest.approx(32, abs=0.1)
    # 8 t + t^2 / 2 >= 32 after 3.3 s
    assert abs(steps - 33) <= 1 and info["progress"] >= info["expert_progress"]
    effort = Weights().discomfort * steps * 0.1 / 9
    assert total == pytest.approx(Weights().arrival + Weights().progress * info["progress"] - effort, abs=0.15)


def test_a_goal_of_the_briefing_counts_instead():
    there = street(leader=150.0)
    area = torch.tensor([[14.0, -2.0], [20.0, -2.0], [20.0, 2.0], [14.0, 2.0]])
    briefing = replace(there.scene.briefing, goals=(Goal(area, speed=(0.0, 9.0)),))
    there = replace(there, scene=replace(there.scene, briefing=briefing))
    _, steps, info = finish(ClosedLoop(there), STILL)
    assert info["cause"] == "arrived" and abs(steps - 18) <= 1  # 14 m at 8 m/s
    _, _, info = finish(ClosedLoop(there), np.array([1.0, 0.0], np.float32))
    assert not info["arrived"]  # too fast: 8 + 4 * 1.5 m/s


def test_red_lights_cost_and_may_end_it():
    signals = Signals(
        torch.tensor([0]), torch.tensor([[12.0, 0.0]]), torch.zeros(1, 4), torch.full((41, 1), int(Light.RED))
    )
    there = street(leader=150.0, signals=signals)
    env = ClosedLoop(there)
    _, _, info = finish(env, STILL)
    assert info["red_light"] and info["cause"] in ("arrived", "end_of_log")
    _, steps, info = finish(ClosedLoop(there, ends=("red_light",)), STILL)
    # the bumper has 12 - 2.588 = 9.41 m to go
    assert info["cause"] == "red_light" and abs(steps - 12) <= 1
    assert info["reward_terms"]["red_light"] == -Weights().red_light
    _, _, info = finish(env, np.array([-1.0, 0.0], np.float32))
    assert not info["red_light"]


def test_what_the_log_starts_in_is_not_the_policys():
    env = ClosedLoop(street(leader=4.0, speed=0.0))  # inside each other
    _, _, info = finish(env, STILL)
    assert info["cause"] == "end_of_log" and not info["collision"]
    narrow = scenario(track((0, 3.0), speed=0), map=straight_road(lanes=1))
    assert finish(ClosedLoop(narrow), STILL)[2]["cause"] == "end_of_log"


def test_reset_chooses_a_scene_and_draws_all():
    env = ClosedLoop(streets())
    assert env.reset(options={"scenario": "b"})[1]["scenario"] == "b"
    assert {env.reset(seed=seed)[1]["scenario"] for seed in range(20)} == {"a", "b", "c"}


def test_actions_mean_what_pedals_say():
    pedals = Pedals()
    given = pedals.commands(np.array([[1.0, 1.0], [-1.0, -0.5], [9.0, 0.0]]), "continuous")
    assert np.allclose(given, [[4, 0.5], [-8, -0.25], [4, 0]])
    cells = pedals.commands(np.arange(63), "discrete")
    assert np.allclose(cells[0], [-8, -0.5]) and np.allclose(cells[-1], [4, 0.5]) and np.allclose(cells[31], [0, 0])
    assert len(np.unique(cells, axis=0)) == 63


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ClosedLoop("nowhere"), "no such choice"),
        (lambda: ClosedLoop([]), "scenarios"),
        (lambda: ClosedLoop([street(), street()]), "twice"),
        (lambda: ClosedLoop(street(), limit=2), "source"),
        (lambda: ClosedLoop(ids=["town-x"]), "town-x"),
        (lambda: ClosedLoop(street(), action="throttle"), "continuous or discrete"),
        (lambda: ClosedLoop(street(), ends=("boredom",)), "boredom"),
        (lambda: ClosedLoop(street(), agents=0), "agents=0"),
        (lambda: ClosedLoop(street(), render_mode="human"), "rgb_array"),
        (lambda: ClosedLoop(street()).reset(options={"scenario": "x"}), "'x'"),
        (lambda: ClosedLoop(street()).reset(options={"scene": "x"}), "scene"),
        (lambda: ClosedLoop(street()).step(np.array([np.nan, 0.0])), "finite"),
        (lambda: ClosedLoop(street(), action="discrete").step(63), "0 to 62"),
        (lambda: ClosedLoopVector(0, street()), "num_envs=0"),
        (lambda: ClosedLoopVector(2, street()).step(np.zeros((3, 2))), "3 actions"),
        (lambda: ClosedLoopVector(2, street()).reset(seed=[1]), "1 seeds"),
        (lambda: ClosedLoopVector(2, street(), autoreset_mode="Never"), "NextStep"),
        (lambda: ClosedLoopVector(2, street()).reset(options={"reset_mask": np.zeros(2, bool)}), "reset_mask"),
        (lambda: Pedals(steering=2.0), "right angle"),
    ],
)
def test_wrong_input_is_told_in_plain_words(call, told):
    with pytest.raises(InputError, match=told):
        call()


def same(a, b, where="info"):
    """Infos of gymnasium's own vector and of ours."""
    assert set(a) == set(b), where
    for key in a:
        if isinstance(a[key], dict):
            same(a[key], b[key], f"{where}.{key}")
        else:
            assert a[key].dtype == b[key].dtype, f"{where}.{key}"
            for x, y in zip(a[key], b[key], strict=True):
                assert np.array_equal(x, y), f"{where}.{key}"


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_the_vector_is_its_single_environments(mode):
    ours = ClosedLoopVector(4, streets(), autoreset_mode=mode)
    singles = SyncVectorEnv([lambda: ClosedLoop(streets())] * 4, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] == mode
    for a, b in zip(ours.reset(seed=5), singles.reset(seed=5), strict=True):
        same(a, b) if isinstance(a, dict) else np.testing.assert_array_equal(a, b)
    ours.action_space.seed(0)
    endings = 0
    for _ in range(70):
        actions = ours.action_space.sample() * [[1.0, 0.2]]
        got, expected = ours.step(actions), singles.step(actions)
        for a, b in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        same(got[4], expected[4])
        endings += int((got[2] | got[3]).sum())
    assert endings > 4


def test_make_vec_makes_the_native_vector():
    envs = gymnasium.make_vec(f"drivesim.gym:{ID}", num_envs=3, scenarios=streets())
    assert isinstance(envs.unwrapped, ClosedLoopVector)
    observation, _ = envs.reset(seed=1)
    assert envs.observation_space.contains(observation) and len(np.unique(observation, axis=0)) > 1


def test_a_vector_without_autoreset_wants_to_be_reset():
    envs = ClosedLoopVector(2, [street("near", leader=10.0)], autoreset_mode="Disabled")
    envs.reset(seed=0)
    ended = np.zeros(2, bool)
    while not ended.any():
        _, _, terminated, truncated, _ = envs.step(np.array([[1.0, 0.0], [-1.0, 0.0]]))
        ended = terminated | truncated
    assert ended.tolist() == [True, False]
    with pytest.raises(InputError, match="has ended"):
        envs.step(np.zeros((2, 2)))
    _, info = envs.reset(options={"reset_mask": ended})
    assert info["_step"].tolist() == [True, False] and info["step"][0] == 0
    envs.step(np.zeros((2, 2)))


def test_pictures_show_the_drive():
    env = ClosedLoop(street(), render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    for _ in range(10):
        env.step(np.array([1.0, 0.0], np.float32))
    assert first.shape == (480, 480, 3) and first.dtype == np.uint8 and (env.render() != first).any()
    envs = ClosedLoopVector(2, street(), render_mode="rgb_array")
    envs.reset(seed=0)
    pictures = envs.render()
    assert len(pictures) == 2 and (pictures[0] == first).all()


def test_the_policy_is_told_of_the_car_ahead():
    env = ClosedLoop(street(leader=30.0))
    observation, _ = env.reset(seed=0)
    x = observation[column("neighbours", "x")] * 60
    assert any(abs(x - 30) < 0.01)
