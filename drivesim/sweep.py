"""Run the jobs that are not stored yet: in this process, or on Ray with every socket on loopback.

Whatever happens to one job is a result of that job alone:

    status   technical  when                                                    tried again by the next run
    ok                  it was driven                                           no
    failed   no         the planner raised, hung, returned nonsense or exited   no: the same job fails the same way
    skipped  no         the scene cannot be driven                              no
    failed   yes        the worker died, a file was missing, a bug of ours      yes

A machine that gets the known answers of `canaries` wrong drives nothing: the sweep stops before it stores a result.

To drive another one once more, delete its row or choose another `out`. Neither the order of the jobs nor the number of
workers changes a byte of what is stored. This module alone knows Ray.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from . import canaries
from .errors import InputError, MetricFailure, NotDrivable, PlannerFailure, Untrusted
from .simulator import one_thread
from .storage import Job, Outcome, Store

# Ray reads these when it is imported, which a plug-in may do before a sweep begins.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # its node is 127.0.0.1, and nothing listens elsewhere
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # workers see the GPUs that this process sees

Drive = Callable[[Job], Outcome]
Progress = Callable[[Job, Outcome], None]
_OBJECT_STORE = 256 << 20  # bytes of shared memory for Ray; a rollout takes about one MB


@dataclass(frozen=True)
class Summary:
    """What a run came to; every job counts once."""

    keys: tuple[str, ...]  # of all jobs that were asked for, in their order
    ok: int = 0
    failed: int = 0  # by the planner's fault
    skipped: int = 0
    technical: int = 0
    reused: int = 0  # stored before this run
    interrupted: bool = False  # by Ctrl-C: the same call goes on from here


def run(
    jobs: Sequence[Job],
    store: Store,
    drive: Drive,
    workers: int = 0,
    progress: Progress | None = None,
    attempts: int = 3,
) -> Summary:
    """Drive and store all jobs that the store does not hold.

    `drive` runs one job; with workers it must be importable by name. `workers` is the number of processes, 0 drives
    in this one. `progress` is told of every job when it is done, reused ones first (their status is "reused"). A job
    whose worker dies is run up to `attempts` times in all. Ctrl-C ends the run and leaves a usable store.

    Raises InputError if the store cannot be written to, and Untrusted if this process or a worker gets known answers
    wrong; nothing of a worker's is stored before it has answered.
    """
    unique = {job.key: job for job in jobs}
    todo = [job for job in unique.values() if not store.has(job.key)]
    counts: Counter[str] = Counter(reused=len(unique) - len(todo))
    tell = progress or (lambda job, outcome: None)
    try:
        canaries.hold()
        missing = {job.key for job in todo}
        for key in [key for key in unique if key not in missing]:
            tell(unique[key], Outcome(status="reused"))
        outcomes = _on_ray(todo, drive, min(workers, len(todo)), attempts) if workers and todo else _here(todo, drive)
        with closing(outcomes):
            for job, outcome in outcomes:
                outcome = _save(store, job, outcome)
                counts["technical" if outcome.technical else outcome.status] += 1
                tell(job, outcome)
    except KeyboardInterrupt:
        return Summary(tuple(unique), **counts, interrupted=True)
    return Summary(tuple(unique), **counts)


def _save(store: Store, job: Job, outcome: Outcome) -> Outcome:
    if outcome.status == "ok" and outcome.rollout is None:
        outcome = replace(outcome, status="failed", cause="the drive gave no rollout", technical=True)
    if outcome.status == "ok":
        try:
            store.save(job, outcome.rollout, outcome.scores, outcome.sidecar, outcome.licence)
            return outcome
        except (TypeError, ValueError) as error:  # a metric's evidence that is no plain data, say
            outcome = replace(outcome, status="failed", cause=f"cannot be stored: {error}", technical=True)
    store.save_failure(job, outcome.cause, outcome.sidecar, outcome.technical, outcome.status, outcome.licence)
    return outcome


def _here(jobs: Sequence[Job], drive: Drive) -> Iterator[tuple[Job, Outcome]]:
    with one_thread():  # as in a worker
        for job in jobs:
            yield job, _attempt(drive, job)


def _attempt(drive: Drive, job: Job) -> Outcome:
    """The job's outcome, whatever it raises."""
    begun, clock = time.time(), time.perf_counter()
    try:
        outcome = drive(job)
    except PlannerFailure as error:
        outcome = _failure(error, error.cause)
    except NotDrivable as error:
        outcome = replace(_failure(error, str(error)), status="skipped")
    except InputError as error:
        outcome = _failure(error, str(error), technical=True)
        outcome = replace(outcome, sidecar={**outcome.sidecar, "refused": True})
    except MetricFailure as error:
        outcome = _failure(error, str(error), technical=True)
    except SystemExit as error:
        outcome = _failure(error, f"planner exited the process with code {error.code}")
    except Exception as error:  # a bug of ours, or of a plug-in: this job's result, not the sweep's end
        outcome = _failure(error, f"{type(error).__name__}: {error}", technical=True)
    host = {"host": platform.node(), "pid": os.getpid(), "begun": begun, "wall_s": time.perf_counter() - clock}
    return replace(outcome, sidecar={"attempts": 1, **host, **outcome.sidecar})


def _failure(error: BaseException, cause: str, technical: bool = False) -> Outcome:
    trace = "".join(traceback.format_exception(error))
    return Outcome(status="failed", cause=cause, technical=technical, sidecar={"traceback": trace})


class _Worker:
    """Lives in a process of Ray's and drives one job after the other."""

    def __init__(self, drive: Drive) -> None:
        self._drive, self._trusted = drive, False

    def run(self, job: Job) -> Outcome:
        import numba

        torch.set_num_threads(1)
        numba.set_num_threads(1)
        if not self._trusted:  # it may live on another machine than the one that has answered for this process
            canaries.hold()
            self._trusted = True
        return _attempt(self._drive, job)


def _on_ray(jobs: Sequence[Job], drive: Drive, workers: int, attempts: int) -> Iterator[tuple[Job, Outcome]]:
    """Outcomes as they come. One job per worker is in flight, so that a death is its own job's death."""
    with _cluster(workers) as ray:
        hire = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker).remote
        idle: list[Any] = []
        busy: dict[Any, tuple[Any, Job, int]] = {}
        waiting = deque((job, 1) for job in jobs)
        try:
            while waiting or busy:
                while waiting and len(busy) < workers:
                    worker, (job, attempt) = idle.pop() if idle else hire(drive), waiting.popleft()
                    busy[worker.run.remote(job)] = worker, job, attempt
                (done, *_), _ = ray.wait(list(busy))
                worker, job, attempt = busy.pop(done)
                outcome = _fetched(ray, done)
                if outcome is not None:
                    idle.append(worker)
                elif attempt < attempts:
                    waiting.appendleft((job, attempt + 1))
                    continue
                outcome = outcome or Outcome(status="failed", cause=f"worker died ({attempt} attempts)", technical=True)
                yield job, replace(outcome, sidecar={**outcome.sidecar, "attempts": attempt})
        finally:
            for worker in (*idle, *(worker for worker, _, _ in busy.values())):
                ray.kill(worker)


def _fetched(ray: Any, reference: Any) -> Outcome | None:
    """What a worker sent; None if it died. Raises Untrusted if the worker does."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # an outcome that cannot be pickled
        if isinstance(error.cause, Untrusted):
            raise error.cause from None
        return _failure(error, f"{type(error.cause).__name__}: {error.cause}", technical=True)
    except ray.exceptions.RayError:
        return None


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Ray on this machine alone for as long as the block runs; one that the caller has started is used and left."""
    import ray

    if ray.is_initialized():
        yield ray
        return
    folder = tempfile.mkdtemp(prefix="ray-")  # its logs and sockets go with it
    try:
        _start(ray, workers, folder)
        yield ray
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _start(ray: Any, workers: int, folder: str) -> None:
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # Ray's workers inherit it
    try:
        ray.init(
            address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="error",
            object_store_memory=_OBJECT_STORE, _node_ip_address="127.0.0.1", _temp_dir=folder,
        )  # fmt: skip
    finally:
        os.environ["PYTHONPATH"] = before
    address = ray.util.get_node_ip_address()
    if address != "127.0.0.1":
        raise InputError(f"Ray was imported before drivesim and would listen on {address}: import drivesim first")
