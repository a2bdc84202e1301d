"""All examinations, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .. import canaries
from . import data, folders, machine
from .finding import Finding

EXAMINATIONS: dict[str, Callable[[], Finding]] = {
    "python": machine.python, "packages": machine.packages, "processor": machine.processor, "BLAS": machine.blas,
    "memory": machine.memory, "GPU": machine.gpu, "disk": folders.disk, "cache of kernels": folders.kernels,
    "cache of data": folders.data, "video": machine.video, "browser": machine.browser,
}  # fmt: skip


def examine(roots: Sequence[str] = ()) -> Iterator[Finding]:
    """Findings as they come; an examination that raises is one that says so. `roots` must hold data; without any, the
    places where the field's data use to lie are looked at."""
    for name, examination in EXAMINATIONS.items():
        try:
            yield examination()
        except Exception as error:
            yield Finding(name, False, f"{type(error).__name__}: {error}")
    yield from data.found(roots)
    for name in canaries.CANARIES:
        yield _canary(name)


def _canary(name: str) -> Finding:
    reply = canaries.ask(name)
    if not reply.wrong:
        return Finding(name, True, f"{reply.answers} known answer{'s' * (reply.answers != 1)}")
    if not reply.asked:
        return Finding(name, False, reply.wrong[0])
    return Finding(name, False, f"{reply.wrong[0]}; {len(reply.wrong)} of {reply.answers} known answers come out wrong")
