"""What a planner's process and its parent say to each other, and the frames it travels in.

A frame is the length of the message (8 bytes, little endian), its kind (1 byte) and the message of `codec`. A question
is of the kind of an `Ask`; the answer is of the same kind, or FAILURE.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from enum import IntEnum

from ..types import Briefing, Observation, Plan

MAX_REQUEST = 1 << 32  # bytes; six full-HD cameras with depth take 0.1 GB
MAX_REPLY = 1 << 26
FAILURE = 255


class Ask(IntEnum):
    BUILD = 0
    RESET = 1
    PLAN = 2


@dataclass(frozen=True)
class Build:
    """Make the planner."""

    part: str  # JSON
    threads: int
    seed: int  # of the global random generators


@dataclass(frozen=True)
class Built:
    """What the planner says of itself."""

    sensors: tuple[str, ...]
    period: float
    privileged: bool
    oracle: bool


@dataclass(frozen=True, eq=False)
class Reset:
    """A new drive begins."""

    briefing: Briefing


@dataclass(frozen=True)
class Ready:
    """It was reset."""


@dataclass(frozen=True)
class Failure:
    """What went wrong: `what`, the place, which the parent knows better, and `why`."""

    wrong_input: bool  # of the configuration, not of the planner
    what: str  # empty: `why` tells it all, without the place
    why: str
    traceback: str


REQUESTS = {Ask.BUILD: Build, Ask.RESET: Reset, Ask.PLAN: Observation}
REPLIES = {Ask.BUILD: Built, Ask.RESET: Ready, Ask.PLAN: Plan}


def send(connection: socket.socket, kind: int, message: bytes, deadline: float | None) -> None:
    """TimeoutError if the other end has not taken it by `deadline` (of time.monotonic)."""
    for data in (len(message).to_bytes(8, "little") + bytes([kind]), message):
        connection.settimeout(_left(deadline))
        connection.sendall(data)


def receive(connection: socket.socket, limit: int, deadline: float | None) -> tuple[int, bytearray]:
    """Kind and message; EOFError if the other end is gone, ValueError if it sends more than `limit` bytes."""
    head = _read(connection, 9, deadline)
    size = int.from_bytes(head[:8], "little")
    if size > limit:
        raise ValueError(f"{size} bytes, more than {limit}")
    return head[8], _read(connection, size, deadline)


def _read(connection: socket.socket, size: int, deadline: float | None) -> bytearray:
    data = bytearray(size)
    view, place = memoryview(data), 0
    while place < size:
        connection.settimeout(_left(deadline))
        got = connection.recv_into(view[place:])
        if not got:
            raise EOFError
        place += got
    return data


def _left(deadline: float | None) -> float | None:
    """Seconds until the deadline; never 0, which would make the socket non-blocking."""
    return None if deadline is None else max(deadline - time.monotonic(), 1e-6)
