"""Every scene of a source described, on all cores.

Processes of our own, each with a pipe: when one dies (out of memory, a crash in a library) it is known which scene it
was reading, that scene is told as unreadable, and another process goes on.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

from .. import parts
from ..parts import Part
from . import cache
from .entry import NOT_DRIVABLE, UNREADABLE, Entry, examine

FEW = 4
"""Scenes that are described in this process whatever `workers` says: starting others takes longer."""

_PATIENCE = 5.0  # [s] for a process to end by itself
_AHEAD = 8  # scenes per worker that may be done before an earlier one is


def known_ids(source: Any) -> list[str]:
    """All scenes of a built source: those that it lists, and those that it knows not to be drivable."""
    return sorted({*source.ids(), *_undrivable(source)})


def scan(source: Part | Any, ids: Sequence[str] | None = None, workers: int = 0, keep: bool = True) -> Iterator[Entry]:
    """Entries of `ids` (all) in their order, each as soon as it and those before it are known.

    `source` is a source's part or the source itself; only the entries of a part are kept for the next scan (`cache`).
    `workers` processes read; 0 reads in this one, as does a source that is no part. Close the iterator to stop early.
    A script that scans with workers needs the usual `if __name__ == "__main__":`.
    """
    reader = parts.build(source) if isinstance(source, Mapping) else source
    ids = known_ids(reader) if ids is None else list(ids)
    reasons = _undrivable(reader)
    todo = [(i, id) for i, id in enumerate(ids) if id not in reasons]
    if workers and len(todo) > FEW and isinstance(source, Mapping):
        done = _in_processes(source, todo, min(workers, len(todo)), keep)
    else:
        look = _Look(source, reader, keep)
        done = ((i, look(id)) for i, id in todo)
    early: dict[int, Entry] = {i: Entry(id, NOT_DRIVABLE, reasons[id]) for i, id in enumerate(ids) if id in reasons}
    for index in range(len(ids)):
        while index not in early:
            i, entry = next(done)
            early[i] = entry
        yield early.pop(index)


def _undrivable(source: Any) -> dict[str, str]:
    return source.undrivable() if hasattr(source, "undrivable") else {}


class _Look:
    """Describes scenes of one source, from the cache where it is there."""

    def __init__(self, source: Part | Any, reader: Any, keep: bool) -> None:
        self._reader = reader
        self._cache = cache.Cache(source) if keep and isinstance(source, Mapping) else None

    def __call__(self, id: str) -> Entry:
        stamp = cache.fingerprint(self._reader, id) if self._cache else None
        found = self._cache.find(id, stamp) if self._cache and stamp else None
        if found is None:
            found = examine(self._reader, id)
            if self._cache and stamp and found.status != UNREADABLE:  # what is mended shall be seen
                self._cache.keep(found, stamp)
        return found


def _in_processes(part: Part, todo: Sequence[tuple[int, str]], workers: int, keep: bool) -> Iterator[tuple[int, Entry]]:
    """Pairs (index, entry) as they come, never more than a few per worker ahead of the first that is missing."""
    waiting, missing = deque(todo), {i for i, _ in todo}
    crew: dict[Any, Any] = {}  # pipe to process
    busy: dict[Any, tuple[int, str]] = {}
    try:
        while waiting or busy:
            bound = (min(missing) if missing else 0) + _AHEAD * workers
            while waiting and len(busy) < workers and (not busy or waiting[0][0] < bound):
                pipe = next((p for p in crew if p not in busy), None) or _hire(crew, part, keep)
                busy[pipe] = waiting.popleft()
                _send(pipe, busy[pipe][1])
            for pipe in wait(list(busy)):
                index, id = busy.pop(pipe)
                try:
                    entry = pipe.recv()
                except (EOFError, OSError):
                    entry = Entry(id, UNREADABLE, _died(crew.pop(pipe)))
                missing.discard(index)
                yield index, entry
    finally:
        for pipe, process in crew.items():
            pipe.close()  # tells those that wait to go home
            if pipe in busy:
                process.terminate()
        for process in crew.values():
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def _hire(crew: dict[Any, Any], part: Part, keep: bool) -> Any:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload([__name__])  # torch is then imported once
    mine, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, part, keep, list(sys.path)), daemon=True)
    process.start()
    theirs.close()
    crew[mine] = process
    return mine


def _send(pipe: Any, id: str) -> None:
    with suppress(OSError):  # it died while idle; its end of the pipe tells as much
        pipe.send(id)


def _died(process: Any) -> str:
    process.join()
    code = process.exitcode
    how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
    return f"the process that read it died ({how}); its memory may not have sufficed"


def _work(pipe: Any, part: Part, keep: bool, path: list[str]) -> None:
    import numba
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, which ends this process
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # and leaves nothing behind
    sys.path[:] = path
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    look = _Look(part, parts.build(part), keep)
    try:
        while True:
            pipe.send(look(pipe.recv()))
    except (EOFError, OSError):
        return
