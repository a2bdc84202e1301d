"""A planner in a child process answers as it does here, and whatever it does wrong is a failure with a cause."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from drivesim.errors import InputError, PlannerFailure
from drivesim.remote.child import ChildPlanner
from drivesim.remote.codec import Codec, NoMessage
from drivesim.types import (
    Briefing,
    Camera,
    Command,
    EgoHistory,
    Frame,
    Light,
    Observation,
    Plan,
    Privileged,
    Signals,
    Vehicle,
)

from . import worlds

HERE = "tests.test_child"


@dataclass
class Foreign:
    """Looks at everything it is given, so that a field that got lost would show in its plan."""

    gain: float = 1.0
    sensors: tuple[str, ...] = ("front",)
    period: float = 0.2
    privileged: bool = True
    oracle: bool = True

    def reset(self, briefing):
        print("a planner may print")
        camera = briefing.cameras[0]
        self.base = briefing.route.sum() + len(camera.name) + camera.intrinsics.sum() + sum(camera.distortion)
        self.base = self.base + briefing.vehicle.wheelbase + int(briefing.command) + briefing.dt

    def plan(self, observation):
        world, frame = observation.world, observation.frames["front"]
        seen = [
            observation.ego.poses, observation.ego.velocity, observation.route, frame.rgb, frame.depth, frame.instance,
            world.agents.xy, world.agents.valid, world.map.lanes.center.points, world.map.drivable.points,
            world.map.ground.z, world.signals.state, world.future,
        ]  # fmt: skip
        total = self.base + sum(x.double().nan_to_num(7).clamp(-1e6, 1e6).sum() for x in seen) + frame.time
        noise = torch.rand(1) + float(np.random.rand())  # the global generators are seeded alike, too
        poses = torch.stack([torch.arange(1, 9) * self.gain, torch.full((8,), float(total)), noise.expand(8)], -1)
        return Plan(poses, torch.arange(1, 9) * 0.5, proposals=poses[None])


FAULTS = ("none", "raises", "dict", "array", "exit", "huge", "hang")


@dataclass
class Faulty:
    """Does at step k what FAULTS[k] says."""

    sensors: tuple[str, ...] = ()
    period: float = 0.1
    privileged: bool = False

    def reset(self, briefing):
        if briefing.command is Command.RIGHT:
            raise OSError("no weights")

    def plan(self, observation):
        return getattr(self, FAULTS[observation.step])()

    def none(self):
        return Plan(torch.zeros(2, 3), torch.tensor([0.5, 1.0]))

    def raises(self):
        raise ValueError("no way {where}")

    def dict(self):
        return {}

    def array(self):
        return Plan(np.zeros((2, 3)), torch.tensor([0.5, 1.0]))

    def exit(self):
        print("about to give up")
        os._exit(3)

    def huge(self):
        return Plan(torch.zeros(10**7, 3), torch.zeros(10**7))

    def hang(self):
        while True:
            time.sleep(60)


class Broken:
    def __init__(self):
        raise RuntimeError("no licence")


def briefing():
    camera = Camera("front", 6, 4, torch.eye(3).double(), torch.eye(4).double(), (0.1, 0.2, 0.3, 0.4, 0.5))
    return Briefing(torch.rand(7, 2), Command.LEFT, Vehicle(), (camera,))


def observation(step=0, world=True):
    scenario = worlds.scenario(worlds.track((0, 0), speed=5), worlds.track((20, 0), valid=slice(5, 9)))
    image = torch.randint(0, 255, (3, 4, 6), dtype=torch.uint8)
    depth = torch.rand(4, 6)
    depth[0] = torch.inf
    frame = Frame(0.1 * step, image, depth, image[0], image[0].to(torch.int16) - 1, image[1])
    past = EgoHistory(torch.zeros(3), torch.rand(3, 3), torch.rand(3, 2), torch.rand(3), torch.zeros(3))
    lights = torch.full((2, 1), int(Light.RED))
    signals = Signals(torch.tensor([1]), torch.zeros(1, 2), torch.zeros(1, 4), lights)
    known = Privileged(scenario.log[step], torch.rand(3), scenario.scene.map, signals, step, torch.rand(5, 3))
    return Observation(
        step, 0.1 * step, past, {"front": frame}, torch.rand(7, 2), Command.LEFT, known if world else None
    )


def same(a, b):
    """Bit for bit, through all fields."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.contiguous().numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    return type(a) is type(b) and a == b


def test_everything_a_planner_gets_survives_the_wire():
    there, back = Codec(), Codec()
    for value, hint in [(briefing(), Briefing), (observation(), Observation), (observation(1, False), Observation)]:
        assert same(value, back.decode(bytearray(there.encode(value, hint)), hint))


def test_a_map_travels_once():
    there, back = Codec(), Codec()
    first = observation()
    sizes = [len(message := there.encode(first, Observation)), len(again := there.encode(first, Observation))]
    maps = [back.decode(bytearray(m), Observation).world.map for m in (message, again)]
    assert sizes[1] < sizes[0]
    assert maps[0] is maps[1], "a planner's cache of map queries must find the map again"


@pytest.mark.parametrize("change", ["short", "long", "type", "fields", "shape", "json"])
def test_a_message_that_lies_is_refused(change):
    message = Codec().encode(Plan(torch.zeros(2, 3), torch.zeros(2)), Plan)
    edits = {
        "short": lambda m: m[:-8],
        "long": lambda m: m + b"\1" * 8,
        "type": lambda m: m.replace(b'"float32"', b'"complex"'),
        "fields": lambda m: m.replace(b'"poses"', b'"shape"'),
        "shape": lambda m: m.replace(b"[2, 3]", b"[2,-3]"),
        "json": lambda m: m.replace(b"{", b"(", 1),
    }
    broken = edits[change](message)
    assert broken != message
    with pytest.raises(ValueError):
        Codec().decode(bytearray(broken), Plan)


def test_what_is_no_plan_is_named():
    with pytest.raises(NoMessage, match="ndarray as Plan.poses"):
        Codec().encode(Plan(np.zeros((2, 3)), torch.zeros(2)), Plan)


def test_same_plan_as_in_process():
    part = {"_target_": f"{HERE}.Foreign", "gain": 2.5}
    torch.manual_seed(11)
    told, seen = briefing(), [observation(0), observation(1)]
    torch.manual_seed(5)
    child = ChildPlanner(part, timeout=20.0)
    np.random.seed(5)
    here = Foreign(gain=2.5)
    try:
        assert (tuple(child.sensors), child.period, child.privileged, child.oracle) == (("front",), 0.2, True, True)
        child.reset(told)
        here.reset(told)
        for observed in seen:
            assert same(here.plan(observed), child.plan(observed))
    finally:
        child.close()


@pytest.fixture(scope="module")
def faulty():
    child = ChildPlanner(f"{HERE}:Faulty", timeout=20.0)
    yield child
    child.close()


@pytest.mark.parametrize(
    "how, cause",
    [
        ("raises", "planner raised ValueError in plan at step 1: no way {where}"),
        ("dict", "planner returned dict instead of a Plan in plan at step 2"),
        ("array", "planner returned ndarray as Plan.poses in plan at step 3"),
        ("exit", "planner process died in plan at step 4: exit code 3, about to give up"),
        ("huge", "planner process broke the protocol in plan at step 5: 160000128 bytes, more than 67108864"),
    ],
)
def test_a_failure_has_a_cause_and_the_next_drive_a_planner(faulty, how, cause):
    faulty.reset(briefing())
    assert faulty.plan(observation(0, False)).poses.shape == (2, 3)
    with pytest.raises(PlannerFailure) as failure:
        faulty.plan(observation(FAULTS.index(how), False))
    assert failure.value.cause == cause


def test_a_hanging_planner_is_killed_and_can_be_reset(faulty):
    faulty.reset(briefing())
    pid, faulty._timeout = faulty._child._process.pid, 0.5
    begun = time.monotonic()
    with pytest.raises(PlannerFailure, match=r"^timeout: no plan within 0.5 s at step 6$"):
        faulty.plan(observation(6, False))
    assert time.monotonic() - begun < 10
    assert not alive(pid)
    with pytest.raises(PlannerFailure, match="reset it first"):
        faulty.plan(observation(0, False))
    told = dataclasses.replace(briefing(), command=Command.RIGHT)
    with pytest.raises(PlannerFailure, match="^planner raised OSError in reset: no weights$") as failure:
        faulty.reset(told)
    assert "in reset\n" in str(failure.value.__cause__), "the traceback in the child is told, too"
    assert faulty._child._process.pid != pid


def test_failures_while_it_is_built():
    with pytest.raises(PlannerFailure, match="^planner raised RuntimeError while it was built: no licence$"):
        ChildPlanner(f"{HERE}:Broken")
    with pytest.raises(InputError, match="no module named nowhere"):
        ChildPlanner("nowhere.to:Find")


def test_the_child_dies_with_its_parent():
    """Also when the parent is killed and the planner is in the middle of a plan."""
    code = f"""
import threading, time
from drivesim.remote.child import ChildPlanner
from tests import test_child as t
child = ChildPlanner("{HERE}:Faulty", timeout=600.0)
child.reset(t.briefing())
print(child._child._process.pid, flush=True)
child.plan(t.observation(6, False))
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid):
    """Running, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
