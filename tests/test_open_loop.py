"""Open loop: the log goes on, the planner is asked, its plans are judged; and plans that come from a file."""

import gzip
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from drivesim import drive, parts, plan_file, rollout_file
from drivesim.asking import check_plan
from drivesim.behavior.idm import IDMTraffic
from drivesim.config import part
from drivesim.control.perfect import Perfect
from drivesim.errors import InputError, PlannerFailure
from drivesim.generation.photos import UNKNOWN, Photos
from drivesim.geometry import from_frame
from drivesim.rigs import rig
from drivesim.simulator import simulate
from drivesim.storage import Job, Store, job_of
from drivesim.types import Cause, Frame, Plan, Provenance, RecordedImage, SensorLog
from drivesim.work import work
from metrics.nuplan.open_loop import nuplan_ols
from metrics.plan_error import ade, fde, miss_rate
from planners.constant_velocity import ConstantVelocity
from planners.expert import Expert
from planners.idm import IDM
from planners.trajectories import Trajectories

from .worlds import path, scenario, track

STEPS = 121


def straight(acceleration=0.0, start=10, **options):
    """12 s along y = 0, with a car ahead."""
    ego = track((0, 0), speed=8, acceleration=acceleration, steps=STEPS)
    return scenario(ego, track((40, 3.5), speed=5, steps=STEPS), start=start, **options)


def curvy(start=10):
    t = torch.arange(STEPS) * 0.1
    yaw, v = 0.3 * torch.sin(t / 2), 6 + torch.sin(0.7 * t)
    xy = torch.cumsum(torch.stack([v * yaw.cos(), v * yaw.sin()], -1) * 0.1, 0)
    return scenario(path(xy, yaw), track((30, 0), speed=4, steps=STEPS), start=start)


class Wild:
    """Plans to turn off the road at 40 m/s."""

    sensors, period, privileged = (), 0.5, False

    def reset(self, briefing): ...

    def plan(self, observation):
        t = torch.arange(1, 81) * 0.1
        return Plan(torch.stack([40 * t, 30 * t, t], -1), t)


class Beside(Expert):
    """The log, one metre to the left."""

    def plan(self, observation):
        plan = super().plan(observation)
        return Plan(plan.poses + torch.tensor([0.0, 1.0, 0.0]), plan.time)


def open_loop(s, planner, **options):
    return simulate(s, planner, loop="open", **options)


# the drive


@pytest.mark.parametrize("planner", [Wild(), ConstantVelocity(), IDM()], ids=lambda p: type(p).__name__)
def test_all_follow_the_log_bit_for_bit_whatever_is_planned(planner):
    s = curvy()
    r = open_loop(s, planner, behavior=IDMTraffic(), control=Perfect(), seed=3)
    for name in ("xy", "z", "yaw", "pitch", "roll", "velocity", "size", "kind", "valid"):
        mine, logged = getattr(r.agents, name), getattr(s.log, name)
        assert mine.numpy().tobytes() == logged.numpy().tobytes(), name
    assert r.loop == "open" and r.cause == Cause.END_OF_LOG and r.contacts == ()
    every = round(planner.period * 10)
    assert r.plan_steps == tuple(range(s.start, STEPS - 1, every)) and len(r.plans) == len(r.plan_steps)


def test_the_planner_sees_the_log_not_its_own_doing():
    """The plans of a planner depend on what was logged up to then alone: a log that goes on differently later
    gives the same plans until there."""
    a, b = straight(), straight()
    turned = b.log.xy.clone()
    turned[60:, 0, 1] += 2.0
    b = replace(b, log=b.log.replace(xy=turned))
    plans = [open_loop(s, ConstantVelocity()) for s in (a, b)]
    same = [torch.equal(p.poses, q.poses) for p, q in zip(plans[0].plans, plans[1].plans, strict=True)]
    assert all(same[: 60 - a.start])
    assert plans[0].plans[0].poses[-1, 0] == pytest.approx(8 * 4, abs=1e-4)


def test_loop_is_stored_and_old_files_are_closed(tmp_path):
    r = open_loop(straight(), ConstantVelocity())
    key = "0" * 32
    file = tmp_path / "r.parquet"
    file.write_bytes(rollout_file.encode(r, key))
    assert rollout_file.read(file, key).loop == "open"
    assert simulate(straight(), ConstantVelocity()).loop == "closed"
    assert rollout_file.encode(replace(r, loop="closed"), key) != rollout_file.encode(r, key)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(InputError, match="loop=half: closed or open is expected"):
        simulate(straight(), Wild(), loop="half")
    with pytest.raises(InputError, match="on_collision=stop: in open loop"):
        simulate(straight(), Wild(), loop="open", on_collision="stop")


def test_a_planner_that_breaks_its_contract_fails_here_too():
    class Late(Wild):
        def plan(self, observation):
            if observation.step > 30:
                raise ValueError("no idea")
            return super().plan(observation)

    with pytest.raises(PlannerFailure, match="ValueError in plan at step 35: no idea"):
        open_loop(straight(), Late())


# scores of plans


@pytest.mark.parametrize("s", [curvy(), straight(acceleration=0.4)], ids=["curvy", "faster"])
def test_the_expert_is_perfect(s):
    r = open_loop(s, Expert(horizon=8.0))
    assert ade([r], s).value < 1e-4 and fde([r], s).value < 1e-4 and miss_rate([r], s).value == 0
    assert nuplan_ols([r], s).value == pytest.approx(1, abs=1e-5)


def test_constant_velocity_is_perfect_where_the_velocity_is_constant():
    s = straight()
    r = open_loop(s, ConstantVelocity(horizon=8.0))
    assert ade([r], s).value < 1e-4 and fde([r], s).value < 1e-4 and miss_rate([r], s).value == 0
    assert nuplan_ols([r], s).value == pytest.approx(1, abs=1e-5)


def test_errors_worked_by_hand():
    s = straight()
    r = open_loop(s, Beside())
    assert ade([r], s).value == pytest.approx(1, abs=1e-5) and fde([r], s).value == pytest.approx(1, abs=1e-5)
    assert miss_rate([r], s).value == 0 and miss_rate([r], s, limit=0.9).value == 1
    s = straight(acceleration=0.4)  # the log gains a t^2 / 2 on who keeps the speed
    r = open_loop(s, ConstantVelocity())
    gained = [0.2 * (k / 2) ** 2 for k in range(1, 7)]
    assert ade([r], s).value == pytest.approx(sum(gained) / 6, abs=1e-3)
    assert fde([r], s).value == pytest.approx(gained[-1], abs=1e-3)
    assert miss_rate([r], s, limit=1.79).value == 1 and miss_rate([r], s, limit=1.81).value == 0
    missed = miss_rate([r], s, limit=1.79)
    assert missed.lost == pytest.approx(sum(event.detail["lost"] for event in missed.evidence), abs=1e-4) == 1
    shown = ade([r], s)
    assert shown.better == "less" and int(shown.series.isfinite().sum()) == sum(k + 30 < STEPS for k in r.plan_steps)


def test_what_cannot_be_compared_says_why():
    s = straight()
    short = open_loop(s, ConstantVelocity(horizon=2.0))
    assert "the plan of step 10 reaches 2.0 s, this score needs 3 s" in ade([short], s).reason
    assert "no plan was made with 11.5 s of the log" in ade([short], s, horizon=11.5).reason
    strayed = simulate(s, Wild(), control=Perfect())
    assert "m off its log at step 15" in ade([strayed], s).reason
    with pytest.raises(InputError, match="interval"):
        ade([short], s, horizon=0.0)


def test_scores_of_drives_do_not_apply_and_keep_their_names():
    s = straight()
    opened, closed = open_loop(s, ConstantVelocity(horizon=8.0)), simulate(s, ConstantVelocity(horizon=8.0))
    judged = set()
    for name in parts.choices("metrics"):
        node = {k: v for k, v in parts.read("metrics", name).items() if k != "_partial_"}
        score = drive.score(node, opened, s)
        if score.valid or score.reason != drive.NOT_DRIVEN:
            judged.add(score.name)
        else:
            driven = drive.score(node, closed, s)
            assert (score.name, score.version) == (driven.name, driven.version) and score.value != score.value
    assert judged == {"ade", "fde", "miss_rate", "nuplan_ols", "pdms", "epdms"}


# photos


class Looks(ConstantVelocity):
    """Keeps what it sees."""

    def __init__(self, *sensors):
        super().__init__()
        self.sensors, self.seen = sensors, []

    def plan(self, observation):
        self.seen.append((observation.step, dict(observation.frames)))
        return super().plan(observation)


class Grey:
    """Draws every camera in grey."""

    def remember(self, scenario):
        return "grey"

    def render(self, state, world, cameras):
        assert world == "grey"
        flat = lambda c, x, kind: torch.full((c.height, c.width), x, dtype=kind)  # noqa: E731
        return {c.name: Frame(int(state.step) * 0.1, torch.full((3, c.height, c.width), 128, dtype=torch.uint8),
                              flat(c, 1.0, torch.float32), flat(c, 0, torch.uint8), flat(c, -1, torch.int16),
                              flat(c, int(Provenance.PROXY), torch.uint8)) for c in cameras}, world  # fmt: skip


GREY = {"_target_": f"{__name__}.Grey"}


def photographed(gap=None):
    """A photo of the front camera each 0.1 s, 20 ms early, of the shade of its step; none in the steps of `gap`."""
    cameras = tuple(replace(c, width=8, height=6, rate=10.0) for c in rig("nuscenes")[:2])
    front = cameras[0]

    def shot(k):
        return lambda: torch.full((3, 6, 8), k, dtype=torch.uint8)

    images = tuple(RecordedImage(front, 0.1 * k - 0.02, torch.eye(4, dtype=torch.float64), shot(k))
                   for k in range(STEPS) if gap is None or k not in gap)  # fmt: skip
    return replace(straight(cameras=cameras), sensors=SensorLog({front.name: images})), [c.name for c in cameras]


def test_cameras_show_the_photos_of_the_log():
    s, (front, other) = photographed()
    planner = Looks(front, other)
    open_loop(s, planner, generation=Photos(GREY))
    assert len(planner.seen) == STEPS - 1 - s.start
    for step, frames in planner.seen:
        photo, drawn = frames[front], frames[other]
        assert int(photo.rgb[0, 0, 0]) == step and photo.time == pytest.approx(0.1 * step - 0.02)
        assert bool((photo.provenance == int(Provenance.OBSERVED)).all()) and bool((photo.semantics == UNKNOWN).all())
        assert bool(photo.depth.isnan().all()) and bool((photo.instance == -1).all())
        assert int(drawn.rgb[0, 0, 0]) == 128 and bool((drawn.provenance == int(Provenance.PROXY)).all())


def test_where_a_photo_is_missing_the_world_is_drawn_or_it_is_said():
    s, (front, _) = photographed(gap=range(50, 60))
    planner = Looks(front)
    open_loop(s, planner, generation=Photos(GREY))
    shades = {step: int(frames[front].rgb[0, 0, 0]) for step, frames in planner.seen}
    assert shades[49] == 49 == shades[50] and shades[51] == 128 and shades[59] == 128 and shades[60] == 60
    with pytest.raises(InputError, match="no photo of .* at 5.1 s, and nothing draws one"):
        open_loop(s, Looks(front), generation=Photos())


def test_photos_taken_rarely_are_kept_until_the_next():
    """Keyframes alone, twice a second: pictures never change between photos and drawings."""
    s, (front, _) = photographed(gap=[k for k in range(STEPS) if k % 5])
    planner = Looks(front)
    open_loop(s, planner, generation=Photos())
    assert all(int(frames[front].rgb[0, 0, 0]) == step // 5 * 5 for step, frames in planner.seen)


def test_a_photo_is_scaled_to_its_camera():
    s, (front, _) = photographed()
    cameras = tuple(c.resized(16, 12) for c in s.scene.briefing.cameras)
    s = replace(s, scene=replace(s.scene, briefing=replace(s.scene.briefing, cameras=cameras)))
    planner = Looks(front)
    open_loop(s, planner, generation=Photos())
    assert planner.seen[0][1][front].rgb.shape == (3, 12, 16) and int(planner.seen[0][1][front].rgb[0, 5, 5]) == s.start


# files of trajectories


def written(folder, r, name="plans.jsonl", id="test"):
    file = folder / name
    plan_file.write(file, [(id, k, p) for k, p in zip(r.plan_steps, r.plans, strict=True)])
    return file


@pytest.mark.parametrize("name", ["plans.jsonl", "plans.parquet", "plans.jsonl.gz"])
def test_a_file_of_plans_scores_as_the_planner_that_made_them(tmp_path, name):
    s = curvy()
    direct = open_loop(s, IDM(horizon=8.0, period=0.5))
    file = written(tmp_path, direct, name.removesuffix(".gz"))
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(file.read_bytes()))
    played = open_loop(s, Trajectories(tmp_path / name))
    assert played.plan_steps == direct.plan_steps
    for p, q in zip(direct.plans, played.plans, strict=True):
        assert torch.equal(p.poses, q.poses) and torch.equal(p.time, q.time)
    for metric in (ade, fde, miss_rate, nuplan_ols):
        assert metric([played], s).value == metric([direct], s).value


@pytest.mark.parametrize("frame", ["world", "global"])
@pytest.mark.parametrize("by", ["step", "time"])
def test_frames_and_time_stamps(tmp_path, frame, by):
    s = replace(curvy(), origin=torch.tensor([664_000.0, 3_999_000.0, 20.0], dtype=torch.float64))
    direct = open_loop(s, ConstantVelocity(period=0.5))
    lines = [{"frame": frame, "times": direct.plans[0].time.tolist()}]
    for k, plan in zip(direct.plan_steps, direct.plans, strict=True):
        poses = from_frame(plan.poses.double(), direct.vehicle.rear_axle(s.log[k, 0].poses.double()))
        if frame == "global":
            poses[:, :2] += s.origin[:2]
        lines.append({"scenario": "test", by: k if by == "step" else 0.1 * k + 0.01, "poses": poses.tolist()})
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    played = open_loop(s, Trajectories(tmp_path / "p.jsonl"))
    assert played.plan_steps == direct.plan_steps
    for p, q in zip(direct.plans, played.plans, strict=True):
        assert float((p.poses - q.poses).abs().max()) < 1e-3


GOOD = {"scenario": "test", "step": 10, "poses": [[4, 0, 0], [8, 0, 0]], "times": [0.5, 1.0]}
WRONG = [
    ({"scenario": None}, "scenario is None; the id of a scenario"),
    ({"poses": None}, r"poses of shape \(\)|poses holds a number that is not finite|no list of numbers"),
    ({"poses": [[4, 0, 0], [8, 0]]}, "poses is no list of numbers, or its rows differ"),
    ({"poses": [[4, 0], [8, 0]]}, r"poses of shape \(2, 2\)"),
    ({"poses": [[4, 0, 0], [8, 0, float("nan")]]}, "poses holds a number that is not finite"),
    ({"poses": [[4, 0, 0], [8, 0, 10**400]]}, "no list of numbers"),
    ({"poses": [[4, 0, 90], [8, 0, 90]]}, "a yaw of 90; radians are expected"),
    ({"times": [0.5]}, "times of shape"),
    ({"times": 0.5, "poses": [1, 0, 0]}, r"times of shape \(\)"),
    ({"times": [0.0, 0.5]}, "times must increase from above 0"),
    ({"times": [1.0, 0.5]}, "times must increase"),
    ({"times": [500, 1000]}, "the last time is 1000 s; .* neither milliseconds"),
    ({"step": 1.5}, "step is 1.5; a whole number"),
    ({"step": -1}, "step is -1"),
    ({"step": None}, "neither step nor time"),
    ({"step": None, "time": 1.6e9}, "no time stamp of a clock"),
    ({"step": None, "time": 10**400}, "no time stamp of a clock"),
    ({"step": None, "time": float("nan")}, "time is nan"),
    ({"Frame": "world"}, "'Frame' is no known key; scenario, step, time, poses, times, frame are"),
    ({"poses": [["4", 0, 0], [8, 0, 0]]}, "poses is no list of numbers"),
    ({"poses": [[True, 0, 0], [8, 0, 0]]}, "poses is no list of numbers"),
    ({"time": 1.4}, "step 20 is at 2 s, but time is 1.4 s"),
    ({"scenario": ["x" * 1000]}, r"scenario is \['x{1,60}\.\.\.;"),
    ({"frame": "lidar"}, "frame is 'lidar'; ego, world, global are known"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=lambda x: str(x)[:40])
def test_a_wrong_row_is_refused_with_its_line(tmp_path, change, told):
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(map(json.dumps, [GOOD, {**GOOD, "step": 20, **change}])))
    with pytest.raises(InputError, match=f"p.jsonl, line 2: .*({told})"):
        Trajectories(file)


def test_a_misspelt_header_or_column_is_refused_and_own_keys_pass(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(map(json.dumps, [{"Frame": "world"}, GOOD])))
    with pytest.raises(InputError, match="line 1, which speaks for all: 'Frame' is no known key; frame, times are"):
        Trajectories(file)
    file.write_text("\n".join(map(json.dumps, [{"x_by": "me"}, {**GOOD, "x_note": 1, "time": 1.04}])))
    assert Trajectories(file).recorded() == ["test"]
    table = pa.table({key: [value] for key, value in {**GOOD, "Frame": None}.items()})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(InputError, match="columns: 'Frame' is no known key"):
        Trajectories(tmp_path / "p.parquet")


@pytest.mark.parametrize("name", ["p.jsonl", "p.parquet"])
def test_what_is_written_can_be_read_and_replaces_whole(tmp_path, name, monkeypatch):
    turned = Plan(torch.tensor([[1.0, 0.0, 13.0]]), torch.tensor([0.5]))
    plan_file.write(tmp_path / name, [("test", 10, turned)])
    yaw = plan_file.read(tmp_path / name)["test"][0].poses[0, 2]
    assert yaw == pytest.approx(13 - 4 * torch.pi, abs=1e-6)
    before = (tmp_path / name).read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drivesim.parquet.write", full)
    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(InputError, match="cannot be written"):
        plan_file.write(tmp_path / name, [("test", 11, turned)])
    assert (tmp_path / name).read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("plan", "told"), [
    (Plan(torch.zeros(1500, 3), torch.arange(1, 1501) * 0.01), "1500 poses at step 10; 1000 are the most"),
    (Plan(torch.zeros(1, 3), torch.ones(1), torch.full((2, 1, 3), torch.nan)), "a proposal with what is not a number"),
    (Plan(torch.zeros(1, 3), torch.ones(1), torch.zeros(20_001, 1, 3)), "20001 proposals"),
])  # fmt: skip
def test_plans_are_bounded(plan, told):
    with pytest.raises(PlannerFailure, match=told):
        check_plan(plan, 10)


@pytest.mark.parametrize(("steps", "told"), [
    (lambda: 1 / 0, "ZeroDivisionError in play"), (lambda: None, "TypeError in play"),
    (lambda: [10, 120], "returned 120"),
    (lambda: [9], "returned 9"), (lambda: [10.0], "returned 10.0"), (lambda: [True], "returned True"),
])  # fmt: skip
def test_steps_to_play_are_checked(steps, told):
    planner = Wild()
    planner.play = lambda scenario: steps()
    with pytest.raises(PlannerFailure, match=told):
        open_loop(straight(), planner)


def test_files_that_are_none(tmp_path):
    for name, content, told in (
        ("p.jsonl", b"", "holds no trajectories"), ("p.jsonl", b"[1]\n", "line 1: an object is expected"),
        ("p.jsonl", b'{"a":\n', "line 1: no JSON"), ("p.jsonl", b"\x80\x81\n", "line 1: no JSON"),
        ("p.jsonl", b"[" * 100_000, "line 1: no JSON"), ("p.csv", b"a,b", ".jsonl .* or .parquet is expected"),
        ("p.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("p.jsonl", b"\n".join([json.dumps(GOOD).encode()] * 2), "a second trajectory .* the first is line 1"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=told):
            Trajectories(tmp_path / name)
    with pytest.raises(InputError, match="gone.jsonl: cannot be read"):
        Trajectories(tmp_path / "gone.jsonl")


def played(tmp_path, *rows, loop="open", **options):
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return simulate(straight(), Trajectories(tmp_path / "p.jsonl", **options), loop=loop)


def test_a_file_that_does_not_fit_the_scenario(tmp_path):
    with pytest.raises(InputError, match=r"has no trajectories of test; it has other"):
        played(tmp_path, {**GOOD, "scenario": "other"})
    with pytest.raises(InputError, match="line 1: step 500, but test has steps 0 to 120"):
        played(tmp_path, {**GOOD, "step": 500})
    with pytest.raises(InputError, match="a second trajectory for step 10"):
        played(tmp_path, GOOD, {**GOOD, "step": None, "time": 1.0})
    with pytest.raises(InputError, match="the first pose is 400 m from the ego, 0.5 s after .* in the frame 'ego'"):
        played(tmp_path, {**GOOD, "poses": [[400, 0, 0], [404, 0, 0]]})
    with pytest.raises(InputError, match="are outside the steps at which plans are made, 10 to 119"):
        played(tmp_path, {**GOOD, "step": 4})
    late = {**GOOD, "step": 60, "poses": [[64, 0, 0], [68, 0, 0]]}  # of the world, but the file says ego
    with pytest.raises(InputError, match="in the frame 'ego'"):
        played(tmp_path, GOOD, late)


def test_steps_without_a_trajectory(tmp_path):
    rows = [{**GOOD, "step": k} for k in (10, 15, 20, 35, 40)]
    with pytest.raises(InputError, match=r"lacks a trajectory at 16 of 21 steps \(25, 30, 45, .*it reaches to step 40"):
        played(tmp_path, *rows)
    assert played(tmp_path, *rows, missing="skip").plan_steps == (10, 15, 20, 35, 40)
    assert played(tmp_path, *rows, every=1.0, missing="skip").plan_steps == (10, 20, 40)
    with pytest.raises(InputError, match="lacks a trajectory at 15 of 21 steps"):
        played(tmp_path, *[r for r in rows if r["step"] != 10] + [{**GOOD, "step": k} for k in (25, 30)])
    with pytest.raises(InputError, match="every=0.33: a multiple of 0.1 s"):
        played(tmp_path, *rows, every=0.33)
    assert played(tmp_path, GOOD).plan_steps == (10,)


def test_one_trajectory_in_closed_loop_is_driven_to_its_end(tmp_path):
    t = [0.5 * k for k in range(1, 25)]
    r = played(tmp_path, {**GOOD, "poses": [[8 * x, 0, 0] for x in t], "times": t}, loop="closed")
    assert r.plan_steps == (10,) and r.loop == "closed"
    assert float((r.agents.xy[:, 0] - straight().log.xy[:, 0]).norm(dim=-1).max()) < 0.3
    with pytest.raises(InputError, match="no plan at step 10, where the closed loop begins"):
        played(tmp_path, {**GOOD, "step": 20}, {**GOOD, "step": 30}, loop="closed", missing="skip")


# from the configuration to the store


def composed(**changes):
    plain = {
        "scenarios": {"_target_": "scenarios.synthetic.Synthetic", "count": 3, "duration": 3.0},
        "planner": {"_target_": "planners.constant_velocity.ConstantVelocity"},
        "generation": {"_target_": "drivesim.generation.layout.LayoutRaster"},
        "behavior": {"_target_": "drivesim.behavior.idm.IDMTraffic"},
        "control": {"_target_": "drivesim.control.lqr.LQR"},
        "metrics": {"ade": {"_target_": "metrics.plan_error.ade", "horizon": 1.0}}, "planners": [], "seed": 0,
        "seeds": None, "on_collision": "continue", "loop": "open", "workers": 0, "out": "o",
    }  # fmt: skip
    return {**plain, **changes}


def test_an_open_job_says_so_everywhere_and_holds_nobody_who_decides():
    job = work(composed()).jobs[0]
    closed = work(composed(loop="closed")).jobs[0]
    assert job.loop == "open" and closed.loop == "closed" and job.key != closed.key
    assert job.key != replace(job, loop="closed").key
    assert job.planner_name == "constant_velocity (open loop)" and closed.planner_name == "constant_velocity"
    assert job.behavior == {"_target_": None} == job.control
    other = composed(control={"_target_": "drivesim.control.perfect.Perfect"})
    assert work(other).jobs[0].key == job.key, "who follows plans changes nothing where none does"
    assert job.generation["_target_"].endswith("Photos") and closed.generation["_target_"].endswith("LayoutRaster")
    drawn = composed(generation={"_target_": "drivesim.generation.layout.LayoutRaster", "photos": False})
    assert work(drawn).jobs[0].generation == closed.generation
    with pytest.raises(InputError, match="generation.photos: an ego that drives"):
        work({**drawn, "loop": "closed"})
    with pytest.raises(InputError, match="generation.photos=2: true or false is expected"):
        work(composed(generation={"_target_": "drivesim.generation.layout.LayoutRaster", "photos": 2}))
    with pytest.raises(InputError, match="loop=half"):
        work(composed(loop="half"))


def test_a_file_says_which_scenarios_to_drive(tmp_path):
    file, id = tmp_path / "p.jsonl", "town-0001"
    rows = [{**GOOD, "scenario": id}, {**GOOD, "scenario": "elsewhere"}]
    file.write_text("\n".join(map(json.dumps, rows)))
    asked = composed(planner={"_target_": "planners.trajectories.Trajectories", "path": str(file)})
    found = work(asked)
    assert [job.scenario for job in found.jobs] == [id]
    assert found.sifted == "1 of 2 scenarios with trajectories are not driven: elsewhere"
    every = {**asked, "scenarios": {**asked["scenarios"], "limit": 0}}
    assert len(work(every).jobs) == 3, "who says how many is taken at his word"
    key = found.jobs[0].key
    file.write_text("\n".join(map(json.dumps, [{**rows[0], "times": [0.4, 1.0]}])))
    assert work(asked).jobs[0].key != key, "other plans in the file are another job"
    with pytest.raises(InputError, match="planner.timeout: plans from a file"):
        work({**asked, "planner": {**asked["planner"], "timeout": 1.0}})
    file.write_text(json.dumps(rows[1]))
    with pytest.raises(InputError, match="none of the 1 scenarios with trajectories .elsewhere. is among the source's"):
        work(asked)


def test_order_changes_no_bytes_and_stored_plans_come_back_as_a_file(tmp_path, capsys):
    from drivesim import cli, sweep

    jobs = list(work(composed(scenarios={**composed()["scenarios"], "limit": 2})).jobs)
    for folder, order in (("a", jobs), ("b", jobs[::-1])):
        sweep.run(order, Store(tmp_path / folder), drive.drive)
    for job in jobs:
        for name in (f"results/{job.key}.json", f"rollouts/{job.key}.parquet"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    row = Store(tmp_path / "a").row(jobs[0].key)
    assert row["status"] == "ok" and row["job"]["loop"] == "open" and job_of(row).key == jobs[0].key
    file = tmp_path / "plans.parquet"
    assert cli.main(["plans", str(tmp_path / "a"), str(file)]) == 0
    assert "trajectories of 2 scenarios" in capsys.readouterr().out
    again = work(composed(planner={"_target_": "planners.trajectories.Trajectories", "path": str(file)})).jobs
    assert {job.scenario for job in again} == {job.scenario for job in jobs}
    played = {job.scenario: drive.drive(job).scores[0].value for job in again}
    for job in jobs:
        assert Store(tmp_path / "a").row(job.key)["scores"][0]["value"] == played[job.scenario]
    assert cli.main(["plans", str(tmp_path / "a"), str(file), "--planner", "idm"]) == 2
    assert "--planner idm: no such drive; choose from constant_velocity (open loop)" in capsys.readouterr().err


def test_a_job_of_an_older_row_is_closed():
    job = Job({}, "a", "f", {"_target_": "x"}, "x")
    assert job.loop == "closed" and part("planner", "constant_velocity").period == 0.1
