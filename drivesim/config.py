"""From the command line to work to be done. The only module that knows Hydra; the Python API does without."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from . import parts
from .errors import InputError
from .work import Work, work


@dataclass
class Options:
    """The root of the configuration: types and defaults of its keys."""

    scenarios: Any = "???"
    planner: Any = "???"
    generation: Any = "???"
    behavior: Any = "???"
    control: Any = "???"
    metrics: Any = field(default_factory=dict)
    planners: list[str] | None = None  # several, each from its own yaml; instead of `planner`
    seed: int = 0
    seeds: int | None = None  # drive every scenario with the seeds 0..N-1 instead of `seed`
    on_collision: str = "continue"  # or "stop": the rollout ends when the ego is in contact
    loop: str = "closed"  # or "open": ego and others follow the log; the planner is asked, its plans are judged
    workers: int = 0  # processes; 0 drives in this one
    out: str = "outputs/${now:%Y-%m-%d_%H-%M-%S}"  # folder of the results; what it holds already is kept


def source(name: str, root: str | Path | None = None, **options: Any) -> Any:
    """The scenario source of a yaml in `conf/scenarios`, or of an import path `my.pkg:Mine`."""
    return part("scenarios", name, **({} if root is None else {"root": str(root)}), **options)


def part(group: str, name: str, **options: Any) -> Any:
    """Build a plug-in with its options; InputError names what does not fit."""
    return parts.build(parts.check(group, {**parts.read(group, name), **options}))


def main(task: Callable[[Work, str], int], argv: Sequence[str]) -> int:
    """Compose the configuration of `argv` and hand its work to `task`; `-m` does so for every combination.

    `task` gets the work and the command that repeats it; it returns an exit code. Whatever a user can mend is
    one line on standard error and code 2.
    """
    from hydra import main as hydra_main
    from hydra.core.config_store import ConfigStore
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    codes: list[int] = []
    bugs: list[Exception] = []
    verbose = os.environ.get("HYDRA_FULL_ERROR") == "1"

    def job(config: Any) -> None:
        hydra = HydraConfig.get()
        folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
        try:
            _known(config)
            asked = work(OmegaConf.to_container(config, resolve=True), folders)
            codes.append(task(asked, command(hydra.overrides.task, folders, config.seed)))
        except InputError as error:
            codes.append(_refused(error, verbose))
        except Exception as error:
            bugs.append(error)
            raise

    sys.path.insert(0, os.getcwd())  # a planner of the user's own lies where the command is given
    ConfigStore.instance().store(name="options", node=Options)
    before = dict(os.environ)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would otherwise print
    try:
        sys.argv[1:] = spell(_recognized(argv))
        hydra_main(config_path="pkg://drivesim.conf", config_name="config", version_base="1.3")(job)()
    except KeyboardInterrupt:
        print("interrupted; what is stored is kept", file=sys.stderr)
        return 1
    except Exception as error:
        if error in bugs:
            raise
        return _refused(error, verbose)
    finally:
        os.environ.pop("HYDRA_FULL_ERROR")
        os.environ.update(before)
    return max(codes, default=0)


def _refused(error: Exception, verbose: bool) -> int:
    if verbose:
        raise error
    print(f"error: {explain(error)}", file=sys.stderr)
    return 2


def _known(keys: Iterable[str]) -> None:
    """Refuse root keys that `+key=value` got past Hydra."""
    names = [f.name for f in fields(Options)]
    for key in keys:
        if key not in names:
            raise InputError(f"{key}: no such option; {parts.among(key, names)}")


_WITH_A_WORD = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--cfg", "-c",
                "--info", "-i")  # fmt: skip
"""Hydra's flags that a word follows."""


def spell(argv: Iterable[str]) -> list[str]:
    """The command line as Hydra wants it: every `key=value` as `_spelled`, then the flags."""
    spelled: list[str] = []
    flags: list[str] = []
    for argument in argv:
        follows = flags and flags[-1] in _WITH_A_WORD and "=" not in argument
        if follows or argument.partition("=")[0] in _WITH_A_WORD or (argument[0:1] == "-" and "=" not in argument):
            flags.append(argument)
        else:
            spelled += _spelled(argument)
    return spelled + flags


def _recognized(argv: Sequence[str]) -> list[str]:
    """`scenarios=auto` as the source that recognises `scenarios.root`, with the folder to give it."""
    if "scenarios=auto" not in argv:
        return list(argv)
    from .catalog import detect_one

    roots = [word.partition("=")[2] for word in argv if word.startswith("scenarios.root=")]
    if not roots:
        raise InputError("scenarios=auto: give scenarios.root=DIR to look at")
    given = roots[-1].strip("'\"")
    name, folder = detect_one(given, "scenarios={name} scenarios.root={root}")
    words = [f"scenarios={name}" if word == "scenarios=auto" else word for word in argv]
    return words if folder == Path(given).expanduser() else [*words, f"scenarios.root='{folder}'"]


def _spelled(argument: str) -> list[str]:
    """One `key=value` in Hydra's words.

    `group.option=value` becomes `++group.option=value`: options live in classes, which Hydra does not know;
    they are checked against the classes later. `planner=my.pkg:Mine` is short for
    `planner=custom planner.target=my.pkg:Mine`. Ids are quoted, or 0061 and 1e5 would be read as numbers.
    """
    key, equals, value = argument.partition("=")
    if key.startswith("--"):
        raise InputError(f"{argument}: options are written without dashes, {argument.lstrip('-')}")
    if key == "planner" and ":" in value:
        return ["planner=custom", f"++planner.target={value}"]
    if key in ("scenarios.ids", "scenarios.ego") and not set(value) & set("'\""):
        value = re.sub(r"[^\[\],]+", lambda match: f"'{match[0].strip()}'", value)
    if equals and key.partition(".")[0] in parts.GROUPS and "." in key:
        return [f"++{key}={value}"]
    return [argument]


def command(overrides: Sequence[str], folders: Sequence[Path], seed: int) -> str:
    """What to type to repeat a run."""
    words = [re.sub(rf"^\+\+(?=({'|'.join(parts.GROUPS)})\.)", "", word) for word in overrides]
    if not any(word.startswith(("seed=", "seeds=")) for word in words):
        words.append(f"seed={seed}")
    words += [f"--config-dir={folder}" for folder in folders]
    return shlex.join(["python", "run_closed_loop.py", *words])


_KINDS = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false"}


def explain(error: Exception) -> str:
    """An error of Hydra's in the words of this command line."""
    from hydra.errors import MissingConfigException, OverrideParseException

    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MissingConfigException) and "/" in str(error.missing_cfg_file):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name}: no such choice; {parts.among(name, error.options or parts.choices(group))}"
    if isinstance(error, OverrideParseException):
        given = str(error.override).lstrip("+").replace("'", "")
        return f"{given}: cannot be read; write key=value, and quote what holds brackets or blanks"
    cause = error.__cause__ or error
    key = str(getattr(cause, "full_key", None) or getattr(cause, "key", None) or "")
    mistyped = re.match(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", str(cause))
    if mistyped:
        return f"{key}={mistyped[1]}: {_KINDS.get(mistyped[2], mistyped[2])} is expected"
    told = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    if "not in 'Options'" in told[0] or "is not in struct" in told[0]:
        return f"{key}: no such option; {parts.among(key, [f.name for f in fields(Options)])}"
    if "is not a ListConfig" in told[0]:
        return f"{key}: a list is expected, {key}=[a,b]"
    if told[0].startswith("Ambiguous value"):
        return f"{told[0].split(chr(39))[1]}: several values need -m, which runs every combination"
    return f"{key}: {told[0]}" if key else told[0]
