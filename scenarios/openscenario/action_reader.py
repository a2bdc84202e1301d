"""Reads the actions of a file."""

from __future__ import annotations

from collections.abc import Mapping

from .actions import (
    Act,
    ChangeLane,
    FollowTrajectory,
    KeepDistance,
    Nothing,
    OffsetLane,
    Presence,
    SetSpeed,
    SetValue,
    SpeedProfile,
    Synchronize,
    TakeRoute,
    Teleport,
)
from .catalogs import Catalogs
from .nodes import LARGEST, Node
from .positions import Position, read_position, read_route
from .profiles import read_dynamics
from .shapes import read_shape

HARMLESS = {
    "VisibilityAction": "is seen whatever its VisibilityAction says",
    "ControllerAction": "moves as the storyboard says, whatever its ControllerAction says",
    "ActivateControllerAction": "moves as the storyboard says, whatever its ActivateControllerAction says",
    "AppearanceAction": "looks the same whatever its AppearanceAction says",
}
"""Private actions without effect here, and what is told of whom they are for."""

WITHOUT_EFFECT = {
    "EnvironmentAction": "weather, daylight and friction of an EnvironmentAction are left out",
    "InfrastructureAction": "the states of traffic lights that an InfrastructureAction sets are left out",
}


class ActionReader:
    """Reads the actions of one storyboard; what it leaves out goes to `problems`, the rest is refused by name."""

    def __init__(self, names: Mapping[str, object], catalogs: Catalogs, problems: list[str]) -> None:
        self.names, self.catalogs, self.problems = names, catalogs, problems

    def read(self, node: Node, who: str = "") -> Act:
        """A PrivateAction or GlobalAction; UserDefinedAction and whatever else there is is refused."""
        if node.tag == "PrivateAction":
            return self._private(node.only(), who)
        if node.tag == "GlobalAction":
            return self._global(node.only())
        node.refuse()

    def _private(self, node: Node, who: str) -> Act:
        if node.tag in HARMLESS:
            self._tell(f"{who or 'an entity'} {HARMLESS[node.tag]}")
            return Nothing()
        if node.tag == "TeleportAction":
            return Teleport(self._position(node.need("Position")))
        if node.tag == "SynchronizeAction":
            return self._synchronize(node)
        known = {
            "SpeedAction": self._speed, "SpeedProfileAction": self._profile,
            "LongitudinalDistanceAction": self._distance, "LaneChangeAction": self._lane_change,
            "LaneOffsetAction": self._lane_offset, "FollowTrajectoryAction": self._trajectory,
            "AssignRouteAction": self._route, "AcquirePositionAction": self._acquire,
        }  # fmt: skip
        if node.tag not in ("LongitudinalAction", "LateralAction", "RoutingAction"):
            node.refuse()
        inner = node.only()
        return known[inner.tag](inner) if inner.tag in known else inner.refuse()

    def _global(self, node: Node) -> Act:
        if node.tag in WITHOUT_EFFECT:
            self._tell(WITHOUT_EFFECT[node.tag])
            return Nothing()
        if node.tag == "EntityAction":
            inner = node.only()
            if inner.tag == "DeleteEntityAction":
                return Presence(self._entity(node), None)
            if inner.tag == "AddEntityAction":
                return Presence(self._entity(node), self._position(inner.need("Position")))
            inner.refuse()
        if node.tag in ("ParameterAction", "VariableAction"):
            name = node.reference("parameterRef" if node.tag == "ParameterAction" else "variableRef")
            inner = node.only()
            if inner.tag in ("SetAction", "ParameterSetAction", "VariableSetAction"):
                return SetValue(name, "set", inner.text("value"))
            rule = inner.need("Rule").only()
            operation = {"AddValue": "add", "MultiplyByValue": "multiply"}.get(rule.tag)
            return SetValue(name, operation, str(rule.number("value"))) if operation else rule.refuse()
        node.refuse()

    def _speed(self, node: Node) -> Act:
        dynamics, target = read_dynamics(node.need("SpeedActionDynamics")), node.need("SpeedActionTarget").only()
        if target.tag == "AbsoluteTargetSpeed":
            return SetSpeed(dynamics, target.number("value"))
        if target.tag != "RelativeTargetSpeed":
            target.refuse()
        factor = target.choice("speedTargetValueType", ("delta", "factor"), "delta") == "factor"
        return SetSpeed(
            dynamics, target.number("value"), self._entity(target), factor, target.flag("continuous", False)
        )

    def _profile(self, node: Node) -> Act:
        entries = [(x.number("speed"), x.number("time")) for x in node.all("SpeedProfileEntry")]
        if not entries or min(t for _, t in entries) < 0:
            node.fail("has no entries with times; a profile from DynamicConstraints alone is not supported")
        if node.text("followingMode", "position").strip() == "follow":
            self._tell("the jerk limits of a SpeedProfileAction are left out: its speeds change linearly")
        return SpeedProfile(tuple(entries), self._entity(node) if node.element.get("entityRef") else "")

    def _distance(self, node: Node) -> Act:
        if node.text("coordinateSystem", "entity").strip() == "trajectory":
            node.refuse("LongitudinalDistanceAction along a trajectory")
        limits = node.get("DynamicConstraints")
        most = [limits.number(f"max{x}", LARGEST) for x in ("Acceleration", "Deceleration", "Speed")] if limits else []
        distance = node.number("distance") if node.element.get("distance") is not None else None
        seconds = node.number("timeGap") if node.element.get("timeGap") is not None else None
        if (distance is None) == (seconds is None):
            node.fail("needs either distance or timeGap")
        side = {"any": 0, "leadingReferencedEntity": 1, "trailingReferencedEntity": -1}
        way = node.choice("displacement", side, "trailingReferencedEntity")
        return KeepDistance(
            self._entity(node), distance, seconds, node.flag("freespace"), node.flag("continuous"), side[way],
            *([abs(x) for x in most] or [LARGEST, LARGEST, LARGEST]),
        )  # fmt: skip

    def _lane_change(self, node: Node) -> Act:
        dynamics = read_dynamics(node.need("LaneChangeActionDynamics"))
        target, offset = node.need("LaneChangeTarget").only(), node.number("targetLaneOffset", 0.0)
        if target.tag == "AbsoluteTargetLane":
            return ChangeLane(dynamics, target.whole("value"), "", offset)
        if target.tag == "RelativeTargetLane":
            return ChangeLane(dynamics, target.whole("value"), self._entity(target), offset)
        target.refuse()

    def _lane_offset(self, node: Node) -> Act:
        dynamics, target = node.need("LaneOffsetActionDynamics"), node.need("LaneOffsetTarget").only()
        shape = dynamics.choice("dynamicsShape", ("step", "linear", "sinusoidal", "cubic"))
        sharpest = abs(dynamics.number("maxLateralAcc", 0.5))  # the reference player's, where the file has none
        reference = self._entity(target) if target.tag == "RelativeTargetLaneOffset" else ""
        if target.tag not in ("AbsoluteTargetLaneOffset", "RelativeTargetLaneOffset"):
            target.refuse()
        return OffsetLane(shape, sharpest or 0.5, target.number("value"), reference, node.flag("continuous"))

    def _trajectory(self, node: Node) -> Act:
        holder = node.get("TrajectoryRef") or node
        trajectory = self.catalogs.resolve(holder, "Trajectory")
        if trajectory is None:
            node.fail("has no Trajectory")
        reference = node.get("TimeReference")
        timing = reference.get("Timing") if reference else None
        shape = read_shape(trajectory.need("Shape"), self._position, timing is not None)
        absolute = (
            timing is not None and timing.choice("domainAbsoluteRelative", ("absolute", "relative")) == "absolute"
        )
        scale, offset = (timing.number("scale", 1.0), timing.number("offset", 0.0)) if timing else (1.0, 0.0)
        if scale <= 0:
            timing.fail("scale is not positive")  # type: ignore[union-attr]
        closed, begin = trajectory.flag("closed"), node.number("initialDistanceOffset", 0.0)
        return FollowTrajectory(shape, closed, timing is not None, absolute, scale, offset, begin)

    def _route(self, node: Node) -> Act:
        return TakeRoute(read_route(node, self.names, self.catalogs))

    def _acquire(self, node: Node) -> Act:
        return TakeRoute((self._position(node.need("Position")),))

    def _synchronize(self, node: Node) -> Act:
        there, here = (self._position(node.need(x)) for x in ("TargetPositionMaster", "TargetPosition"))
        final, speed, relative = node.get("FinalSpeed"), None, ""
        if final is not None:
            inner = final.only()
            if inner.tag not in ("AbsoluteSpeed", "RelativeSpeedToMaster"):
                inner.refuse()
            if [x for x in inner.all() if x.tag.startswith("SteadyState")]:
                self._tell("the steady state that a SynchronizeAction wants before its end is left out")
            speed = inner.number("value")
            if inner.tag == "RelativeSpeedToMaster":
                relative = inner.choice("speedTargetValueType", ("delta", "factor"), "delta")
        near = tuple(max(node.number(x, 0.0), 0.0) for x in ("targetToleranceMaster", "targetTolerance"))
        return Synchronize(self._entity(node, "masterEntityRef"), there, here, speed, relative, near)

    def _entity(self, node: Node, attribute: str = "entityRef") -> str:
        name = node.text(attribute)
        return name if name in self.names else node.fail(f"names the entity '{name}', which there is not")

    def _position(self, node: Node) -> Position:
        return read_position(node, self.names, self.catalogs)

    def _tell(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)
