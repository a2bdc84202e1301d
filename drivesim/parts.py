"""A part is a plug-in by name: `_target_` and options. Found here, checked against what it names, built.

The yaml `drivesim/conf/<group>/<name>.yaml` is the registration; options, their types and their defaults live
in the class's signature alone, which is what a configuration is checked against.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import inspect
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union

from .errors import InputError

CONF = Path(__file__).parent / "conf"
GROUPS = ("scenarios", "planner", "generation", "behavior", "control", "metrics")
Part = dict[str, Any]
"""`{"_target_": "package.module.Name", option: value, ...}`, JSON-able; `_target_` None is no part at all."""


def choices(group: str, folders: Iterable[Path] = ()) -> list[str]:
    """Names of the plug-ins of a group that have a yaml."""
    return sorted({file.stem for folder in (CONF, *folders) for file in (folder / group).glob("*.yaml")})


def read(group: str, name: str, folders: Iterable[Path] = ()) -> Part:
    """What the yaml of a plug-in says; `name` may also be an import path `package.module:Name`."""
    if ":" in name:
        return {"_target_": dotted(name)}
    from omegaconf import OmegaConf

    for folder in (*folders, CONF):
        file = folder / group / f"{name}.yaml"
        if file.is_file():
            return OmegaConf.to_container(OmegaConf.load(file), throw_on_missing=False)
    raise InputError(f"{group}={name}: no such choice; {among(name, choices(group, folders))}")


def dotted(target: str) -> str:
    """`package.module:Name` as `package.module.Name`."""
    return target.replace(":", ".")


def check(where: str, part: Mapping[str, Any], beside: Iterable[str] = ()) -> Part:
    """The part with every value in its type's plain form.

    Raises InputError that names the option: unknown, missing or of the wrong type. `where` is how the user
    addresses the part, such as `scenarios` or `planner.args`; `beside` are names that stand there too.
    """
    if part.get("_target_") is None:
        extra = [key for key in part if key != "_target_"]
        if extra:
            raise InputError(f"{where}.{extra[0]}: no such option; nothing is chosen that could have one")
        return {"_target_": None}
    target = dotted(str(part["_target_"]))
    options = signature(locate(target, where))
    checked: Part = {"_target_": target}
    for key, value in part.items():
        if key in ("_target_", "_partial_"):
            continue
        if key not in options and "**" not in options:
            raise InputError(f"{where}.{key}: no such option of {target}; {among(key, [*options, *beside])}")
        converted = convert(f"{where}.{key}", value, options[key][0] if key in options else Any)
        checked[key] = value if isinstance(value, Mapping) else plain(converted)
    for key, (hint, default) in options.items():
        if default is inspect.Parameter.empty and key not in checked:
            wanted = "DIR" if key == "root" else f"... ({_spelling(hint)})"
            raise InputError(f"{where}.{key} is missing: give {where}.{key}={wanted}")
    return checked


def build(part: Mapping[str, Any]) -> Any:
    """The object that a checked part describes; a function has its options bound; None for no part."""
    if part.get("_target_") is None:
        return None
    target = locate(str(part["_target_"]), "_target_")
    options = signature(target)
    values = {
        key: convert(key, value, options[key][0] if key in options else Any)
        for key, value in part.items()
        if key != "_target_"
    }
    if inspect.isclass(target):
        return target(**values)
    return functools.partial(target, **values) if values else target


def locate(target: str, where: str = "_target_") -> Any:
    """The class or function at `package.module.Name`, imported; InputError says what is not found."""
    module_name, _, name = dotted(target).rpartition(".")
    if not module_name:
        raise InputError(f"{where}={target}: an import path is expected, such as my.pkg:Mine")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # anything can go wrong while a user's module runs
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            where_from = f"not importable from {Path.cwd()} or the installed packages"
            raise InputError(f"{where}={target}: no module named {error.name} ({where_from})") from None
        raise InputError(f"{where}={target}: importing {module_name} raised {_tell(error)}") from error
    if not hasattr(module, name):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise InputError(f"{where}={target}: {module_name} has no {name}; {among(name, public)}")
    found = getattr(module, name)
    if not callable(found):
        raise InputError(f"{where}={target}: {name} is not a class or function")
    return found


def signature(target: Any) -> dict[str, tuple[Any, Any]]:
    """Options of a class or function: name to (type, default). `**` stands for any other name.

    What a function takes by position and without a default is its input (a metric's rollouts), not an option.
    """
    parameters = inspect.signature(target).parameters.values()
    try:
        hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError, AttributeError):  # annotations that only a type checker can resolve
        hints = {}
    options = {}
    for p in parameters:
        if p.kind is p.VAR_KEYWORD:
            options["**"] = (Any, None)
        elif p.kind in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY):
            continue
        elif p.kind is p.KEYWORD_ONLY or p.default is not p.empty or inspect.isclass(target):
            options[p.name] = (hints.get(p.name, Any), p.default)
    return options


def convert(where: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint`; InputError says what was expected. Types that a yaml cannot spell pass."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    wrong = InputError(f"{where}={value}: {_spelling(hint)} is expected")
    if origin in (Union, types.UnionType):
        return _any_of(where, value, args, wrong)
    if origin is Literal:
        if value not in args:
            raise InputError(f"{where}={value}: {among(str(value), [str(a) for a in args])}")
        return value
    if origin in (tuple, list, Sequence, Iterable) or hint in (tuple, list):
        return _sequence(where, value, tuple if tuple in (origin, hint) else list, args, wrong)
    if hint is bool or hint is int:
        if type(value) is not hint:
            raise wrong
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise wrong
        return float(value)
    elif hint is str or hint is Path:
        if isinstance(value, bool) or not isinstance(value, str | int | Path):
            raise wrong
        return hint(value)
    elif hint is type(None):
        if value is not None:
            raise wrong
    elif dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(check(where, {"_target_": f"{hint.__module__}.{hint.__qualname__}", **value}))
    elif inspect.isclass(hint) and issubclass(hint, Enum) and not isinstance(value, hint):
        names = {member.name.lower(): member for member in hint}
        if str(value).lower() not in names:
            raise InputError(f"{where}={value}: {among(str(value), list(names))}")
        return names[str(value).lower()]
    return value


def plain(value: Any) -> Any:
    """As JSON would spell it."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.name.lower()
    return str(value) if isinstance(value, Path) else value


def among(given: str, names: Sequence[str]) -> str:
    """`choose from a, b, c (did you mean b?)`."""
    names = [name for name in names if name != "**"]
    if not names:
        return "it has none"
    near = difflib.get_close_matches(given, names, n=1)
    shown = ", ".join(names[:20]) + (f", ... {len(names) - 20} more" if len(names) > 20 else "")
    return f"choose from {shown}" + (f" (did you mean {near[0]}?)" if near else "")


def _any_of(where: str, value: Any, hints: tuple, wrong: InputError) -> Any:
    if value is None and type(None) in hints:
        return None
    for hint in sorted(hints, key=lambda h: h is str):  # a number for `float | str` is a number
        try:
            return convert(where, value, hint)
        except InputError:
            continue
    raise wrong


def _sequence(where: str, value: Any, kind: type, args: tuple, wrong: InputError) -> Any:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise wrong
    args = tuple(a for a in args if a is not Ellipsis)
    fixed = kind is tuple and len(args) > 1
    if fixed and len(value) != len(args):
        raise wrong
    hints = args if fixed else (args[:1] or (Any,)) * len(value)
    return kind(convert(f"{where}[{i}]", item, hint) for i, (item, hint) in enumerate(zip(value, hints, strict=True)))


def _spelling(hint: Any) -> str:
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
    if typing.get_origin(hint) in (Union, types.UnionType):
        return " or ".join("null" if a is type(None) else _spelling(a) for a in typing.get_args(hint))
    if typing.get_origin(hint) in (tuple, list, Sequence, Iterable):
        inner = [a for a in typing.get_args(hint) if a is not Ellipsis]
        count = f"{len(inner)} values" if len(inner) > 1 else "a list"
        return f"{count} [...]" + (f", each {_spelling(inner[0])}" if inner else "")
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _tell(error: BaseException) -> str:
    """An error of the user's module with its place, in one line."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and "importlib" not in file:
            place = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"
