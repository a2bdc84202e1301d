"""Elements of a file with their parameters filled in, and the place of each for whoever has to mend it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element

from drivesim.errors import InputError
from drivesim.files import read_xml

from .expressions import evaluate, spelled

_NAME = re.compile(r"\$(\w+)")
LARGEST = 1e7
"""Of any number of a storyboard."""


@dataclass(frozen=True)
class Node:
    """An XML element, the parameters in whose scope it stands, and where it stands."""

    element: Element
    file: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    where: str = ""  # names of the elements above, from the root

    @property
    def tag(self) -> str:
        return self.element.tag

    def fail(self, reason: str) -> NoReturn:
        raise InputError(f"{self.file}: {self.where or self.tag}: {reason}")

    def refuse(self, what: str = "") -> NoReturn:
        self.fail(f"{what or self.tag} is not supported")

    def all(self, *tags: str) -> list[Node]:
        """Children with one of these tags, all without any."""
        return [self._under(x) for x in self.element if not tags or x.tag in tags]

    def get(self, *path: str) -> Node | None:
        """The child at the end of a path of tags, None where there is none."""
        node: Node | None = self
        for tag in path:
            node = next(iter(node.all(tag)), None) if node else None
        return node

    def need(self, *path: str) -> Node:
        found = self.get(*path)
        return found if found is not None else self.fail(f"has no {'/'.join(path)}")

    def only(self, *besides: str) -> Node:
        """The one child, `besides` left aside: what stands for itself in a choice of elements."""
        inner = [x for x in self.all() if x.tag not in besides]
        return inner[0] if len(inner) == 1 else self.fail(f"has {len(inner)} elements where one is expected")

    def text(self, name: str, default: str | None = None) -> str:
        raw = self.element.get(name)
        if raw is None:
            return default if default is not None else self.fail(f"has no attribute {name}")
        try:
            return filled(raw, self.parameters)
        except ValueError as error:
            self.fail(f"{name}: {error}")

    def reference(self, name: str) -> str:
        """The name of a parameter or variable, which some write with its dollar sign."""
        raw = self.element.get(name)
        return raw.strip().lstrip("$") if raw is not None else self.fail(f"has no attribute {name}")

    def label(self) -> str:
        """The name; formulas that are none stay as they are."""
        raw = self.element.get("name", "")
        try:
            return filled(raw, self.parameters)
        except ValueError:
            return raw

    def number(self, name: str, default: float | None = None) -> float:
        if self.element.get(name) is None and default is not None:
            return default
        text = self.text(name).strip()
        if text in ("INF", "+INF", "inf"):  # XML's spelling of what is not limited
            return LARGEST
        try:
            value = float(text)
        except ValueError:
            self.fail(f"{name}='{text[:60]}' is no number")
        if not math.isfinite(value) or abs(value) > LARGEST:
            self.fail(f"{name}={text[:60]} is out of range")
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.number(name, default)
        return int(value) if value == int(value) else self.fail(f"{name}={value:g} is no whole number")

    def flag(self, name: str, default: bool = False) -> bool:
        text = self.text(name, "true" if default else "false").strip().lower()
        if text not in ("true", "false", "1", "0"):
            self.fail(f"{name}='{text[:60]}' is neither true nor false")
        return text in ("true", "1")

    def choice(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        text = self.text(name, default).strip()
        return text if text in known else self.fail(f"{name}='{text[:60]}' is not supported")

    def scoped(self, given: Mapping[str, str] | None = None) -> Node:
        """The same with the parameters that it declares; `given` values take the place of declared ones."""
        declared: dict[str, str] = dict(self.parameters)
        for node in self.all("ParameterDeclarations"):
            for x in node.element.findall("ParameterDeclaration"):
                name = x.get("name", "").lstrip("$")
                inner = Node(x, self.file, declared, self.where)
                declared[name] = given[name] if given and name in given else inner.text("value", "")
        return Node(self.element, self.file, declared, self.where)

    def _under(self, element: Element) -> Node:
        name = Node(element, self.file, self.parameters).label()
        here = f"{element.tag} '{name}'" if name else element.tag
        return Node(element, self.file, self.parameters, f"{self.where} / {here}" if self.where else here)


def filled(text: str, parameters: Mapping[str, str]) -> str:
    """Text with `$name` and `${expression}` replaced; ValueError where that cannot be."""
    out, at = [], 0
    while (begin := text.find("$", at)) >= 0:
        out.append(text[at:begin])
        if text.startswith("${", begin):
            end = text.find("}", begin)
            if end < 0:
                raise ValueError(f"'{text[:60]}' opens an expression and does not close it")
            out.append(spelled(evaluate(text[begin + 2 : end], parameters)))
            at = end + 1
            continue
        match = _NAME.match(text, begin)
        if match is None:
            out.append("$")
            at = begin + 1
            continue
        if match[1] not in parameters:
            raise ValueError(f"the parameter ${match[1]} is not declared")
        out.append(parameters[match[1]])
        at = match.end()
    return "".join(out) + text[at:]


def read_root(path: Path) -> Node:
    """The root of an OpenSCENARIO XML 1.x file with its own parameters."""
    root = read_xml(path)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    node = Node(root, path)
    if root.tag not in ("OpenSCENARIO", "OpenScenario"):
        raise InputError(f"{path}: is no OpenSCENARIO file; its root is <{root.tag[:40]}>")
    header = node.get("FileHeader")
    major = header.text("revMajor", "1").strip() if header else "1"
    minor = header.text("revMinor", "0").strip() if header else "0"
    if major != "1":
        raise InputError(f"{path}: is OpenSCENARIO {major[:9]}.{minor[:9]}; 1.0 to 1.3 are read")
    return node.scoped()
