"""Layers of a GeoPackage (OGC 12-128): tables with a geometry column, in part by their spatial index."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from drivesim.errors import InputError

MOST = 300_000
"""Rows of a layer near one drive; a whole city has some 100,000 boundaries."""

_ENVELOPES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}  # numbers in the envelope by its code (clause 2.1.3.1.1)

Project = Callable[[np.ndarray], np.ndarray]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Layer:
    """Rows of a layer, ordered by fid; shapes are 2D and in metres."""

    fid: np.ndarray  # (n,) int64
    shape: np.ndarray  # (n,) shapely geometries
    columns: dict[str, list[Any]]  # each n long; None where a column or value is not there

    def __len__(self) -> int:
        return len(self.fid)

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64 (n,), NaN where it holds no number."""
        return np.array([number(x) for x in self.columns[name]], dtype=np.float64)

    def ids(self, name: str) -> list[int | None]:
        """A column of fids; nuPlan writes them as integers, reals or texts."""
        return [whole(x) for x in self.columns[name]]

    def lists(self, name: str) -> list[list[int]]:
        """A column of several fids each, in a text with commas."""
        found = [[whole(part) for part in str(x).split(",")] if x is not None else [] for x in self.columns[name]]
        return [[i for i in row if i is not None] for row in found]


@dataclass(frozen=True, eq=False)
class GeoPackage:
    """An open map. Shapes in degrees are projected; `degrees` (west, south, east, north) and `metres` (the same in the
    projected plane) bound what is read."""

    connection: Any
    path: Path
    project: Project
    degrees: Box
    metres: Box

    def layer(self, name: str, columns: Sequence[str] = ()) -> Layer:
        """What of a layer reaches into the box; a layer that the map lacks is empty."""
        info = self.connection.execute(f'PRAGMA table_info("{name}")').fetchall()
        if not info:
            return Layer(np.zeros(0, np.int64), np.zeros(0, object), {c: [] for c in columns})
        geometry, system = self._geometry(name)
        if geometry not in [row[1] for row in info]:
            raise InputError(f"{self.path}: the layer {name} has no geometry column {geometry!r}")
        key = next((row[1] for row in info if row[5] == 1), "rowid")
        box = self.degrees if system == 4326 else self.metres
        there = {row[1] for row in info}
        select = ", ".join([_quoted(key), _quoted(geometry), *(_quoted(c) if c in there else "NULL" for c in columns)])
        where, values = self._where(name, geometry, key, box)
        found = self._rows(f"SELECT {select} FROM {_quoted(name)} {where}", values, name)
        rows = [row for part in found for row in _reaching(part, box)]
        shapes = shapely.force_2d(shapely.from_wkb([_wkb(row[1]) for row in rows], on_invalid="ignore"))
        keep = [i for i, shape in enumerate(shapes) if _usable(shape, box) and whole(rows[i][0]) is not None]
        keep.sort(key=lambda i: whole(rows[i][0]) or 0)
        shapes = shapes[keep]
        if system == 4326 and len(shapes):
            shapes = shapely.transform(shapes, self.project)
        fid = np.array([whole(rows[i][0]) for i in keep], dtype=np.int64)
        return Layer(fid, shapes, {c: [rows[i][2 + k] for i in keep] for k, c in enumerate(columns)})

    def _geometry(self, name: str) -> tuple[str, int]:
        """Name of the geometry column, and the EPSG code of its coordinates."""
        found = self.connection.execute(
            "SELECT g.column_name, s.organization_coordsys_id FROM gpkg_geometry_columns AS g "
            "LEFT JOIN gpkg_spatial_ref_sys AS s ON s.srs_id = g.srs_id WHERE g.table_name = ?",
            (name,),
        ).fetchone()
        if found is None or not isinstance(found[0], str):
            return "geom", 4326
        return found[0], whole(found[1]) or 4326

    def _where(self, name: str, geometry: str, key: str, box: Box) -> tuple[str, tuple[float, ...]]:
        """By the R-tree of clause F.3 where there is one, and sqlite knows such trees."""
        tree = f"rtree_{name}_{geometry}"
        known = ("rtree",) in self.connection.execute("PRAGMA module_list").fetchall()
        there = self.connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (tree,)).fetchone()
        if not known or not there:
            return "", ()
        if not self.connection.execute(f"SELECT 1 FROM {_quoted(tree)} LIMIT 1").fetchone():
            return "", ()  # made, but never filled
        inside = f"SELECT id FROM {_quoted(tree)} WHERE maxx >= ? AND maxy >= ? AND minx <= ? AND miny <= ?"
        return f"WHERE {_quoted(key)} IN ({inside})", box

    def _rows(self, query: str, values: tuple[float, ...], name: str) -> Iterator[list[tuple]]:
        cursor, count = self.connection.execute(query, values), 0
        while part := cursor.fetchmany(5000):
            count += len(part)
            if count > MOST:
                raise InputError(f"{self.path}: the layer {name} has more than {MOST} rows around one drive")
            yield part


def number(value: Any) -> float:
    """A float, NaN for whatever is no finite number."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan
    return found if np.isfinite(found) else np.nan


def whole(value: Any) -> int | None:
    """An integer id, None for whatever is none."""
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    found = number(value)
    return int(found) if np.isfinite(found) and abs(found) < 2**53 else None


def _quoted(name: str) -> str:
    return name if name == "rowid" else '"' + name.replace('"', '""') + '"'


def _header(blob: Any) -> tuple[int, int]:
    """Numbers in a geometry blob's envelope and bytes before its WKB; (0, -1) where it is no GeoPackage geometry."""
    if not isinstance(blob, bytes) or len(blob) < 13 or blob[:2] != b"GP" or blob[3] >> 1 & 7 not in _ENVELOPES:
        return 0, -1
    count = _ENVELOPES[blob[3] >> 1 & 7]
    return count, 8 + 8 * count


def _wkb(blob: Any) -> bytes | None:
    _, skip = _header(blob)
    return None if skip < 0 else blob[skip:]


def _reaching(rows: list[tuple], box: Box) -> Iterator[tuple]:
    """Rows whose geometry's envelope, where it states one, reaches into the box."""
    for row in rows:
        count, skip = _header(row[1])
        if skip < 0 or len(row[1]) < skip:
            continue
        if count:
            west, east, south, north = struct.unpack_from("<4d" if row[1][3] & 1 else ">4d", row[1], 8)
            if not (east >= box[0] and north >= box[1] and west <= box[2] and south <= box[3]):
                continue
        yield row


def _usable(shape: Any, box: Box) -> bool:
    """Whether a shape touches the box and does not reach so far beyond that it must be damaged."""
    if shape is None or shape.is_empty or not np.isfinite(shapely.get_coordinates(shape)).all():
        return False
    west, south, east, north = shape.bounds
    far = 100 * max(box[2] - box[0], box[3] - box[1])
    across = box[0] - far <= west <= box[2] and box[0] <= east <= box[2] + far
    return across and box[1] - far <= south <= box[3] and box[1] <= north <= box[3] + far
