"""Who plays: vehicles, pedestrians and objects with their boxes and axles."""

from __future__ import annotations

from dataclasses import dataclass

from drivesim.errors import InputError
from drivesim.types import Kind

from .catalogs import Catalogs
from .nodes import Node

VEHICLES = {
    "car": Kind.CAR, "van": Kind.CAR, "truck": Kind.TRUCK, "semitrailer": Kind.TRAILER, "trailer": Kind.TRAILER,
    "bus": Kind.BUS, "motorbike": Kind.MOTORCYCLE, "motorcycle": Kind.MOTORCYCLE, "bicycle": Kind.BICYCLE,
    "tram": Kind.BUS, "train": Kind.BUS, "microMobility": Kind.BICYCLE, "standUpScooter": Kind.BICYCLE,
    "wheelchair": Kind.PEDESTRIAN, "workMachine": Kind.CONSTRUCTION, "other": Kind.CAR,
}  # fmt: skip
WALKERS = {"pedestrian": Kind.PEDESTRIAN, "wheelchair": Kind.PEDESTRIAN, "animal": Kind.ANIMAL}
BARRIERS = {"barrier", "railing", "soundBarrier"}
FLAT = {"crosswalk", "parkingSpace", "patch", "roadMark"}
"""Objects that one drives over: part of the road, no agents."""

MOST = 2000
"""Entities of a scenario."""


@dataclass(frozen=True)
class Entity:
    """Its reference point is that of the standard: under the rear axle's middle for vehicles."""

    name: str
    kind: Kind
    size: tuple[float, float, float]  # length, width, height [m]
    center: tuple[float, float, float]  # of the box, from the reference point: forward, left, up [m]
    rear: float = 0.0  # rear axle ahead of the reference point [m]
    front: float | None = None  # front axle likewise; None where there are no axles
    fastest: float = 1e7  # [m/s]
    driven: bool = False  # somebody's controller is assigned to it
    vehicle: bool = False

    @property
    def walks(self) -> bool:
        return self.kind in (Kind.PEDESTRIAN, Kind.ANIMAL)


def read_entities(
    root: Node, catalogs: Catalogs, problems: list[str]
) -> tuple[dict[str, Entity], dict[str, list[str]]]:
    """Entities by name in the order of the file, and the members of named selections of them."""
    entities: dict[str, Entity] = {}
    listed = root.need("Entities")
    for node in listed.all("ScenarioObject"):
        entity = _entity(node, catalogs, problems)
        if entity.name in entities:
            node.fail("two entities have this name")
        entities[entity.name] = entity
    if len(entities) > MOST:
        raise InputError(f"{root.file}: {len(entities)} entities; at most {MOST} are read")
    selections = {x.label(): _members(x, entities) for x in listed.all("EntitySelection")}
    return entities, selections


def choose_ego(entities: dict[str, Entity], wanted: str, node: Node) -> str:
    """The entity for the planner: as `wanted`, else by its name, else the first with a controller, else the first."""
    if wanted:
        if wanted not in entities:
            raise InputError(f"{node.file}: has no entity '{wanted}'; there are {', '.join(list(entities)[:8])}")
        return wanted
    vehicles = [e for e in entities.values() if e.vehicle]
    named = [e for name in ("Ego", "ego", "EGO", "hero", "Hero", "ego_vehicle") for e in vehicles if e.name == name]
    for found in (named, [e for e in vehicles if e.driven], vehicles):
        if found:
            return found[0].name
    raise InputError(f"{node.file}: has no vehicle that could be the ego")


def _entity(node: Node, catalogs: Catalogs, problems: list[str]) -> Entity:
    name = node.text("name")
    driven = False
    for control in node.all("ObjectController"):
        inner = [x for x in control.all() if x.tag in ("Controller", "CatalogReference")]
        driven = driven or bool(inner)
        if inner:
            problems.append(f"the controller of {name} is not run: it moves as the storyboard says")
    found = [x for x in node.all() if x.tag != "ObjectController"]
    if len(found) != 1:
        node.fail("is not one vehicle, pedestrian or object")
    thing = found[0]
    thing = _from_catalog(thing, catalogs) if thing.tag == "CatalogReference" else thing.scoped()
    if thing.tag == "Vehicle":
        return _vehicle(name, thing, driven, problems)
    if thing.tag == "Pedestrian":
        kind = WALKERS.get(thing.text("pedestrianCategory", "pedestrian").strip(), Kind.PEDESTRIAN)
        return Entity(name, kind, *_box(thing), driven=driven)
    if thing.tag == "MiscObject":
        return Entity(name, _object(thing), *_box(thing))
    thing.refuse()


def _from_catalog(reference: Node, catalogs: Catalogs) -> Node:
    kinds = [k for k in ("Vehicle", "Pedestrian", "MiscObject") if f"{k}Catalog" in catalogs.folders]
    refused: InputError | None = None
    for kind in kinds:
        try:
            return catalogs.find(reference, kind)
        except InputError as error:
            refused = refused or error
    if refused:
        raise refused
    reference.fail("refers to a catalogue, and the scenario states none of vehicles, pedestrians or objects")


def _vehicle(name: str, node: Node, driven: bool, problems: list[str]) -> Entity:
    category = node.text("vehicleCategory", "car").strip()
    if category not in VEHICLES:
        problems.append(f"the vehicle category '{category[:40]}' of {name} is unknown: taken for a car")
    if node.get("Trailer") is not None and node.get("Trailer", "Trailer") is not None:
        problems.append(f"the trailer of {name} is left out")
    size, center = _box(node)
    front, rear = node.get("Axles", "FrontAxle"), node.get("Axles", "RearAxle")
    performance = node.get("Performance")
    return Entity(
        name, VEHICLES.get(category, Kind.CAR), size, center,
        rear=rear.number("positionX", 0.0) if rear else 0.0,
        front=front.number("positionX", 0.0) if front and rear else None,
        fastest=max(performance.number("maxSpeed", 1e7), 0.0) if performance else 1e7, driven=driven, vehicle=True,
    )  # fmt: skip


def _object(node: Node) -> Kind:
    category = node.text("miscObjectCategory", "obstacle").strip()
    if category in FLAT:
        return Kind.OBJECT
    if "cone" in node.label().lower():
        return Kind.CONE
    return Kind.BARRIER if category in BARRIERS else Kind.OBJECT


def _box(node: Node) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    center, size = node.need("BoundingBox", "Center"), node.need("BoundingBox", "Dimensions")
    edges = tuple(size.number(k) for k in ("length", "width", "height"))
    if not all(0 < x <= 1000 for x in edges):
        size.fail(f"is {edges[0]:g} x {edges[1]:g} x {edges[2]:g} m")
    place = tuple(center.number(k, 0.0) for k in ("x", "y", "z"))
    if max(abs(x) for x in place) > 100:
        center.fail("lies more than 100 m from the reference point")
    return edges, place  # type: ignore[return-value]


def _members(node: Node, entities: dict[str, Entity]) -> list[str]:
    names = []
    for member in node.need("Members").all():
        if member.tag == "EntityRef":
            names.append(member.text("entityRef"))
        elif member.tag == "ByType":
            wanted = member.text("objectType", member.text("type", ""))
            names += [e.name for e in entities.values() if _type(e) == wanted]
        else:
            member.refuse()
    missing = [x for x in names if x not in entities]
    return names if not missing else node.fail(f"names the entity '{missing[0]}', which there is not")


def _type(entity: Entity) -> str:
    return "vehicle" if entity.vehicle else "pedestrian" if entity.walks else "miscellaneous"
