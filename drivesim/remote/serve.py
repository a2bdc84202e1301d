"""The child's end: `python -m drivesim.remote.serve FD` answers on a socket until its parent is gone."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import threading
import traceback
from typing import Any

import numpy as np
import torch

from .. import parts
from ..errors import InputError, PlannerFailure
from .codec import Codec, NoMessage
from .wire import FAILURE, MAX_REQUEST, REPLIES, REQUESTS, Ask, Build, Built, Failure, Ready, receive, send


def serve(connection: socket.socket) -> None:
    """Answer until the parent is gone."""
    planner: Any = None
    codec = Codec()
    while True:
        try:
            kind, message = receive(connection, MAX_REQUEST, None)
        except (EOFError, ConnectionError):
            return
        codec = Codec() if kind == Ask.RESET else codec
        request = codec.decode(message, REQUESTS[kind])
        try:
            if kind == Ask.BUILD:
                planner = _build(request)
            answer = _answer(kind, planner, request)
            status, reply = kind, Codec().encode(answer, REPLIES[kind])
        except Exception as error:
            status, reply = FAILURE, Codec().encode(_told(error, kind), Failure)
        send(connection, status, reply, None)


def _build(request: Build) -> Any:
    torch.set_num_threads(request.threads)
    random.seed(request.seed)
    np.random.seed(request.seed)
    torch.manual_seed(request.seed)
    return parts.build(json.loads(request.part))


def _answer(kind: int, planner: Any, request: Any) -> Any:
    if kind == Ask.BUILD:
        oracle = bool(getattr(planner, "oracle", False))
        return Built(tuple(planner.sensors), float(planner.period), bool(planner.privileged), oracle)
    if kind == Ask.RESET:
        planner.reset(request.briefing)
        return Ready()
    return planner.plan(request)


def _told(error: Exception, kind: int) -> Failure:
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, NoMessage):
        return Failure(False, f"planner returned {error}", "", "")
    if isinstance(error, PlannerFailure) or (isinstance(error, InputError) and kind == Ask.BUILD):
        return Failure(isinstance(error, InputError), "", str(error), trace)
    return Failure(False, f"planner raised {type(error).__name__}", f": {error}", trace)


def _die_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    os.dup2(2, 1)  # a planner's prints are no part of the conversation
    threading.Thread(target=_die_with_parent, daemon=True).start()
    serve(socket.socket(fileno=int(sys.argv[1])))
