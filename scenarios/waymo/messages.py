"""The protos of the Motion dataset (waymo_open_dataset/protos/scenario.proto, map.proto) and of tf.Example, as far as
they are read here: declared in code, so that neither TensorFlow nor generated modules are needed.

Points of polylines and states of tracks come in tens of thousands: they are declared as bytes, which is the same on
the wire, and read as arrays where they all have the same layout.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

_POINT = [("x", 1, "double"), ("y", 2, "double"), ("z", 3, "double")]
_SCHEMA: dict[str, list[tuple[str, int, str]]] = {
    "Scenario": [
        ("timestamps_seconds", 1, "double*"), ("tracks", 2, "Track*"), ("scenario_id", 5, "string"),
        ("sdc_track_index", 6, "int32"), ("dynamic_map_states", 7, "DynamicMapState*"),
        ("map_features", 8, "MapFeature*"), ("current_time_index", 10, "int32"),
    ],
    "Track": [("id", 1, "int32"), ("object_type", 2, "int32"), ("states", 3, "bytes*")],
    "ObjectState": [
        ("center_x", 2, "double"), ("center_y", 3, "double"), ("center_z", 4, "double"), ("length", 5, "float"),
        ("width", 6, "float"), ("height", 7, "float"), ("heading", 8, "float"), ("velocity_x", 9, "float"),
        ("velocity_y", 10, "float"), ("valid", 11, "bool"),
    ],
    "DynamicMapState": [("lane_states", 1, "TrafficSignalLaneState*")],
    "TrafficSignalLaneState": [("lane", 1, "int64"), ("state", 2, "int32"), ("stop_point", 3, "MapPoint")],
    "MapFeature": [
        ("id", 1, "int64"), ("lane", 3, "LaneCenter"), ("road_line", 4, "Line"), ("road_edge", 5, "Line"),
        ("stop_sign", 7, "StopSign"), ("crosswalk", 8, "Area"), ("driveway", 10, "Area"),
    ],
    "MapPoint": _POINT,
    "LaneCenter": [
        ("speed_limit_mph", 1, "double"), ("type", 2, "int32"), ("interpolating", 3, "bool"),
        ("polyline", 8, "bytes*"), ("entry_lanes", 9, "int64*"), ("exit_lanes", 10, "int64*"),
        ("left_neighbors", 11, "LaneNeighbor*"), ("right_neighbors", 12, "LaneNeighbor*"),
    ],
    "LaneNeighbor": [("feature_id", 1, "int64"), ("self_start_index", 2, "int32"), ("self_end_index", 3, "int32")],
    "Line": [("type", 1, "int32"), ("polyline", 2, "bytes*")],
    "StopSign": [("lane", 1, "int64*"), ("position", 2, "MapPoint")],
    "Area": [("polygon", 1, "bytes*")],
    "Example": [("features", 1, "Features")],
    "Features": [("feature", 1, "Entry*")],
    "Entry": [("key", 1, "string"), ("value", 2, "Feature")],
    "Feature": [("bytes_list", 1, "BytesList"), ("float_list", 2, "FloatList"), ("int64_list", 3, "Int64List")],
    "BytesList": [("value", 1, "bytes*")],
    "FloatList": [("value", 1, "float*")],
    "Int64List": [("value", 1, "int64*")],
}  # fmt: skip


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="drivesim/waymo_motion.proto", package="drivesim.waymo")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            base = kind.rstrip("*")
            label = field_type.LABEL_REPEATED if kind.endswith("*") else field_type.LABEL_OPTIONAL
            row = message.field.add(name=field, number=number, label=label)
            if base in _SCHEMA:
                row.type, row.type_name = field_type.TYPE_MESSAGE, f".drivesim.waymo.{base}"
            else:
                row.type = getattr(field_type, f"TYPE_{base.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = (pool.FindMessageTypeByName(f"drivesim.waymo.{name}") for name in _SCHEMA)
    return {name: message_factory.GetMessageClass(message) for name, message in zip(_SCHEMA, found, strict=True)}


def message(name: str) -> Any:
    """The class of a message."""
    return _classes()[name]


def parse(name: str, data: bytes) -> Any:
    """A message from its bytes; ValueError where they are none."""
    from google.protobuf.message import DecodeError

    try:
        return message(name).FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is no {name} message ({error})") from None


def _layout(name: str) -> np.dtype:
    """Of a message of which every field is there, in the order of their numbers."""
    sizes = {"double": (1, "<f8"), "float": (5, "<f4"), "bool": (0, "u1")}
    columns = [(f"{field}'", "u1", field, sizes[kind][1]) for field, _, kind in _SCHEMA[name]]
    return np.dtype([pair for tag, t, field, f in columns for pair in ((tag, t), (field, f))])


def _tags(name: str) -> list[int]:
    wire = {"double": 1, "float": 5, "bool": 0}
    return [number << 3 | wire[kind] for _, number, kind in _SCHEMA[name]]


def rows(name: str, parts: list[bytes], missing: float = np.nan) -> np.ndarray:
    """Messages of plain numbers as an array (n, fields) float64; a field that is not there is `missing`."""
    layout, fields = _layout(name), [field for field, _, _ in _SCHEMA[name]]
    out = np.full((len(parts), len(fields)), missing)
    regular = np.fromiter(map(len, parts), np.int64, len(parts)) == layout.itemsize
    table = np.frombuffer(b"".join(p for p, whole in zip(parts, regular, strict=True) if whole), layout)
    tags = [(table[f"{field}'"] == tag) for field, tag in zip(fields, _tags(name), strict=True)]
    fits = np.logical_and.reduce(tags) if len(table) else np.zeros(0, bool)
    out[np.flatnonzero(regular)[fits]] = np.column_stack([table[field][fits] for field in fields])
    regular[np.flatnonzero(regular)[~fits]] = False
    for i in np.flatnonzero(~regular):
        single = parse(name, parts[i])
        out[i] = [getattr(single, field) if single.HasField(field) else missing for field in fields]
    return out
