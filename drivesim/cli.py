"""`drivesim check`, `scenarios`, `view`, `convert`, `plans`, `compare`, ...: around a run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .commands import compare, convert, doctor, evaluate, explain, fit_traffic, plans, scenarios, view
from .commands.options import read as _options
from .errors import InputError
from .versions import release


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command; the exit code is 0 (fine), 1 (what was looked at is not), 2 (wrong input)."""
    parser = argparse.ArgumentParser(
        "drivesim", description="Around closed-loop runs; to drive: python run_closed_loop.py --help"
    )
    parser.add_argument("--version", action="version", version=f"drivesim {release()}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add(commands, check, "try a planner's contract", "planner", option="a planner's option", timeout=True)
    scenarios.add(commands)
    view.add(commands)
    convert.add(commands)
    fit_traffic.add(commands)
    evaluate.add(commands)
    _add(commands, report, "write the report of stored results again", "out")
    compare.add(commands)
    explain.add(commands)
    plans.add(commands)
    doctor.add(commands)
    arguments = vars(parser.parse_args(argv))
    sys.path.insert(0, os.getcwd())  # my.pkg:Mine lies where the command is given
    try:
        return arguments.pop("run")(**arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `drivesim scenarios ... | head`
        sys.stderr.close()
        return 1


def check(planner: str, options: Sequence[str] = (), timeout: float = 20.0) -> int:
    """Try a planner (a yaml's name or my.pkg:Mine) on the synthetic town."""
    from .check import trial
    from .config import part

    chosen = _planner(planner, options)
    print(f"trying {planner} on the synthetic town ...", flush=True)
    town = part("scenarios", "synthetic")
    result = trial(chosen, town.load(town.ids()[0]), timeout=timeout)
    for problem in result.problems:
        print(f"wrong: {problem}")
    if result.seconds:
        times = sorted(result.seconds)
        print(f"time per plan: median {1e3 * times[len(times) // 2]:.1f} ms, worst {1e3 * times[-1]:.1f} ms")
    if not result.problems:
        prefix = "+planner.args" if ":" in planner else "planner"
        words = [f"planner={planner}", *(f"{prefix}.{option}" for option in options)]
        print(f"the contract is kept; drive it: python run_closed_loop.py {' '.join(words)}")
    return 1 if result.problems else 0


def report(out: str) -> int:
    """Write `report.html` again from what `out` holds."""
    from .run import film
    from .storage import Store

    if not (Path(out) / "results").is_dir():
        raise InputError(f"{out}: no results there; give the `out` of a run")
    print(f"report: {film(Store(out), again=True).resolve()}")
    return 0


def _planner(name: str, options: Sequence[str]) -> Any:
    from . import parts

    if ":" in name:
        parts.locate(name, "planner")
    checked = parts.check("--arg", {**parts.read("planner", name), **_options(options)})
    try:
        return parts.build(checked)
    except InputError:
        raise
    except Exception as error:  # a constructor of the user's own
        raise InputError(f"{name}: building it raised {type(error).__name__}: {error}") from error


def _add(commands: Any, run: Any, about: str, *names: str, option: str = "", timeout: bool = False) -> None:
    parser = commands.add_parser(run.__name__, help=about, description=run.__doc__)
    for name in names:
        parser.add_argument(name)
    if option:
        parser.add_argument("--arg", action="append", default=[], dest="options", metavar="KEY=VALUE", help=option)
    if timeout:
        parser.add_argument("--timeout", type=float, default=20.0, help="seconds a call may take (20)")
    parser.set_defaults(run=run)


if __name__ == "__main__":
    sys.exit(main())
