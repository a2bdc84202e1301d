"""NAVSIM's roll-out and rules as one would write them with numpy and shapely: to check the fast ones, and to beat."""

from __future__ import annotations

import math

import numpy as np
import shapely

from drivesim.roadmap import lane_areas
from drivesim.types import Agents, Map, Vehicle

STEPS, DT = 40, 0.1


def wrap(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def roll_out(poses: np.ndarray, start: np.ndarray, vehicle: Vehicle) -> np.ndarray:
    """States (41, 7) of one ego that follows poses (41, 3): least squares by pseudo-inverse, then step by step."""
    speeds, curvatures = profiles(poses, DT, 1e-4, 1e-2)
    states = [np.asarray(start, float)]
    for i in range(STEPS):
        x, y, yaw, v, a, steer, _ = states[-1]
        wanted = speeds[min(i + 10, STEPS - 1)]
        if wanted <= 0.2 and v <= 0.2:
            command, rate = -0.5 * (v - wanted), 0.0
        else:
            command = 10 / 11 * (wanted - v)
            rate = steering_rate(
                states[-1], poses[i], command, [curvatures[min(i + k, 39)] for k in range(10)], vehicle
            )
        a = a + DT / (DT + 0.2) * (command - a)
        turned = np.clip(steer + DT / (DT + 0.05) * DT * rate, -np.pi / 3, np.pi / 3)
        v_then, wheelbase = v + DT * a, vehicle.wheelbase
        states.append(np.array([
            x + DT * v * math.cos(yaw), y + DT * v * math.sin(yaw), wrap(yaw + DT * v * math.tan(steer) / wheelbase),
            v_then, a, turned, v_then * math.tan(turned) / wheelbase,
        ]))  # fmt: skip
    return np.array(states)


def profiles(poses, dt, jerk_penalty, rate_penalty):
    n = len(poses) - 1
    sums = dt * np.tri(n)
    sums[:, 0] = 1
    step, cos, sin = np.diff(poses[:, :2], axis=0), np.cos(poses[:-1, 2]), np.sin(poses[:-1, 2])
    a = dt * np.concatenate([cos[:, None] * sums, sin[:, None] * sums])
    jerk = np.concatenate([np.zeros((n - 2, 1)), np.diff(np.eye(n - 1), axis=0)], 1)
    x = np.linalg.pinv(a.T @ a + jerk_penalty * jerk.T @ jerk) @ a.T @ np.r_[step[:, 0], step[:, 1]]
    speeds = sums @ x
    a = dt * speeds[:, None] * sums
    penalty = np.diag([1e-10] + [rate_penalty] * (n - 1))
    x = np.linalg.pinv(a.T @ a + penalty) @ a.T @ wrap(np.diff(poses[:, 2]))
    return speeds, sums @ x


def steering_rate(state, reference, acceleration, curvatures, vehicle):
    dx, dy = state[:2] - reference[:2]
    x = np.array([-dx * math.sin(reference[2]) + dy * math.cos(reference[2]), wrap(state[2] - reference[2]), state[5]])
    a_all, b_all, g_all = np.eye(3), np.zeros(3), np.zeros(3)
    for k, curvature in enumerate(curvatures):
        v = state[3] + k * DT * acceleration
        a = np.array([[1, DT * v, 0], [0, 1, DT * v / vehicle.wheelbase], [0, 0, 1]])
        a_all, b_all = a @ a_all, a @ b_all + [0, 0, DT]
        g_all = a @ g_all + [0, -DT * v * curvature, 0]
    error = a_all @ x + g_all
    error[1] = wrap(error[1])
    q = np.diag([1.0, 10.0, 0.0])
    return -(b_all @ q @ error) / (b_all @ q @ b_all + 1.0)


def box(x, y, yaw, length, width):
    c, s = math.cos(yaw), math.sin(yaw)
    signs = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    return [(x + u * length / 2 * c - v * width / 2 * s, y + u * length / 2 * s + v * width / 2 * c) for u, v in signs]


def angle_to(pose, point):
    dx, dy = point[0] - pose[0], point[1] - pose[1]
    return abs(wrap(math.atan2(dy, dx) - pose[2]))


class World:
    """Tracks (T, A) as shapely trees, one a step, and the map's areas."""

    def __init__(self, agents: Agents, map: Map, on_route: np.ndarray, route: np.ndarray):
        self.static = (agents.kind >= 9).any(0).numpy()
        self.speed = agents.velocity.double().norm(dim=-1).numpy()
        self.polygons, self.who, self.trees = [], [], []
        xy, yaw, size = agents.xy.double().numpy(), agents.yaw.double().numpy(), agents.size.double().numpy()
        for t in range(len(xy)):
            there = [a for a in range(1, xy.shape[1]) if bool(agents.valid[t, a])]
            found = [shapely.Polygon(box(*xy[t, a], yaw[t, a], *size[t, a, :2])) for a in there]
            self.polygons.append(found)
            self.who.append(there)
            self.trees.append(shapely.STRtree(found))
        self.lanes = shapely.polygons([a.double().numpy() for a in lane_areas(map.lanes)])
        self.lane_tree = shapely.STRtree(self.lanes)
        self.crossing, self.on_route = map.lanes.intersection.numpy(), on_route
        rings = [map.drivable.line(i).double().numpy() for i in range(len(map.drivable))]
        self.road = shapely.union_all([shapely.Polygon(ring) for ring in rings])
        shapely.prepare(self.road)
        self.route = shapely.LineString(route)

    def lanes_of(self, points):
        held = np.zeros((len(points), len(self.lanes)), bool)
        i, lane = self.lane_tree.query(shapely.points(points), predicate="intersects")
        held[i, lane] = True
        return held


def judge(states: np.ndarray, world: World, vehicle: Vehicle) -> dict[str, float]:
    """NC, DAC, DDC, TTC and progress of states (41, 7) by NAVSIM v1.1, one after the other."""
    rear, size = vehicle.rear_axle_to_center, (vehicle.length, vehicle.width)
    middle = states[:, :2] + rear * np.stack([np.cos(states[:, 2]), np.sin(states[:, 2])], -1)
    corners = [box(*middle[k], states[k, 2], *size) for k in range(len(states))]
    held = [world.lanes_of([*corners[k], middle[k], states[k, :2]]) for k in range(len(states))]
    several = [(h[:4].any(0).sum() > 1) and not (h[:4].all(0)).any() for h in held]
    off = [not shapely.contains_xy(world.road, *np.array(c).T).all() for c in corners]
    result = {"DAC": float(not any(off)), "NC": 1.0, "TTC": 1.0, "DDC": 1.0}
    done: set[int] = set()
    start = {world.who[0][i] for i in world.trees[0].query(shapely.Polygon(corners[0]), predicate="intersects")}
    for k in range(len(states)):
        shape = shapely.Polygon(corners[k])
        for i in world.trees[k].query(shape, predicate="intersects"):
            a = world.who[k][i]
            if a in start or a in done:
                continue
            done.add(a)
            place = world.polygons[k][i].centroid.coords[0]
            if abs(states[k, 3]) <= 0.05:
                continue
            if not (world.static[a] or world.speed[k, a] <= 0.05):
                if angle_to(states[k, :3], place) > math.radians(150):
                    continue
                front = shapely.LineString([corners[k][0], corners[k][3]])
                if not front.intersects(world.polygons[k][i]) and not (several[k] or off[k]):
                    continue
            result["NC"] = min(result["NC"], 0.5 if world.static[a] else 0.0)
    ignored = set(start)
    for k in range(len(states)):
        if abs(states[k, 3]) < 5e-3:
            continue
        between = several[k] or off[k] or held[k][5, world.crossing].any()
        for f in (0, 3, 6, 9):
            if k + f >= len(world.trees):
                continue
            way = abs(states[k, 3]) * DT * f * np.array([math.cos(states[k, 2]), math.sin(states[k, 2])])
            shape = shapely.Polygon(np.array(corners[k]) + way)
            for i in sorted(world.trees[k + f].query(shape, predicate="intersects")):
                a = world.who[k + f][i]
                if a in ignored:
                    continue
                angle = angle_to(states[k, :3], world.polygons[k + f][i].centroid.coords[0])
                if angle < math.radians(30) or (between and not angle > math.radians(150)):
                    result["TTC"] = 0.0
                else:
                    ignored.add(a)
    oncoming = [not h[4, world.on_route].any() for h in held]
    moved = np.r_[0, np.hypot(*np.diff(middle, axis=0).T)] * oncoming
    worst = max(moved[max(k - 9, 0) : k + 1].sum() for k in range(len(states)))
    result["DDC"] = 1.0 if worst < 2 else 0.5 if worst < 6 else 0.0
    project = lambda point: world.route.project(shapely.Point(point))  # noqa: E731
    result["progress"] = max(project(middle[-1]) - project(middle[0]), 0.0)
    return result
