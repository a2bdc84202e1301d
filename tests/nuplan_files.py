"""Small nuPlan logs and maps in the documented schema: nuplan-devkit's docs/nuplan_schema.md and the tables of its test
databases; the maps' columns as the devkit and other readers of the real files use them.

    write_dataset(folder)  ->  folder/maps/us-nv-las-vegas-strip/9.15.1915/map.gpkg, nuplan-v1.1/splits/mini/<LOG>.db

World of the log, metres from ORIGIN (the ego's first rear axle on the ground, UTM zone 11), x east:

    lane 102  y  3.6  x -100..50   connector 202  x 50..80   lane 104  x 80..300
    lane 101  y  0.0  x -100..50   connector 201  x 50..80   lane 103  x 80..300
    lane 106  y -3.0  bicycles     connector 203  right turn lane 105  x 70, y -20..-100

The ego drives along lane 101 at SPEED for SECONDS; a car leads it by 25 m, a lorry stands on lane 104, someone walks,
six cars are parked beside the road.
"""

import pickle
import sqlite3
import struct
import sys
import types

import numpy as np
import shapely

from scenarios.nuplan.projection import utm

LOG = "2021.05.12.22.00.38_veh-35_01008_01518"
CITY = "us-nv-las-vegas-strip"
ORIGIN = np.array([664450.9751, 3998216.3353, 600.0])  # PROJ 9.5.1: EPSG:32611 of longitude -115.1728, latitude 36.1147
ZERO = 1_620_857_889_651_124  # [us]
SPEED, SECONDS = 8.0, 30.0
AXLE = 0.35  # height of the logged frame above the ground
TAKEN = 47.5  # where the stop polygon crosses lanes 101 and 102

LOG_TABLES = """
CREATE TABLE log (token BLOB NOT NULL, vehicle_name VARCHAR(64), date VARCHAR(64), timestamp INTEGER,
 logfile VARCHAR(64), location VARCHAR(64), map_version VARCHAR(64), PRIMARY KEY (token));
CREATE TABLE ego_pose (token BLOB NOT NULL, timestamp INTEGER, x FLOAT, y FLOAT, z FLOAT, qw FLOAT, qx FLOAT,
 qy FLOAT, qz FLOAT, vx FLOAT, vy FLOAT, vz FLOAT, acceleration_x FLOAT, acceleration_y FLOAT, acceleration_z FLOAT,
 angular_rate_x FLOAT, angular_rate_y FLOAT, angular_rate_z FLOAT, epsg INTEGER, log_token BLOB NOT NULL,
 PRIMARY KEY (token));
CREATE TABLE camera (token BLOB NOT NULL, log_token BLOB NOT NULL, channel VARCHAR(64), model VARCHAR(64),
 translation BLOB, rotation BLOB, intrinsic BLOB, distortion BLOB, width FLOAT, height FLOAT, PRIMARY KEY (token));
CREATE TABLE image (token BLOB NOT NULL, next_token BLOB, prev_token BLOB, ego_pose_token BLOB NOT NULL,
 camera_token BLOB NOT NULL, filename_jpg VARCHAR(128), timestamp INTEGER, PRIMARY KEY (token));
CREATE TABLE lidar (token BLOB NOT NULL, log_token BLOB NOT NULL, channel VARCHAR(64), model VARCHAR(64),
 translation BLOB, rotation BLOB, PRIMARY KEY (token));
CREATE TABLE lidar_pc (token BLOB NOT NULL, next_token BLOB, prev_token BLOB, ego_pose_token BLOB NOT NULL,
 lidar_token BLOB NOT NULL, scene_token BLOB, filename VARCHAR(128), timestamp INTEGER, PRIMARY KEY (token));
CREATE TABLE lidar_box (token BLOB NOT NULL, lidar_pc_token BLOB NOT NULL, track_token BLOB NOT NULL, next_token BLOB,
 prev_token BLOB, x FLOAT, y FLOAT, z FLOAT, width FLOAT, length FLOAT, height FLOAT, vx FLOAT, vy FLOAT, vz FLOAT,
 yaw FLOAT, confidence FLOAT, PRIMARY KEY (token));
CREATE TABLE track (token BLOB NOT NULL, category_token BLOB NOT NULL, width FLOAT, length FLOAT, height FLOAT,
 PRIMARY KEY (token));
CREATE TABLE category (token BLOB NOT NULL, name VARCHAR(64), description TEXT, PRIMARY KEY (token));
CREATE TABLE scene (token BLOB NOT NULL, log_token BLOB NOT NULL, name TEXT, goal_ego_pose_token BLOB,
 roadblock_ids TEXT, PRIMARY KEY (token));
CREATE TABLE scenario_tag (token BLOB NOT NULL, lidar_pc_token BLOB NOT NULL, type TEXT, agent_track_token BLOB,
 PRIMARY KEY (token));
CREATE TABLE traffic_light_status (token BLOB NOT NULL, lidar_pc_token BLOB NOT NULL, lane_connector_id INTEGER,
 status VARCHAR(8), PRIMARY KEY (token));
"""
CATEGORIES = ("vehicle", "bicycle", "pedestrian", "traffic_cone", "barrier", "czone_sign", "generic_object")


def token(table, i):
    return bytes([table]) + i.to_bytes(7, "big")


def insert(connection, table, row):
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def boxes_at(t):
    """(track, category, x, y, z of the bottom, length, width, height, yaw) in the world of the log."""
    walker = t - 5.0
    yield 1, "vehicle", 25 + 1.461 + SPEED * t, 0.0, 0.0, 4.6, 1.9, 1.5, 0.0
    yield 2, "vehicle", 120.0, 3.6, 0.1, 9.0, 2.5, 3.2, np.pi
    if 0 <= walker <= 10:
        yield 3, "pedestrian", 42.0, -6.0 + 1.3 * walker, 0.0, 0.6, 0.7, 1.75, np.pi / 2
    yield 4, "traffic_cone", 60.0, -5.0, 0.0, 0.4, 0.4, 0.7, 0.3
    yield 5, "czone_sign", 62.0, -6.0, 0.0, 0.3, 0.9, 1.1, 0.0
    for k in range(6):  # parked
        yield 10 + k, "vehicle", 10.0 * k, -9.0, 0.0, 4.4, 1.8, 1.5, 0.0


def write_log(path, seconds=SECONDS, pause=None, names=("las_vegas", CITY), photos=None):
    """A log of `seconds` at 20 Hz; `pause` (from, to) leaves lidar_pc out; `photos` is a folder sensor_blobs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript(LOG_TABLES)
        row = {"token": token(1, 0), "vehicle_name": "veh-35", "date": "2021-05-12", "timestamp": ZERO}
        insert(db, "log", {**row, "logfile": LOG, "location": names[0], "map_version": names[1]})
        for i, name in enumerate(CATEGORIES):
            insert(db, "category", {"token": token(2, i), "name": name, "description": name + "."})
        insert(db, "lidar", {"token": token(3, 0), "log_token": token(1, 0), "channel": "MergedPointCloud"})
        scene = {"log_token": token(1, 0), "goal_ego_pose_token": token(5, 399)}
        insert(db, "scene", {"token": token(4, 0), "name": "scene-000", "roadblock_ids": "11 21 12", **scene})
        tracks = {}
        for i in range(round(seconds * 20) + 1):
            if pause and pause[0] < i / 20 < pause[1]:
                continue
            _frame(db, i, tracks)
        for track, category in tracks.items():
            kind = {"category_token": token(2, CATEGORIES.index(category))}
            insert(db, "track", {"token": token(8, track), **kind, "width": 1.0, "length": 1.0, "height": 1.0})
        _tag(db, 0, "starting_straight_traffic_light_intersection_traversal", 0)
        _tag(db, 1, "following_lane_with_lead", 60)
        if photos is not None:
            _camera(db, photos)
    db.close()
    return path


def _frame(db, i, tracks):
    t = i / 20
    moved = ORIGIN + [SPEED * t, 0.0, AXLE]
    row = {"token": token(5, i), "timestamp": ZERO + i * 50_000 + 333, "x": moved[0], "y": moved[1], "z": moved[2]}
    level = {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0, "vx": SPEED, "vy": 0.0, "vz": 0.0}
    insert(db, "ego_pose", {**row, **level, "epsg": 32611, "log_token": token(1, 0)})
    links = {"ego_pose_token": token(5, i), "lidar_token": token(3, 0), "scene_token": token(4, 0)}
    file = {"filename": f"{LOG}/MergedPointCloud/{token(6, i).hex()}.pcd", "timestamp": ZERO + i * 50_000}
    insert(db, "lidar_pc", {"token": token(6, i), **links, **file})
    for track, category, x, y, z, length, width, height, yaw in boxes_at(t):
        tracks[track] = category
        place = {"x": ORIGIN[0] + x, "y": ORIGIN[1] + y, "z": ORIGIN[2] + z + height / 2}
        size = {"width": width, "length": length, "height": height, "yaw": yaw, "confidence": 0.9}
        links = {"token": token(7, i * 1000 + track), "lidar_pc_token": token(6, i), "track_token": token(8, track)}
        insert(db, "lidar_box", {**links, **place, **size, "vx": 99.0, "vy": 0.0, "vz": 0.0})  # wrong on purpose
    for k, (connector, status) in enumerate([(201, "red" if t < 4 else "green"), (777, "red")]):
        row = {"token": token(9, i * 10 + k), "lidar_pc_token": token(6, i)}
        insert(db, "traffic_light_status", {**row, "lane_connector_id": connector, "status": status})


def _tag(db, i, kind, frame):
    insert(db, "scenario_tag", {"token": token(10, i), "lidar_pc_token": token(6, frame), "type": kind})


INTRINSIC = [[1545.0, 0.0, 960.0], [0.0, 1545.0, 560.0], [0.0, 0.0, 1.0]]
DISTORTION = [-0.356123, 0.172545, -0.00213, 0.000464, -0.05231]
TRANSLATION, ROTATION = [1.66, -0.02, 1.57], [0.5, -0.5, 0.5, -0.5]


def devkit_pickle(name, value, protocol=None):
    """As the devkit writes lists: under class names of its own."""
    names = "nuplan", "nuplan.database", "nuplan.database.common", "nuplan.database.common.data_types"
    kind = type(name, (list,), {"__module__": names[-1]})
    before = {n: sys.modules.get(n) for n in names}
    try:
        sys.modules.update({n: types.ModuleType(n) for n in names})
        setattr(sys.modules[names[-1]], name, kind)
        return pickle.dumps(kind(value), protocol)
    finally:
        for n, module in before.items():
            sys.modules.pop(n) if module is None else sys.modules.update({n: module})


def _camera(db, photos):
    from PIL import Image

    calibration = {
        "translation": devkit_pickle("Translation", TRANSLATION), "rotation": devkit_pickle("Rotation", ROTATION),
        "intrinsic": devkit_pickle("CameraIntrinsic", INTRINSIC), "distortion": pickle.dumps(DISTORTION),
    }  # fmt: skip
    row = {"token": token(11, 0), "log_token": token(1, 0), "channel": "CAM_F0", "model": "Basler"}
    insert(db, "camera", {**row, **calibration, "width": 1920, "height": 1080})
    folder = photos / LOG / "CAM_F0"
    folder.mkdir(parents=True)
    for i in range(4):  # of which the last is not on disk
        links = {"token": token(12, i), "ego_pose_token": token(5, 2 * i), "camera_token": token(11, 0)}
        name = f"{LOG}/CAM_F0/{token(12, i).hex()}.jpg"
        insert(db, "image", {**links, "filename_jpg": name, "timestamp": ZERO + i * 100_000 + 20_000})
        if i < 3:
            Image.new("RGB", (192, 108), (200, 30, 30)).save(photos / name)


def box(x0, x1, y0, y1):
    return shapely.box(x0, y0, x1, y1)


def line(*points):
    return shapely.LineString(points)


def turn(offset=0.0):
    """The right turn of connector 203 from (50, 0) heading east to (70, -20) heading south, moved to its left."""
    angle = np.linspace(np.pi / 2, 0, 21)
    return line(*zip(50 + (20 + offset) * np.cos(angle), -20 + (20 + offset) * np.sin(angle), strict=True))


LANES = {101: (11, 1, 0, 0.0, -100, 50), 102: (11, 0, 0, 3.6, -100, 50), 106: (11, 2, 1, -3.0, -100, 50),
         103: (12, 1, 0, 0.0, 80, 300), 104: (12, 0, 0, 3.6, 80, 300), 190: (19, 0, 0, 5000.0, 0, 100)}  # fmt: skip


def map_rows():
    """Rows (layer -> list of (shape, columns)) in the world of the log; fids are counted where none is given."""
    rows = {name: [] for name in MAP_LAYERS}
    for fid, (group, index, kind, y, x0, x1) in LANES.items():
        half = 0.8 if kind else 1.8
        limit = {"speed_limit_mps": None if kind else 11.176}
        own = {"fid": fid, "lane_fid": fid, "lane_group_fid": group, "lane_index": index, "lane_type_fid": kind}
        rows["lanes_polygons"].append((box(x0, x1, y - half, y + half), {**own, **limit}))
        rows["baseline_paths"].append((line((x0, y), (x0 + 20, y), (x1, y)), {"lane_fid": fid}))
    own = {"fid": 105, "lane_fid": 105, "lane_group_fid": 13, "lane_index": 0, "lane_type_fid": 0}
    rows["lanes_polygons"].append((box(68.2, 71.8, -100, -20), {**own, "speed_limit_mps": 8.9}))
    rows["baseline_paths"].append((line((70, -20), (70, -100)), {"lane_fid": 105}))
    straight = {"intersection_fid": 31, "traffic_light_stop_line_fids": "41", "speed_limit_mps": 11.176}
    for fid, before, after, path, shape in (
        (201, 101, 103, line((50, 0), (80, 0)), box(50, 80, -1.8, 1.8)),
        (202, 102, 104, line((50, 3.6), (80, 3.6)), box(50, 80, 1.8, 5.4)),
        (203, 101, 105, turn(), turn().buffer(1.8, cap_style="flat")),
    ):
        chain = {"fid": fid, "exit_lane_fid": before, "entry_lane_fid": after, "exit_lane_group_fid": before // 10}
        rows["lane_connectors"].append((path, {**chain, **straight}))
        rows["baseline_paths"].append((path, {"lane_connector_fid": fid}))
        rows["gen_lane_connectors_scaled_width_polygons"].append((shape, {"lane_connector_fid": fid}))
    for fid, kind, y in ((1, 2, 5.4), (2, 0, 1.8), (3, 3, -1.8)):
        rows["boundaries"].append((line((-100, y), (50, y)), {"fid": fid, "boundary_type_fid": kind}))
    rows["intersections"].append((box(50, 80, -20, 5.4), {"fid": 31, "intersection_type_fid": 1}))
    light = {"fid": 41, "stop_polygon_type_fid": 2, "lane_fids": "101, 102", "lane_connector_fids": "201, 202, 203"}
    rows["stop_polygons"].append((box(TAKEN - 1.5, TAKEN + 1.5, -1.8, 5.4), light))
    sign = {"fid": 42, "stop_polygon_type_fid": 1, "lane_fids": "105"}
    rows["stop_polygons"].append((box(68.2, 71.8, -90, -88), sign))
    rows["stop_polygons"].append((box(0, 1, 0, 1), {"fid": 43, "stop_polygon_type_fid": 5, "lane_fids": "101"}))
    rows["crosswalks"].append((box(40, 44, -6, 7), {"fid": 51}))
    for shape in (box(-100, 50, -3.8, 5.4), box(80, 300, -1.8, 5.4), box(68.2, 71.8, -100, -20)):
        rows["road_segments"].append((shape, {}))
    rows["generic_drivable_areas"].append((box(100, 110, -10, -1.8), {}))
    rows["carpark_areas"].append((box(110, 130, -12, -6), {"heading": 0.0}))
    return rows


_BASE = '"fid" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "geom" '
MAP_LAYERS = {
    "boundaries": "LINESTRING, boundary_segment_fids TEXT(256), has_reflectors BOOLEAN, boundary_type_fid INTEGER, "
    "creator_id TEXT(256)",
    "baseline_paths": "LINESTRING, path_type_fid INTEGER, creator_id TEXT(256), lane_fid INTEGER, "
    "lane_connector_fid INTEGER, dubins_node_fids TEXT(256)",
    "lanes_polygons": "POLYGON, lane_group_fid INTEGER, lane_fid INTEGER, lane_index MEDIUMINT, creator_id TEXT(256), "
    "name TEXT(256), road_type_fid INTEGER, lane_type_fid INTEGER, width MEDIUMINT, left_offset REAL, "
    "right_offset REAL, min_speed REAL, max_speed REAL, stops MEDIUMINT, left_boundary_fid INTEGER, "
    "right_boundary_fid INTEGER, speed_limit_mps REAL, left_has_reflectors BOOLEAN, right_has_reflectors BOOLEAN, "
    "from_edge_fid INTEGER, to_edge_fid INTEGER",
    "lane_connectors": "LINESTRING, exit_lane_group_fid INTEGER, exit_lane_fid INTEGER, entry_lane_group_fid INTEGER, "
    "lane_group_connector_fid INTEGER, entry_lane_fid INTEGER, intersection_fid INTEGER, turn_type_fid INTEGER, "
    "bulb_fids TEXT(256), traffic_light_stop_line_fids TEXT(256), overlap MEDIUMINT, creator_id TEXT(256), "
    "reflector_side_fid INTEGER, left_has_reflectors BOOLEAN, right_has_reflectors BOOLEAN, speed_limit_mps REAL",
    "gen_lane_connectors_scaled_width_polygons": "POLYGON, baseline_path_fid INTEGER, lane_connector_fid INTEGER, "
    "from_edge_fid INTEGER, to_edge_fid INTEGER, left_boundary_fid INTEGER, right_boundary_fid INTEGER",
    "lane_groups_polygons": "POLYGON, creator_id TEXT(256), left_boundary_fid INTEGER, right_boundary_fid INTEGER, "
    "from_edge_fid INTEGER, to_edge_fid INTEGER",
    "road_segments": "POLYGON, lane_group_fids TEXT(256)",
    "intersections": "POLYGON, creator_id TEXT(256), intersection_type_fid INTEGER, is_mini BOOLEAN",
    "stop_polygons": "POLYGON, stop_polygon_type_fid INTEGER, lane_group_fid INTEGER, lane_fids TEXT(256), "
    "lane_connector_fids TEXT(256), traffic_light_fids TEXT(256), crosswalk_fids TEXT(256), "
    "precedence_area_fids TEXT(256), creator_id TEXT(256)",
    "crosswalks": "POLYGON, intersection_fids TEXT(256), lane_fids TEXT(256), creator_id TEXT(256), is_marked BOOLEAN",
    "generic_drivable_areas": "POLYGON, creator_id TEXT(256)",
    "carpark_areas": "POLYGON, heading REAL, creator_id TEXT(256)",
}
WGS84 = 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
WGS84 += 'UNIT["degree",0.0174532925199433]]'
GPKG = """
PRAGMA application_id = 0x47504B47; PRAGMA user_version = 10200;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
 organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
 description TEXT DEFAULT '', last_change DATETIME, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
 srs_id INTEGER);
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
 geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
 PRIMARY KEY (table_name, column_name));
CREATE TABLE meta (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, key TEXT, value TEXT);
"""


def geometry_blob(shape, srs, envelope=True, order="<"):
    """GeoPackage binary (OGC 12-128, clause 2.1.3): header, envelope unless left out, WKB."""
    flags = (1 if order == "<" else 0) | (2 if envelope else 0)
    west, south, east, north = shape.bounds
    head = b"GP" + bytes([0, flags]) + struct.pack(order + "i", srs)
    head += struct.pack(order + "4d", west, east, south, north) if envelope else b""
    return head + shapely.to_wkb(shape, byte_order=1 if order == "<" else 0)


def write_map(path, epsg=32611, rtree=True, degrees=True, rows=None, envelope=True, order="<"):
    """A map in longitude and latitude, or, with `degrees=False`, in metres of the zone."""
    plane, srs = utm(epsg), 4326 if degrees else epsg
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript(GPKG)
        db.execute("INSERT INTO gpkg_spatial_ref_sys VALUES ('x', ?, 'EPSG', ?, ?, '')", (srs, srs, WGS84))
        meta = [("geographicCoordSystem", "epsg:4326"), ("projectedCoordSystem", f"epsg:{epsg}")]
        db.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", meta)
        for name, found in (rows or map_rows()).items():
            columns = MAP_LAYERS[name]
            db.execute(f'CREATE TABLE "{name}" ({_BASE}{columns})')
            kind = columns.split(",")[0]
            insert(db, "gpkg_contents", {"table_name": name, "data_type": "features", "srs_id": srs})
            db.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, 0, 0)", (name, kind, srs))
            if rtree:
                db.execute(f'CREATE VIRTUAL TABLE "rtree_{name}_geom" USING rtree(id, minx, maxx, miny, maxy)')
            for i, (shape, values) in enumerate(found):
                world = shapely.transform(shape, lambda xy: xy + ORIGIN[:2])
                world = shapely.transform(world, plane.inverse) if degrees else world
                fid = values.get("fid", 1000 + i)
                insert(db, name, {**values, "fid": fid, "geom": geometry_blob(world, srs, envelope, order)})
                west, south, east, north = world.bounds
                if rtree:
                    edges = {"minx": west, "maxx": east, "miny": south, "maxy": north}
                    insert(db, f"rtree_{name}_geom", {"id": fid, **edges})
    db.close()
    return path


def write_dataset(folder, **log):
    """The layout of the download; the root is `folder`."""
    (folder / "maps" / CITY / "9.15.1915").mkdir(parents=True)
    (folder / "maps/nuplan-maps-v1.0.json").write_text(f'{{"{CITY}": {{"version": "9.15.1915", "layers": {{}}}}}}')
    write_map(folder / "maps" / CITY / "9.15.1915/map.gpkg")
    write_log(folder / "nuplan-v1.1/splits/mini" / f"{LOG}.db", **log)
    return folder
