"""`--help` and `--version`, read from the yamls and the plug-ins' source: at once, and without drift.

Imports nothing heavy: what a plug-in's options are is read from its syntax tree, never by importing it.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .versions import release

PACKAGE = Path(__file__).parent
GROUPS = {
    "scenarios": "what to drive",
    "planner": "the system under test",
    "generation": "what makes the camera pictures",
    "behavior": "how the others move",
    "control": "how the ego follows its plan",
    "metrics": "what is measured",
}
TOP = """\
Drive planners in closed loop through recorded or synthetic worlds; film and score them.

usage: python run_closed_loop.py [key=value ...] [-m]

scenarios.ids=[a,b]      drive these scenarios
scenarios.limit=N        drive the first N scenarios, 0 for all (1)
scenarios=auto scenarios.root=DIR
                         the source that recognises the folder; `drivesim scenarios DIR` says what is there
scenarios.tag=[a,b]      only scenarios with these tags; further filters: has, min_agents, max_agents, min_seconds,
                         max_seconds, map, near=[lat,lon,metres]
scenarios.window=SECONDS cut every log into stretches this long, one every scenarios.stride seconds
scenarios.ego=TRACK      drive as this agent of the log
planners=[a,b]           compare several planners, each from its own yaml or as my.pkg:Mine
planner=custom planner.target=my.pkg:Mine +planner.args.x=1
                         a planner of your own; planner=my.pkg:Mine for short
planner.timeout=SECONDS  run the planner in a child process; a plan that takes longer fails the rollout
seed=N                   seed of the scenario's randomness (0)
seeds=N                  drive every scenario with the seeds 0..N-1
loop=open                all follow the log; the plans are recorded and judged, not driven (closed)
generation.photos=false  in open loop draw the cameras' pictures, where they would show the log's photos
on_collision=stop        end a rollout at the ego's first contact (continue: bodies push each other, it goes on)
workers=N                processes; 0 drives in this one (0)
out=DIR                  folder of results and report (outputs/<time>); what it holds already is kept
"""
BOTTOM = """\
examples
  python run_closed_loop.py
  python run_closed_loop.py planner=constant_velocity seed=7
  python run_closed_loop.py scenarios=pandaset scenarios.root=DIR
  python run_closed_loop.py scenarios.limit=0 planners=[idm,expert] seeds=3 workers=2
  python run_closed_loop.py loop=open planner=trajectories planner.path=plans.jsonl metrics=[ade,fde,pdms]
  python run_closed_loop.py -m behavior=replay,idm control=lqr,perfect

-m runs every combination of comma-separated values; --cfg job prints the configuration; more: --hydra-help
exit codes: 0 done, 1 some rollouts failed for technical reasons, 2 wrong input
"""


def answers(argv: Sequence[str]) -> bool:
    """Print what `--help` or `--version` asks for; False if neither is there."""
    if not {"--version", "--help", "-h"} & set(argv):
        return False
    try:
        print(f"drivesim {release()}" if "--version" in argv else text(), flush=True)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def text() -> str:
    """The whole help."""
    usual = defaults()
    parts = [TOP]
    for group, purpose in GROUPS.items():
        chosen = usual.get(group, [])
        parts.append(f"{group}: {purpose}; default {', '.join(chosen)}")
        for file in sorted((PACKAGE / "conf" / group).glob("*.yaml")):
            parts.append(_choice(group, file))
        parts.append("")
    return "\n".join([*parts, BOTTOM])


def _choice(group: str, file: Path) -> str:
    content = file.read_text()
    target = re.search(r"^_target_: *([\w.]+)", content, re.M)
    comment = re.search(r"^# (?!@)(.+)", content, re.M)
    summary, options = describe(target[1]) if target and target[1] != "null" else ("", [])
    named = f"{group}.{file.stem}" if group == "metrics" else group
    lines = [f"  {file.stem:<18} {summary or (comment[1] if comment else '')}".rstrip()]
    return "\n".join(lines + [f"      {f'{named}.{option}':<42} {about}".rstrip() for option, about in options])


def describe(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Summary and options (`name=default`, `type, comment`) of a class or function, read from its source."""
    module, _, name = target.rpartition(".")
    found = _find(module, name)
    if found is None:
        return "", []
    module, node, source = found
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    return summary, _options(module, node, source.splitlines())


def _find(module: str, name: str) -> tuple[str, ast.ClassDef | ast.FunctionDef, str] | None:
    """Where `name` is defined, followed through imports: module, definition, source."""
    path = PACKAGE.parent / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return None
    package = module if path.is_dir() else module.rpartition(".")[0]
    source = file.read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node, source
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    upper = package.rsplit(".", node.level - 1)[0] if node.level else ""
                    return _find(".".join(filter(None, [upper, node.module])), alias.name)
    return None


def _options(module: str, node: ast.ClassDef | ast.FunctionDef, lines: Sequence[str]) -> list[tuple[str, str]]:
    options = []
    for name, hint, default, line in _fields(node) if isinstance(node, ast.ClassDef) else _keywords(node):
        inner = _find(module, hint.id) if isinstance(hint, ast.Name) else None
        if inner and isinstance(inner[1], ast.ClassDef):  # options of an option
            options += [
                (f"{name}.{option}", about) for option, about in _options(inner[0], inner[1], inner[2].splitlines())
            ]
        else:
            options.append(_option(name, hint, default, lines, line))
    return options


def _fields(node: ast.ClassDef) -> list[tuple]:
    """(name, type, default, line) of a dataclass's fields or, in another class, of what `__init__` takes."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _keywords(item)
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    is_option = [n for n in fields if "ClassVar" not in ast.unparse(n.annotation) and n.target.id[0] != "_"]
    shown = [n for n in is_option if "init=False" not in (ast.unparse(n.value) if n.value else "")]
    return [(n.target.id, n.annotation, n.value, n.end_lineno) for n in shown]


def _keywords(node: ast.FunctionDef) -> list[tuple]:
    positional = node.args.args[1:] if node.name == "__init__" else node.args.args
    defaults = [None] * (len(positional) - len(node.args.defaults)) + node.args.defaults
    pairs = list(zip(positional, defaults, strict=True))
    if node.name != "__init__":
        pairs = [(argument, default) for argument, default in pairs if default is not None]
    pairs += list(zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True))
    return [(argument.arg, argument.annotation, default, argument.end_lineno) for argument, default in pairs]


def _option(
    name: str, hint: ast.expr | None, default: ast.expr | None, lines: Sequence[str], line: int
) -> tuple[str, str]:
    comment = re.search(r"#(?! noqa| type:| fmt:) *(.+)$", lines[line - 1])
    value = ast.unparse(default).strip("'\"") if default is not None else "..."
    if isinstance(default, ast.Name):  # a constant of the module
        named = re.search(rf"^{value}(?:: [\w.]+)? = ([^#\n]+)", "\n".join(lines), re.M)
        value = named[1].strip() if named else value
    about = [ast.unparse(hint)] if hint is not None else []
    return f"{name}={'...' if '(' in value[1:] else value}", ", ".join(about + ([comment[1]] if comment else []))


def defaults() -> dict[str, list[str]]:
    """What is chosen in each group when nothing is said."""
    listed = (PACKAGE / "conf" / "config.yaml").read_text()
    found = re.findall(r"^ +- (\w+): *\[?([^\]#\n]+)", listed, re.M)
    return {group: [name.strip() for name in names.split(",")] for group, names in found}
