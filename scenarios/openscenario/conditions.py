"""Reads the conditions by entity and by value of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .catalogs import Catalogs
from .checks import RULES, Check, Collision, Headway, Measure, Near, Own, Reached, Touches
from .nodes import Node
from .positions import read_position


def read_rule(node: Node) -> str:
    return node.choice("rule", RULES)


def _measure(node: Node, type: str | None = None) -> Measure:
    """From the attributes of 1.1 and later, else from `alongRoute` of 1.0."""
    along = node.flag("alongRoute") if node.element.get("alongRoute") is not None else None
    system = node.choice("coordinateSystem", ("entity", "road", "lane"), "road" if along else "entity")
    types = {
        "longitudinal": "longitudinal", "lateral": "lateral", "cartesianDistance": "straight",
        "euclidianDistance": "straight", "euclideanDistance": "straight",
    }  # fmt: skip
    default = "longitudinal" if along else "euclidianDistance"
    return Measure(node.flag("freespace"), system, types[node.choice("relativeDistanceType", types, type or default)])


def _entity(node: Node, names: Mapping[str, object]) -> str:
    name = node.text("entityRef")
    return name if name in names else node.fail(f"names the entity '{name}', which there is not")


def _time_to_collision(node: Node, names: Mapping[str, object], catalogs: Catalogs) -> Check:
    target = node.need("TimeToCollisionConditionTarget").only()
    if target.tag not in ("EntityRef", "Position"):
        target.refuse()
    aim = _entity(target, names) if target.tag == "EntityRef" else read_position(target, names, catalogs)
    return Collision(aim, _measure(node), node.number("value"), read_rule(node))


def _touches(node: Node, names: Mapping[str, object], _: Catalogs) -> Check:
    target = node.only()
    if target.tag == "EntityRef":
        return Touches(_entity(target, names), "")
    if target.tag == "ByType":
        return Touches("", target.choice("type", ("vehicle", "pedestrian", "miscellaneous")))
    target.refuse()


def _speed(node: Node, *_: object) -> Check:
    node.choice("direction", ("longitudinal",), "longitudinal")
    return Own("speed", node.number("value"), read_rule(node))


def _acceleration(node: Node, *_: object) -> Check:
    node.choice("direction", ("longitudinal",), "longitudinal")
    return Own("acceleration", node.number("value"), read_rule(node))


def _relative_speed(node: Node, names: Mapping[str, object], _: Catalogs) -> Check:
    node.choice("direction", ("longitudinal",), "longitudinal")
    return Own("speed", node.number("value"), read_rule(node), _entity(node, names))


BY_ENTITY: dict[str, Callable[[Node, Mapping[str, object], Catalogs], Check]] = {
    "EndOfRoadCondition": lambda n, *_: Own("ended", max(n.number("duration"), 1e-6), "greaterOrEqual"),
    "OffroadCondition": lambda n, *_: Own("astray", max(n.number("duration"), 1e-6), "greaterOrEqual"),
    "StandStillCondition": lambda n, *_: Own("still", max(n.number("duration"), 1e-6), "greaterOrEqual"),
    "TraveledDistanceCondition": lambda n, *_: Own("travelled", n.number("value"), "greaterOrEqual"),
    "SpeedCondition": _speed,
    "AccelerationCondition": _acceleration,
    "RelativeSpeedCondition": _relative_speed,
    "CollisionCondition": _touches,
    "TimeToCollisionCondition": _time_to_collision,
    "TimeHeadwayCondition": lambda n, names, _: Headway(
        _entity(n, names), _measure(n), n.number("value"), read_rule(n)
    ),
    "RelativeDistanceCondition": lambda n, names, _: Near(
        _entity(n, names), _measure(n), n.number("value"), read_rule(n)
    ),
    "DistanceCondition": lambda n, names, c: Near(
        read_position(n.need("Position"), names, c), _measure(n), n.number("value"), read_rule(n)
    ),
    "ReachPositionCondition": lambda n, names, c: Reached(
        read_position(n.need("Position"), names, c), n.number("tolerance")
    ),
}
"""Readers of the conditions by entity that are supported, by element."""
