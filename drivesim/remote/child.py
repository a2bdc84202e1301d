"""A planner in a process of its own, which can be killed when it hangs and whose crash is not ours.

The two ends talk over a pair of sockets that nobody else can reach. What the planner prints goes to standard error. The
child ends when its parent does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from .. import parts
from ..errors import InputError, PlannerFailure
from ..types import Briefing, Observation, Plan
from .codec import Codec
from .wire import FAILURE, MAX_REPLY, REPLIES, REQUESTS, Ask, Build, Failure, Reset, receive, send


class ChildPlanner:
    """The Planner that `planner` describes, run in a child process.

    `planner` is `my.pkg:Mine` or a dict with `_target_` and options. A plan may take `timeout` seconds and a reset,
    with the start of the process, `reset_timeout`; a child that takes longer is killed. Every failure of the child is
    a PlannerFailure; a planner that cannot be found or configured is an InputError. `reset` starts a new child where
    the last one is gone.
    """

    def __init__(self, planner: str | Mapping[str, Any], timeout: float = 2.0, reset_timeout: float = 60.0) -> None:
        self._part = {"_target_": parts.dotted(planner)} if isinstance(planner, str) else dict(planner)
        self._timeout, self._reset_timeout = float(timeout), float(reset_timeout)
        self._child: _Child | None = None
        self._start()

    def reset(self, briefing: Briefing) -> None:
        if self._child is None:
            self._start()
        self._ask(Ask.RESET, Reset(briefing), self._reset_timeout, "no answer to reset", "in reset")

    def plan(self, observation: Observation) -> Plan:
        return self._ask(Ask.PLAN, observation, self._timeout, "no plan", f"in plan at step {observation.step}")

    def close(self) -> None:
        """End the child; `reset` starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> None:
        self._child = _Child()
        request = Build(json.dumps(self._part), torch.get_num_threads(), torch.initial_seed() % 2**32)
        built = self._ask(Ask.BUILD, request, self._reset_timeout, "not ready", "while it was built")
        self.sensors, self.period = built.sensors, built.period
        self.privileged, self.oracle = built.privileged, built.oracle

    def _ask(self, kind: int, request: Any, limit: float, late: str, where: str) -> Any:
        if self._child is None:
            raise PlannerFailure(f"planner has no process {where}; reset it first")
        try:
            answer = self._child.ask(kind, request, limit)
        except TimeoutError:
            self.close()
            place = where.removeprefix("in plan ") if kind == Ask.PLAN else ""
            raise PlannerFailure(f"timeout: {late} within {limit} s {place}".rstrip()) from None
        except (EOFError, ConnectionError):
            told = self._child.obituary()
            self.close()
            raise PlannerFailure(f"planner process died {where}: {told}") from None
        except ValueError as error:
            self.close()
            raise PlannerFailure(f"planner process broke the protocol {where}: {error}") from None
        except BaseException:  # Ctrl-C, say: the answer would come when nobody waits for it
            self.close()
            raise
        if isinstance(answer, Failure):
            _raise(answer, where)
        return answer


def _raise(error: Failure, where: str) -> None:
    told = f"{error.what} {where}{error.why}" if error.what else error.why
    failure = InputError(told) if error.wrong_input else PlannerFailure(told)
    raise failure from RuntimeError(f"in the planner's process:\n{error.traceback}")


class _Child:
    """The parent's end: the process, its socket and the last that it wrote to standard error."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._codec = Codec()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "drivesim.remote.serve", str(theirs.fileno())],
            stdin=subprocess.PIPE,  # never written to: its end tells the child that we are gone
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C is for us, and the planner's own children die with it
        )
        theirs.close()
        self._tail = bytearray()
        self._reader = threading.Thread(target=_relay, args=(self._process.stderr, self._tail), daemon=True)
        self._reader.start()
        self.end = weakref.finalize(self, _end, self._process, self._socket)

    def ask(self, kind: int, request: Any, limit: float) -> Any:
        """The answer; TimeoutError after `limit` seconds, EOFError or ConnectionError if the child is gone."""
        deadline = time.monotonic() + limit
        if kind == Ask.RESET:
            self._codec = Codec()
        send(self._socket, kind, self._codec.encode(request, REQUESTS[kind]), deadline)
        status, message = receive(self._socket, MAX_REPLY, deadline)
        return Codec().decode(message, Failure if status == FAILURE else REPLIES[kind])

    def obituary(self) -> str:
        """How the child died, and its last words."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self._reader.join(1.0)
        code = self._process.returncode
        how = "it closed its socket" if code is None else f"exit code {code}"
        how = signal.Signals(-code).name if code is not None and code < 0 else how
        lines = self._tail.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{how}, {last[:300]}" if last else how


def _relay(pipe: Any, tail: bytearray) -> None:
    """Pass on what the child prints and keep its end."""
    with pipe:
        while chunk := pipe.read1(65536):
            tail += chunk
            del tail[:-2000]
            with suppress(OSError, ValueError):
                sys.stderr.write(chunk.decode(errors="replace"))


def _end(process: subprocess.Popen, connection: socket.socket) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    connection.close()
    if process.stdin:
        process.stdin.close()
