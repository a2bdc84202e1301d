"""Many jobs: the same bytes in whatever order and on however many workers, and every failure is its own job's."""

import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim import canaries, sweep
from drivesim.drive import drive
from drivesim.errors import InputError, NotDrivable, Untrusted
from drivesim.storage import Job, Outcome, Store, scores_of
from drivesim.sweep import run
from drivesim.types import Plan, Score

from . import worlds

HERE = "tests.test_sweep"


@dataclass
class Straight:
    """A source of short drives along a straight road; `wall` cannot be driven, `lost` misses a file."""

    root: str = ""

    def ids(self):
        return ["a", "b"]

    def fingerprint(self, id):
        return f"content of {id}"

    def load(self, id):
        if id == "wall":
            raise NotDrivable("wall: one frame only")
        if id == "lost" and not (Path(self.root) / "file").exists():
            raise InputError("lost: no file; put it there")
        speed = {"a": 5.0, "b": 8.0}.get(id, 3.0)
        made = worlds.scenario(worlds.track((0, 0), speed=speed, steps=21), worlds.track((40, 0), steps=21), id=id)
        return type(made)(**{**vars(made), "fingerprint": self.fingerprint(id), "licence": "none"})


@dataclass
class Wander:
    """Draws from every global generator, and remembers: state that leaks from drive to drive would show."""

    kind: str = "fine"
    mark: str = ""
    sensors: tuple[str, ...] = ()
    period: float = 0.5
    privileged: bool = False
    plans: int = 0

    def reset(self, briefing):
        pass

    def plan(self, observation):
        self.plans += 1
        if self.kind == "raises":
            raise ValueError("no idea")
        if self.kind == "exits":
            raise SystemExit(4)
        if self.kind == "dies" or (self.kind == "dies once" and not os.path.exists(self.mark)):
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        side = 0.1 * (random.random() + np.random.rand() + float(torch.rand(1))) + 0.01 * self.plans
        ahead = torch.arange(1, 9) * 2.0
        return Plan(torch.stack([ahead, side * ahead / 16, torch.zeros(8)], -1), torch.arange(1, 9) * 0.5)


def where_it_ended(rollouts, scenario):
    return Score("end", float(rollouts[0].agents.xy[-1, 0, 1]), unit="m")


def broken(rollouts, scenario):
    return 1 / 0


def job(scenario="a", seed=0, metric="where_it_ended", root="", **planner):
    return Job(
        source={"_target_": f"{HERE}.Straight", "root": root}, scenario=scenario,
        fingerprint=f"content of {scenario}", planner={"_target_": f"{HERE}.Wander", **planner}, planner_name="wander",
        metrics=({"_target_": f"{HERE}.{metric}"},), seed=seed,
    )  # fmt: skip


JOBS = [job(scenario, seed) for scenario in "ab" for seed in (0, 1)]
FAILING = [job(kind="raises"), job("wall"), job(kind="exits")]


@pytest.fixture(scope="module")
def cluster():
    with sweep._cluster(2) as ray:
        yield ray


def contents(store):
    """Bytes of everything that may not differ."""
    return {p.name: p.read_bytes() for f in ("results", "rollouts") for p in sorted((store.out / f).iterdir())}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What one process stores."""
    store = Store(tmp_path_factory.mktemp("here"))
    summary = run(JOBS + FAILING, store, drive)
    assert (summary.ok, summary.failed, summary.skipped, summary.technical) == (4, 2, 1, 0)
    return contents(store)


def test_drives_differ_by_seed_and_scenario(here):
    assert len({here[f"{j.key}.parquet"] for j in JOBS}) == len(JOBS)
    assert len(here) == 2 * len(JOBS) + len(FAILING)


def test_a_worker_changes_no_byte(cluster, here, tmp_path):
    store, jobs = Store(tmp_path), random.Random(1).sample(JOBS + FAILING, len(JOBS + FAILING))
    open_ports = set()
    summary = run(jobs, store, drive, 1, lambda job, outcome: open_ports.update(listeners()))
    assert (summary.ok, summary.failed, summary.skipped, summary.technical) == (4, 2, 1, 0)
    assert contents(store) == here
    assert store.sidecar(JOBS[0].key)["pid"] != os.getpid()
    assert open_ports and all(loopback(address) for address in open_ports), open_ports


def test_two_workers_change_no_byte_and_a_death_is_its_own_jobs_death(cluster, here, tmp_path):
    store, seen = Store(tmp_path / "out"), []
    dying = [job(kind="dies once", mark=str(tmp_path / "once")), job(kind="dies", mark=str(tmp_path / "often"))]
    jobs = random.Random(2).sample(JOBS + FAILING + dying, len(JOBS + FAILING + dying))
    summary = run(jobs, store, drive, 2, lambda job, outcome: seen.append(job.key), attempts=2)
    assert (summary.ok, summary.failed, summary.skipped, summary.technical) == (5, 2, 1, 1)
    assert sorted(seen) == sorted(summary.keys) == sorted(j.key for j in jobs)
    once, often = (store.row(j.key) for j in dying)
    assert once["status"] == "ok" and store.sidecar(once["key"])["attempts"] == 2
    assert often["cause"] == "worker died (2 attempts)" and often["technical"]
    assert not store.has(often["key"]), "the next run tries again"
    others = {name: data for name, data in contents(store).items() if name[:32] not in (once["key"], often["key"])}
    assert others == here


def _broken():
    """Unpickled in a worker: from then on that process inverts matrices a little wrong."""
    right = np.linalg.inv
    np.linalg.inv = lambda matrix: right(matrix) * (1 + 1e-6)
    return Breaks()


class Breaks:
    def __call__(self, job):
        return Outcome(status="skipped", cause="asked to drive after all")

    def __reduce__(self):
        return _broken, ()


def test_a_worker_that_gets_known_answers_wrong_stops_the_sweep(cluster, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(Untrusted, match="matrix inverse: numpy.linalg.inv"):
        run(JOBS, store, Breaks(), 1)
    assert store.rows() == [] and canaries.ask("matrix inverse").wrong == ()


def test_failures_have_causes(tmp_path):
    store = Store(tmp_path)
    jobs = [*FAILING, job("lost", root=str(tmp_path)), job(metric="broken"), job(kind="a b c", nonsense=1)]
    run(jobs, store, drive)
    causes = [(store.row(j.key)["status"], store.row(j.key)["cause"]) for j in jobs]
    assert causes[:5] == [
        ("failed", "planner raised ValueError in plan at step 0: no idea"),
        ("skipped", "wall: one frame only"),
        ("failed", "planner exited the process with code 4"),
        ("failed", "lost: no file; put it there"),
        ("failed", f"metric {HERE}.broken raised ZeroDivisionError: division by zero"),
    ]
    assert causes[5][0] == "failed" and "nonsense" in causes[5][1]
    assert [store.row(j.key)["technical"] for j in jobs] == [False, False, False, True, True, False]
    assert "no idea" in store.sidecar(jobs[0].key)["traceback"]
    refused = [bool(store.sidecar(j.key).get("refused")) for j in jobs]
    assert refused[3] and not refused[4], "a broken metric is no wrong input"


def test_only_technical_failures_are_tried_again(tmp_path):
    store = Store(tmp_path / "out")
    jobs = [job(), job(kind="raises"), job("lost", root=str(tmp_path))]
    first = run(jobs, store, drive)
    (tmp_path / "file").touch()
    second = run(jobs, store, drive)
    assert (first.ok, first.failed, first.technical, first.reused) == (1, 1, 1, 0)
    assert (second.ok, second.failed, second.technical, second.reused) == (1, 0, 0, 2)
    assert scores_of(store.row(jobs[2].key))[0].valid


def test_equal_jobs_run_once(tmp_path):
    calls = []
    summary = run([job(), job()], Store(tmp_path), lambda j: calls.append(j) or drive(j))
    assert len(calls) == 1 and summary.keys == (job().key,)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_run_goes_on_where_it_was(request, here, tmp_path, workers):
    if workers:
        request.getfixturevalue("cluster")
    store = Store(tmp_path)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us with it ignored

    def interrupt(job, outcome):
        signal.raise_signal(signal.SIGINT)

    first = run(JOBS, store, drive, workers, interrupt)
    assert first.interrupted and first.ok == 1 and len(store.rows()) == 1
    states = []
    second = run(JOBS, store, drive, 0, lambda job, outcome: states.append(outcome.status))
    assert (second.reused, second.ok, second.interrupted) == (1, 3, False)
    assert states == ["reused", "ok", "ok", "ok"]
    assert contents(store) == {name: here[name] for name in contents(store)}


def test_an_outcome_that_cannot_be_stored_is_a_failure(tmp_path):
    store = Store(tmp_path)
    summary = run([job()], store, lambda j: Outcome(None))
    assert summary.technical == 1 and store.row(job().key)["cause"] == "the drive gave no rollout"


def test_data_that_changed_meanwhile_is_told(tmp_path):
    store = Store(tmp_path)
    stale = Job(**{**{n: getattr(job(), n) for n in job().__dataclass_fields__}, "fingerprint": "older"})
    assert run([stale], store, drive).technical == 1
    assert "changed" in store.row(stale.key)["cause"]


def test_global_generators_go_on_as_if_nothing_had_been_drawn(tmp_path):
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    want = float(torch.rand(1)), np.random.rand(), random.random()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    run([job()], Store(tmp_path), drive)
    assert (float(torch.rand(1)), np.random.rand(), random.random()) == want


def listeners():
    """Addresses (hex, as in /proc/net/tcp) on which this process and its descendants listen."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    tree = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= more
    sockets = set()
    for pid in tree:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(link))
            except OSError:
                continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def loopback(address):
    """127.0.0.1, the same as an IPv6 address, or ::1."""
    return address in ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
