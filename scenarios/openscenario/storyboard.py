"""The storyboard of a file: who is there at the start, and the tree of what may happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from drivesim.errors import InputError

from .action_reader import ActionReader
from .actions import Act, independent
from .catalogs import Catalogs, near
from .checks import ByEntity
from .entities import Entity, choose_ego, read_entities
from .nodes import Node, read_root
from .triggers import Condition, ElementIs, Trigger, TriggerReader

MOST = 20_000
"""Elements of a storyboard."""

PRIORITIES = ("overwrite", "override", "skip", "parallel")


@dataclass(frozen=True)
class Element:
    """A story, act, maneuver group, maneuver, event or action, with what only some of them have."""

    number: int
    type: str
    name: str
    parent: int  # -1 for stories
    children: tuple[int, ...] = ()
    start: Trigger | None = None  # acts, events
    stop: Trigger | None = None  # acts
    repeats: int = 1  # groups, events: how often it may be executed
    priority: str = ""  # events
    actors: tuple[str, ...] = ()  # groups
    triggering: bool = False  # groups: whoever triggers an event acts, too
    action: Act | None = None  # actions


@dataclass(frozen=True)
class Storyboard:
    """Everything of a scenario file except its roads."""

    file: Path
    roads: Path
    licence: str
    entities: dict[str, Entity]
    ego: str
    init: tuple[tuple[str, Act], ...]  # entity ("" for global actions) and action, in the order of the file
    elements: tuple[Element, ...]
    stop: Trigger | None
    conditions: tuple[Condition, ...]
    refers: dict[int, tuple[int, ...]]  # condition -> elements whose state it asks for
    variables: dict[str, str]
    problems: tuple[str, ...]

    @cached_property
    def unwatched(self) -> bool:
        """Nothing depends on where anybody is: all is a matter of time."""
        told = [*(a for _, a in self.init), *(e.action for e in self.elements if e.action is not None)]
        looks = any(isinstance(c.test, ByEntity) for c in self.conditions)
        return not looks and all(independent(a) for a in told)

    @property
    def stories(self) -> tuple[Element, ...]:
        return tuple(x for x in self.elements if x.type == "story")


def read_storyboard(path: Path, ego: str = "") -> Storyboard:
    """An .xosc file with its catalogues; InputError names the first element that is not supported."""
    root = read_root(path)
    _refuse_others(root)
    problems: list[str] = []
    catalogs = Catalogs.of(root)
    logic = root.need("RoadNetwork").get("LogicFile")
    if logic is None:
        root.need("RoadNetwork").fail("has no LogicFile; scenarios without a road network are not supported")
    if root.get("RoadNetwork", "TrafficSignals") is not None:
        problems.append("the traffic lights' phases are left out")
    entities, selections = read_entities(root, catalogs, problems)
    chosen = choose_ego(entities, ego, root)
    variables = _variables(root)
    board = root.need("Storyboard")
    actions = ActionReader(entities, catalogs, problems)
    triggers = TriggerReader(entities, selections, catalogs, set(variables), problems)
    init = tuple(_init(board.need("Init"), entities, selections, actions))
    tree = _Tree(catalogs, actions, triggers)
    for story in board.all("Story"):
        tree.story(story.scoped())
    stop = triggers.read(board.get("StopTrigger"))
    return Storyboard(
        path, _roads(path, logic), _licence(root), entities, chosen, init,
        tuple(tree.elements), stop, tuple(triggers.conditions), _refers(tree.elements, triggers.conditions, path),
        variables, tuple(problems),
    )  # fmt: skip


def depends_on(path: Path) -> list[Path]:
    """Files that a scenario is made of, its own first: the road network and all catalogues it may look into."""
    root = read_root(path)
    _refuse_others(root)
    logic = root.need("RoadNetwork").get("LogicFile")
    roads = [_roads(path, logic)] if logic else []
    return [path, *(p for p in [*roads, *Catalogs.of(root).files()] if p.is_file())]


def _roads(path: Path, logic: Node) -> Path:
    """The road network; CARLA's files name theirs without the ending."""
    found = near(path, logic, logic.text("filepath"))
    ended = found.with_name(f"{found.name}.xodr")
    return ended if not found.exists() and ended.is_file() else found


def _refuse_others(root: Node) -> None:
    for tag in ("ParameterValueDistribution", "Catalog"):
        if root.get(tag) is not None:
            root.refuse(f"a {tag} file, which holds no storyboard,")


def _variables(root: Node) -> dict[str, str]:
    """Parameters and variables whose values conditions may ask for."""
    declared = dict(root.parameters)
    for node in root.all("VariableDeclarations"):
        for x in node.all("VariableDeclaration"):
            declared[x.element.get("name", "")] = x.text("value", "")
    return declared


def _licence(root: Node) -> str:
    header = root.get("FileHeader")
    author = header.text("author", "").strip() if header else ""
    licence = header.get("License") if header else None
    if licence is None:
        return f"see the file's author: {author or 'unknown'}"
    name = licence.text("spdxId", "") or licence.label() or "its own licence"
    source = licence.text("resource", "")
    return f"{name}{f' ({source})' if source else ''}, by {author or 'unknown'}"


def _init(
    node: Node, entities: Mapping[str, Entity], selections: Mapping[str, list[str]], actions: ActionReader
) -> Iterator[tuple[str, Act]]:
    for inner in node.need("Actions").all():
        if inner.tag == "Private":
            name = inner.text("entityRef")
            if name not in entities and name not in selections:
                inner.fail(f"names the entity '{name}', which there is not")
            for action in inner.all():
                for who in selections.get(name, [name]):
                    yield who, actions.read(action, who)
        else:
            yield "", actions.read(inner)


class _Tree:
    """Collects the elements of all stories, parents before children."""

    def __init__(self, catalogs: Catalogs, actions: ActionReader, triggers: TriggerReader) -> None:
        self.entities, self.selections, self.catalogs = triggers.names, triggers.selections, catalogs
        self.actions, self.triggers = actions, triggers
        self.elements: list[Element] = []

    def story(self, node: Node) -> None:
        here = self._add(node, "story", -1)
        self._under(here, [self.act(x, here) for x in node.all("Act")])

    def act(self, node: Node, parent: int) -> int:
        read = self.triggers.read
        here = self._add(node, "act", parent, start=read(node.get("StartTrigger")), stop=read(node.get("StopTrigger")))
        return self._under(here, [self.group(x, here) for x in node.all("ManeuverGroup")])

    def group(self, node: Node, parent: int) -> int:
        actors = node.get("Actors")
        names: list[str] = []
        for x in actors.all("EntityRef") if actors else []:
            name = x.text("entityRef")
            if name not in self.entities and name not in self.selections:
                x.fail(f"names the entity '{name}', which there is not")
            names += self.selections.get(name, [name])
        here = self._add(
            node, "maneuverGroup", parent, repeats=max(node.whole("maximumExecutionCount", 1), 1),
            actors=tuple(names), triggering=actors is not None and actors.flag("selectTriggeringEntities"),
        )  # fmt: skip
        maneuvers = [
            self.catalogs.find(x, "Maneuver") if x.tag == "CatalogReference" else x.scoped()
            for x in node.all("Maneuver", "CatalogReference")
        ]
        return self._under(here, [self.maneuver(x, here) for x in maneuvers])

    def maneuver(self, node: Node, parent: int) -> int:
        here = self._add(node, "maneuver", parent)
        return self._under(here, [self.event(x, here) for x in node.all("Event")])

    def event(self, node: Node, parent: int) -> int:
        here = self._add(
            node, "event", parent, start=self.triggers.read(node.get("StartTrigger")),
            repeats=max(node.whole("maximumExecutionCount", 1), 1),
            priority=node.choice("priority", PRIORITIES, "parallel"),
        )  # fmt: skip
        return self._under(here, [self.action(x, here) for x in node.all("Action")])

    def action(self, node: Node, parent: int) -> int:
        return self._add(node, "action", parent, action=self.actions.read(node.only()))

    def _add(self, node: Node, type: str, parent: int, **more) -> int:
        if len(self.elements) >= MOST:
            node.fail(f"more than {MOST} elements in the storyboard")
        self.elements.append(Element(len(self.elements), type, node.label(), parent, **more))
        return len(self.elements) - 1

    def _under(self, here: int, children: list[int]) -> int:
        self.elements[here] = replace(self.elements[here], children=tuple(children))
        return here


def _refers(elements: list[Element], conditions: list[Condition], path: Path) -> dict[int, tuple[int, ...]]:
    """Elements that conditions name, by name or by a path of names joined with `::`. Of several with the same name, as
    from a catalogue that is used twice, those count that are nearest in the tree."""
    out, owner = {}, _owners(elements)
    for condition in conditions:
        test = condition.test
        if not isinstance(test, ElementIs):
            continue
        names = test.name.split("::")
        found = [x.number for x in elements if x.type == test.type and _named(elements, x, names)]
        if not found:
            raise InputError(f"{path}: {test.where}: there is no {test.type} '{test.name}' in the storyboard")
        near = {
            i: len(set(_above(elements, i)) & set(_above(elements, owner.get(condition.number, -1)))) for i in found
        }
        out[condition.number] = tuple(i for i in found if near[i] == max(near.values()))
    return out


def _owners(elements: list[Element]) -> dict[int, int]:
    """Elements by the conditions of their triggers."""
    triggers = [(x.number, t) for x in elements for t in (x.start, x.stop) if t is not None]
    return {c.number: number for number, trigger in triggers for group in trigger.groups for c in group}


def _above(elements: list[Element], number: int) -> list[int]:
    """An element and all that it is part of."""
    out = []
    while number >= 0:
        out.append(number)
        number = elements[number].parent
    return out


def _named(elements: list[Element], element: Element, names: list[str]) -> bool:
    at: Element | None = element
    if element.name != names[-1]:
        return False
    for name in reversed(names[:-1]):
        at = elements[at.parent] if at and at.parent >= 0 else None
        while at is not None and at.name != name:
            at = elements[at.parent] if at.parent >= 0 else None
        if at is None:
            return False
    return True
