"""Compiling ahead: a short run, so that the first real one does not stand still for half a minute."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

SHORT = ("scenarios.duration=2.0",)
"""The synthetic town for two seconds, where no other source is asked for."""


def warm(words: Sequence[str] = ()) -> tuple[int, dict[str, float], float, str]:
    """Do what `run_closed_loop.py` does for these words: drive, film, score, report, into a folder that is thrown away.

    Returns its exit code, the seconds that each function took to compile with all that it calls (not those that lay in
    the cache), all seconds of the run, and what went to standard error.
    """
    from numba.core import event

    from .. import config, run

    short = () if any(word.startswith("scenarios=") for word in words) else SHORT
    heard, begun = io.StringIO(), time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(heard),
        event.install_recorder("numba:compile") as recorder,
    ):  # fmt: skip
        code = config.main(run.run, [*short, *words, f"out={Path(folder) / 'warm'}"])
    return code, _seconds(recorder.buffer), time.perf_counter() - begun, heard.getvalue().strip()


def _seconds(events: Sequence[tuple[float, Any]]) -> dict[str, float]:
    """Of each function that was compiled for itself, not for one that calls it, longest first."""
    under_way: list[float] = []
    found: dict[str, float] = {}
    for at, event in events:
        if event.is_start:
            under_way.append(at)
            continue
        begun, function = under_way.pop(), event.data["dispatcher"].py_func
        if not under_way:
            name = f"{function.__module__}.{function.__name__}"
            found[name] = found.get(name, 0.0) + at - begun
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def told(code: int, functions: Mapping[str, float], seconds: float, heard: str) -> list[str]:
    """What was done, in lines."""
    lines = [f"      {took:6.1f} s  {name}" for name, took in functions.items()]
    count = len(functions)
    done = f"{count} function{'s' * (count != 1)} compiled and kept" if count else "all was compiled before"
    if code:
        done = f"the run ended with code {code}{': ' + heard if heard else ''}; {done}"
    return [*lines, f"{'WRONG' if code else 'ok   '} warm: {done}, {seconds:.0f} s"]
