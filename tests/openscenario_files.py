"""OpenSCENARIO files for tests: a straight road with two lanes each way, and storyboards in a few lines."""

from pathlib import Path

CAR = """<Vehicle name="car" vehicleCategory="car"><ParameterDeclarations/>
<BoundingBox><Center x="1.4" y="0" z="0.75"/><Dimensions width="2" length="5" height="1.5"/></BoundingBox>
<Performance maxSpeed="70" maxAcceleration="10" maxDeceleration="10"/>
<Axles><FrontAxle maxSteering="0.5" wheelDiameter="0.8" trackWidth="1.7" positionX="2.9" positionZ="0.4"/>
<RearAxle maxSteering="0.5" wheelDiameter="0.8" trackWidth="1.7" positionX="0" positionZ="0.4"/></Axles>
<Properties/></Vehicle>"""

WALKER = """<Pedestrian name="man" pedestrianCategory="pedestrian" mass="80"><ParameterDeclarations/>
<BoundingBox><Center x="0" y="0" z="0.9"/><Dimensions width="0.5" length="0.6" height="1.8"/></BoundingBox>
<Properties/></Pedestrian>"""


def road(length: float = 1000.0, curvature: float = 0.0) -> str:
    """OpenDRIVE: road 1 from (0, 0) along +x with lanes 2, 1 | -1, -2 of 3.5 m and pavements 3 and -3."""
    shape = f'<arc curvature="{curvature}"/>' if curvature else "<line/>"

    def lane(id: int) -> str:
        kind = "sidewalk" if abs(id) == 3 else "driving"
        return f'<lane id="{id}" type="{kind}"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>'

    left, right = "".join(lane(i) for i in (3, 2, 1)), "".join(lane(i) for i in (-1, -2, -3))
    return f"""<OpenDRIVE><header revMajor="1" revMinor="4"/><road name="" length="{length}" id="1" junction="-1">
<planView><geometry s="0" x="0" y="0" hdg="0" length="{length}">{shape}</geometry></planView>
<lanes><laneSection s="0"><left>{left}</left><center><lane id="0" type="none"/></center><right>{right}</right>
</laneSection></lanes></road></OpenDRIVE>"""


def lane(s: float, id: int = -1, more: str = "") -> str:
    return f'<Position><LanePosition roadId="1" laneId="{id}" s="{s}" {more}/></Position>'


def private(action: str) -> str:
    return f"<PrivateAction>{action}</PrivateAction>"


def speed(value: float | str, dynamics: str = 'dynamicsShape="step" dynamicsDimension="time" value="0"') -> str:
    target = f'<AbsoluteTargetSpeed value="{value}"/>' if not str(value).startswith("<") else value
    return private(
        f"<LongitudinalAction><SpeedAction><SpeedActionDynamics {dynamics}/><SpeedActionTarget>{target}"
        "</SpeedActionTarget></SpeedAction></LongitudinalAction>"
    )


def lateral(action: str) -> str:
    return private(f"<LateralAction>{action}</LateralAction>")


def routing(action: str) -> str:
    return private(f"<RoutingAction>{action}</RoutingAction>")


def starts(name: str, position: str, value: float | str) -> str:
    teleport = private(f"<TeleportAction>{position}</TeleportAction>")
    return f'<Private entityRef="{name}">{teleport}{speed(value)}</Private>'


def condition(test: str, edge: str = "rising", delay: float = 0) -> str:
    return f'<Condition name="c" delay="{delay}" conditionEdge="{edge}">{test}</Condition>'


def time(value: float) -> str:
    return f'<ByValueCondition><SimulationTimeCondition value="{value}" rule="greaterThan"/></ByValueCondition>'


def state(type: str, name: str, state: str) -> str:
    return (
        f'<ByValueCondition><StoryboardElementStateCondition storyboardElementType="{type}" '
        f'storyboardElementRef="{name}" state="{state}"/></ByValueCondition>'
    )


def by(entity: str, test: str) -> str:
    return (
        '<ByEntityCondition><TriggeringEntities triggeringEntitiesRule="any">'
        f'<EntityRef entityRef="{entity}"/></TriggeringEntities><EntityCondition>{test}</EntityCondition>'
        "</ByEntityCondition>"
    )


def when(*conditions: str) -> str:
    return f"<StartTrigger><ConditionGroup>{''.join(conditions)}</ConditionGroup></StartTrigger>"


def event(name: str, action: str, trigger: str, priority: str = "overwrite", count: int = 1) -> str:
    return (
        f'<Event name="{name}" priority="{priority}" maximumExecutionCount="{count}">'
        f'<Action name="{name} action">{action}</Action>{trigger}</Event>'
    )


def maneuver(actor: str, *events: str, name: str = "m") -> str:
    return (
        f'<ManeuverGroup name="group of {name}" maximumExecutionCount="1"><Actors selectTriggeringEntities="false">'
        f'<EntityRef entityRef="{actor}"/></Actors><Maneuver name="{name}">{"".join(events)}</Maneuver></ManeuverGroup>'
    )


def story(
    init: str,
    *groups: str,
    entities: str = "",
    stop: str = condition(time(10), "none"),
    parameters: str = "",
    roads: str = "road.xodr",
    header: str = "",
    before: str = "",
) -> str:
    """An .xosc file with the entities Ego and Other (cars), and one act that starts at once."""
    objects = "".join(f'<ScenarioObject name="{name}">{CAR}</ScenarioObject>' for name in ("Ego", "Other"))
    acts = f'<Story name="story"><Act name="act">{"".join(groups)}<StartTrigger/></Act></Story>' if groups else ""
    end = f"<StopTrigger><ConditionGroup>{stop}</ConditionGroup></StopTrigger>" if stop else "<StopTrigger/>"
    return f"""<?xml version="1.0"?><OpenSCENARIO><FileHeader revMajor="1" revMinor="1" author="me"
date="2026-01-01T00:00:00" description="">{header}</FileHeader>
<ParameterDeclarations>{parameters}</ParameterDeclarations>{before}
<RoadNetwork><LogicFile filepath="{roads}"/></RoadNetwork><Entities>{objects}{entities}</Entities>
<Storyboard><Init><Actions>{init}</Actions></Init>{acts}{end}</Storyboard></OpenSCENARIO>"""


def write(folder: Path, text: str, name: str = "scene", curvature: float = 0.0) -> Path:
    """The scenario's file, with its road beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "road.xodr").write_text(road(curvature=curvature))
    path = folder / f"{name}.xosc"
    path.write_text(text)
    return path
