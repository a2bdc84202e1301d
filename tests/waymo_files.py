"""Small Waymo files for tests: one street as a Scenario proto, and any Scenario proto as json or as a tf.Example.

The street runs along LOCAL x, which is turned by TURN and moved to ORIGIN in the file: lanes 1 (y = 0) and 2 (y = 3.5)
from x = -20 to 60, on from there lane 3 (via the mere point 9) and 4, beside the road the bicycle lane 5. The ego
starts at x = 0 with 10 m/s on lane 1.
"""

from __future__ import annotations

import json
import struct
from collections import defaultdict

import numpy as np

from scenarios.waymo.messages import parse
from scenarios.waymo.tfrecord import frame

ORIGIN, TURN = np.array([5000.0, -2000.0, 30.0]), np.deg2rad(30.0)
EGO = (5.286, 2.332, 2.33)
STEPS = 91
ID = "8a34610909abcdef"

# the wire format by hand: numbers, floats and messages


def varint(value):
    value, out = value % 2**64, b""
    while value > 127:
        value, out = value >> 7, out + bytes([value & 127 | 128])
    return out + bytes([value])


def whole(number, value):
    return varint(number << 3) + varint(value)


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def single(number, value):
    return varint(number << 3 | 5) + struct.pack("<f", value)


def inner(number, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


# the street


def place(x, y, z=0.0):
    c, s = np.cos(TURN), np.sin(TURN)
    return ORIGIN + [c * x - s * y, s * x + c * y, z]


def point(x, y, z=0.0):
    return b"".join(double(i, v) for i, v in enumerate(place(x, y, z), 1))


def line(number, x0, x1, y, step=0.5):
    n = max(int(round(abs(x1 - x0) / step)) + 1, 1)
    return b"".join(inner(number, point(x, y)) for x in np.linspace(x0, x1, n))


def lane(id, x0, x1, y, kind=2, limit=0.0, exits=(), left=(), right=()):
    beside = lambda n, ids: b"".join(inner(n, whole(1, i) + whole(2, 0) + whole(3, 99)) for i in ids)  # noqa: E731
    body = double(1, limit) + whole(2, kind) + line(8, x0, x1, y)
    body += inner(10, b"".join(varint(i) for i in exits)) + beside(11, left) + beside(12, right)
    return inner(8, whole(1, id) + inner(3, body))


def features():
    return b"".join([
        lane(1, -20, 60, 0, limit=35.0, exits=(9,), left=(2,)),
        lane(2, -20, 60, 3.5, limit=35.0, exits=(4,), right=(1,)),
        lane(9, 60, 60, 0, exits=(3,)),
        lane(3, 60, 140, 0, left=(4,)),
        lane(4, 60, 140, 3.5, right=(3,)),
        lane(5, -20, 140, -4, kind=3),
        inner(8, whole(1, 20) + inner(4, whole(1, 1) + line(2, -20, 60, 1.75))),  # broken white
        inner(8, whole(1, 21) + inner(4, whole(1, 7) + line(2, -20, 140, 5.2))),  # solid double yellow
        inner(8, whole(1, 22) + inner(4, line(2, -20, 140, -2.0))),  # unknown: not painted
        inner(8, whole(1, 30) + inner(5, whole(1, 1) + line(2, -20, 140, -5.0))),
        inner(8, whole(1, 31) + inner(5, whole(1, 2) + line(2, 140, -20, 5.5))),
        inner(8, whole(1, 40) + inner(7, inner(1, varint(3)) + inner(2, point(60, -6, 2)))),
        inner(8, whole(1, 50) + inner(8, b"".join(
            inner(1, point(x, y)) for x, y in ((55, -5), (58, -5), (58, 5.5), (55, 5.5))))),
        inner(8, whole(1, 60) + inner(9, b"".join(inner(1, point(x, y)) for x, y in ((0, 0), (1, 0), (1, 1))))),
        inner(8, whole(1, 70) + inner(10, b"".join(
            inner(1, point(x, y)) for x, y in ((20, -5), (26, -5), (26, -12), (20, -12))))),
    ])  # fmt: skip


def light(step):
    """Lane 3: arrow stop, then go, then not reported, then flashing caution."""
    state = 1 if step < 20 else 6 if step < 40 else 8 if step >= 60 else None
    if state is None:
        return inner(7, b"")
    return inner(7, inner(1, whole(1, 3) + whole(2, state) + inner(3, point(60, 0))))


def state(x, y, size, yaw=0.0, speed=0.0, z=None):
    """A box on the ground at z = 0."""
    c, s = np.cos(yaw + TURN), np.sin(yaw + TURN)
    where = place(x, y, size[2] / 2 if z is None else z)
    return b"".join(double(i, v) for i, v in enumerate(where, 2)) + b"".join(
        single(i, v) for i, v in enumerate((*size, yaw + TURN, speed * c, speed * s), 5)
    ) + whole(11, 1)  # fmt: skip


def track(id, kind, states):
    return inner(2, whole(1, id) + whole(2, kind) + b"".join(inner(3, s) for s in states))


GONE = double(4, 0.0) + whole(11, 0)


def scenario(id=ID, steps=STEPS, ego=2, current=10, ego_gone=(), more=b"", first_x=0.0):
    """Record of a Scenario; tracks: a car on lane 2, a pedestrian from step 30 to 59, the ego, a parked car."""
    boxes = {"ego": EGO, "car": (4.5, 1.9, 1.5), "walker": (0.8, 0.7, 1.8)}
    time = np.arange(steps) * 0.1
    car = [state(20 + 8 * t, 3.5, boxes["car"], speed=8) for t in time]
    walker = [state(56, -5 + 1.5 * (t - 3), boxes["walker"], np.pi / 2, 1.5) for t in time]
    walker = [s if 30 <= i < 60 else GONE for i, s in enumerate(walker)]
    own = [state(first_x + 10 * t, 0, EGO, speed=10) for t in time]
    own = [GONE if i in ego_gone else s for i, s in enumerate(own)]
    parked = [state(30, -8, boxes["car"], np.pi)] * steps
    return b"".join([
        *(double(1, t) for t in time),
        track(7, 1, car), track(8, 2, walker), track(99, 1, own), track(12, 1, parked),
        inner(5, id), whole(6, ego) if ego is not None else b"",
        *(light(i) for i in range(steps)), features(), more, whole(10, current),
    ])  # fmt: skip


def tfrecord(path, *records):
    path.write_bytes(b"".join(frame(record) for record in records))
    return path


# the same scene in the other forms

OBJECTS = ("unset", "vehicle", "pedestrian", "cyclist", "other")
LIGHTS = (
    "unknown", "arrow_stop", "arrow_caution", "arrow_go", "stop", "caution", "go", "flashing_stop", "flashing_caution",
)  # fmt: skip


WITHOUT = {"gpudrive": (), "later": ("mark_as_expert", "id"), "nocturne": ("mark_as_expert", "id", "height")}


def as_json(record, kind="gpudrive"):
    """What GPUDrive ("gpudrive"), its forerunner ("later") and Nocturne ("nocturne") make of a Scenario."""
    scene, plain = parse("Scenario", record), kind == "nocturne"
    absent = 1e-4 if kind == "later" else -10000.0
    angle = float if kind == "gpudrive" else lambda x: float(np.degrees(x)) + 360.0
    xyz = lambda x, y, z: {"x": x, "y": y} if plain else {"x": x, "y": y, "z": z}  # noqa: E731
    objects = []
    for row in scene.tracks:
        states = [parse("ObjectState", s) for s in row.states]
        last = [s for s in states if s.valid][-1]
        item = {
            "position": [xyz(s.center_x, s.center_y, s.center_z) if s.valid else xyz(*[absent] * 3) for s in states],
            "width": last.width, "length": last.length, "height": last.height,
            "heading": [angle(s.heading) if s.valid else absent for s in states],
            "velocity": [{"x": s.velocity_x, "y": s.velocity_y} if s.valid else {"x": absent, "y": absent}
                         for s in states],
            "valid": [s.valid for s in states], "goalPosition": xyz(last.center_x, last.center_y, last.center_z),
            "type": OBJECTS[row.object_type], "mark_as_expert": False, "id": row.id,
        }  # fmt: skip
        for key in WITHOUT[kind]:
            del item[key]
        objects.append(item)
    roads = []
    for id, name, code, points in flat_features(scene):
        road = {"geometry": [xyz(*map(float, p)) for p in points], "type": name, "map_element_id": code, "id": id}
        roads.append({k: road[k] for k in ("geometry", "type")} if plain else road)
    lights = defaultdict(lambda: {"state": [], "x": [], "y": [], "z": [], "time_index": []})
    for step, dynamic in enumerate(scene.dynamic_map_states):
        for s in dynamic.lane_states:
            row, stop = lights[str(s.lane)], s.stop_point
            for key, value in zip(row, (LIGHTS[s.state], stop.x, stop.y, stop.z, step), strict=True):
                row[key].append(value)
    data = {"name": "x.json", "scenario_id": scene.scenario_id, "objects": objects, "roads": roads}
    data["tl_states"] = {} if plain else lights
    if plain:
        del data["scenario_id"]
    if kind == "gpudrive":
        data["metadata"] = {"sdc_track_index": scene.sdc_track_index, "objects_of_interest": []}
    return data


def flat_features(scene):
    """Id, name, number of its kind and points (n, 3) of each map feature."""
    points = lambda parts: [(p.x, p.y, p.z) for p in (parse("MapPoint", b) for b in parts)]  # noqa: E731
    for f in scene.map_features:
        if f.HasField("lane"):
            yield f.id, "lane", f.lane.type, points(f.lane.polyline)
        elif f.HasField("road_line"):
            yield f.id, "road_line", 5 + f.road_line.type, points(f.road_line.polyline)
        elif f.HasField("road_edge"):
            yield f.id, "road_edge", 14 + f.road_edge.type, points(f.road_edge.polyline)
        elif f.HasField("stop_sign"):
            p = f.stop_sign.position
            yield f.id, "stop_sign", 17, [(p.x, p.y, p.z)]
        elif f.HasField("crosswalk"):
            yield f.id, "crosswalk", 18, points(f.crosswalk.polygon)
        elif f.HasField("driveway"):
            yield f.id, "driveway", 20, points(f.driveway.polygon)


def write_json(path, data):
    path.write_text(json.dumps(data))
    return path


def values(*numbers, kind):
    """A tf.Feature."""
    if kind == "bytes":
        return inner(1, b"".join(inner(1, n) for n in numbers))
    if kind == "float":
        return inner(2, inner(1, struct.pack(f"<{len(numbers)}f", *numbers)))
    return inner(3, inner(1, b"".join(varint(int(n)) for n in numbers)))


def as_example(record, agents=128, points=30_000, lights=16):
    """A Scenario as a tf.Example: https://waymo.com/open/data/motion/tfexample."""
    scene, out = parse("Scenario", record), {}
    steps, now = len(scene.timestamps_seconds), scene.current_time_index
    spans = {"past": range(now), "current": range(now, now + 1), "future": range(now + 1, steps)}
    tracks = [[parse("ObjectState", s) for s in t.states] for t in scene.tracks]
    padded = lambda rows, fill=-1.0: np.pad(rows, (0, agents - len(rows)), constant_values=fill)  # noqa: E731
    names = {
        "x": "center_x", "y": "center_y", "z": "center_z", "length": "length", "width": "width", "height": "height",
        "bbox_yaw": "heading", "velocity_x": "velocity_x", "velocity_y": "velocity_y",
    }  # fmt: skip
    for part, span in spans.items():
        for name, field in {**names, "valid": "valid", "timestamp_micros": ""}.items():
            table = np.full((agents, len(span)), 0.0 if name == "valid" else -1.0)
            for a, states in enumerate(tracks):
                for k, i in enumerate(span):
                    if states[i].valid:
                        time = scene.timestamps_seconds[i] * 1e6
                        table[a, k] = getattr(states[i], field) if field else round(time)
            whole_number = name in ("valid", "timestamp_micros")
            out[f"state/{part}/{name}"] = values(*table.ravel(), kind="int64" if whole_number else "float")
        out.update(_lights_of(scene, part, span, lights))
    out["state/type"] = values(*padded([t.object_type for t in scene.tracks]), kind="float")
    out["state/id"] = values(*padded([t.id for t in scene.tracks]), kind="float")
    sdc = np.arange(len(tracks)) == scene.sdc_track_index
    out["state/is_sdc"] = values(*padded(sdc.astype(int)), kind="int64")
    rows = [(id, code, p) for id, _, code, shape in flat_features(scene) for p in shape][:points]
    fill = points - len(rows)
    out["roadgraph_samples/xyz"] = values(*(float(x) for r in rows for x in r[2]), *[-1.0] * 3 * fill, kind="float")
    for k, name in ((0, "id"), (1, "type")):
        out[f"roadgraph_samples/{name}"] = values(*(r[k] for r in rows), *[-1] * fill, kind="int64")
    out["roadgraph_samples/valid"] = values(*[1] * len(rows), *[0] * fill, kind="int64")
    out["scenario/id"] = values(scene.scenario_id, kind="bytes")
    return inner(1, b"".join(inner(1, inner(1, key) + inner(2, value)) for key, value in sorted(out.items())))


def _lights_of(scene, part, span, wide):
    rows = []
    for i in span:
        seen = [(s.state, s.lane, 1, s.stop_point.x, s.stop_point.y, s.stop_point.z)
                for s in scene.dynamic_map_states[i].lane_states]  # fmt: skip
        rows += seen + [(-1, -1, 0, -1.0, -1.0, -1.0)] * (wide - len(seen))
    kinds = {"state": "int64", "id": "int64", "valid": "int64", "x": "float", "y": "float", "z": "float"}
    columns = zip(*rows, strict=True)
    return {
        f"traffic_light_state/{part}/{name}": values(*column, kind=kind)
        for (name, kind), column in zip(kinds.items(), columns, strict=True)
    }
