"""Who is in town: the ego and what it meets, other traffic, parked cars, people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drivesim.types import Kind, Vehicle

from . import curves
from .lanes import Network
from .lights import Plan
from .paths import SPACING, Driver, make_path
from .people import Walker, cross, stroll, windows
from .streets import PARKING, Street
from .town import Town

EGO = Vehicle(length=4.9, width=1.9, height=1.55, wheelbase=2.87, rear_axle_to_center=1.4)
_NEAR = 170.0  # of the ego's path count as where it goes [m]
WARM_UP = 4.0  # traffic runs this long before the log begins [s]

# kind -> share, (length, width, height) from and to [m], wheelbase and rear axle to centre as shares of the length
_FLEET = {
    Kind.CAR: (0.72, ((3.9, 1.7, 1.42), (5.0, 1.95, 1.85)), (0.58, 0.29)),
    Kind.TRUCK: (0.1, ((6.2, 2.1, 2.7), (8.5, 2.5, 3.5)), (0.56, 0.27)),
    Kind.BUS: (0.05, ((11.0, 2.5, 3.0), (12.0, 2.55, 3.2)), (0.5, 0.22)),
    Kind.MOTORCYCLE: (0.05, ((2.0, 0.75, 1.4), (2.2, 0.85, 1.5)), (0.66, 0.33)),
    Kind.BICYCLE: (0.08, ((1.7, 0.55, 1.65), (1.85, 0.65, 1.85)), (0.6, 0.3)),
}


Size = tuple[float, float, float]  # length, width, height [m]
Parked = tuple[np.ndarray, Size]  # x, y, yaw of the box; its size


@dataclass
class Situation:
    turn: str
    red: bool  # the light ahead turns green only while the ego waits
    leader: str  # "", "car", "slow car" or "bicycle"
    walker: bool  # somebody crosses where the ego leads to


@dataclass
class Cast:
    drivers: list[Driver]  # the ego first
    parked: list[Parked]
    walkers: list[Walker]
    windows: dict[int, list[tuple[float, float]]]
    plans: list[Plan]


def draw_situation(rng: np.random.Generator) -> Situation:
    turn = str(rng.choice(["left", "straight", "right"], p=[0.3, 0.4, 0.3]))
    walker = turn != "straight" and rng.random() < 0.6
    leader = "" if walker else str(rng.choice(["", "car", "slow car", "bicycle"], p=[0.4, 0.25, 0.2, 0.15]))
    return Situation(turn, bool(walker or rng.random() < 0.4), leader, walker)


def draw_cast(rng: np.random.Generator, town: Town, situation: Situation, duration: float) -> Cast:
    """The ego, set for a situation at its first crossing, and everybody near its way."""
    reach = 60.0 + 14.0 * (duration + WARM_UP)  # nobody comes to the end of a path this long within the log
    ego = _ego(rng, town.net, situation, reach)
    connector = town.net.lanes[ego.path.lanes[1]]
    plans = list(town.plans)
    plans[connector.crossing] = _time_light(rng, plans[connector.crossing], connector.arm, situation)
    near = ego.path.xy[: int(_NEAR / SPACING) : 8]
    aim = (connector.crossing, connector.exit) if situation.walker else None
    crossers = _crossers(rng, town, plans, near, duration, aim)
    walkers = [w for _, w in crossers] + stroll(rng, town, near, int(rng.integers(10, 22)))
    drivers = [ego] + _leader(rng, town.net, ego, situation, reach)
    _fill_streets(rng, town, drivers, near, reach)
    return Cast(drivers, _park(rng, town.streets, near), walkers, windows(town, crossers), plans)


def _ego(rng: np.random.Generator, net: Network, situation: Situation, reach: float) -> Driver:
    """On a lane whose crossing allows the turn and whose next street stays in town."""
    options = []
    for c in net.connectors():
        lane, onward = net.lanes[c], net.lanes[net.lanes[c].successors[0]]
        source = next(i for i in net.inbound[lane.crossing, lane.arm] if c in net.lanes[i].successors)
        if lane.turn == situation.turn and onward.successors and net.lanes[source].length > 32:
            options.append((source, c))
    source, connector = options[int(rng.integers(len(options)))]
    lanes = _wander(rng, net, [source, connector], reach + 60.0, straight=0.7)
    length = net.lanes[source].length
    front = EGO.rear_axle_to_center + EGO.length / 2
    s = max(length - front - rng.uniform(48, 82), 3.0)
    eager = float(rng.uniform(0.88, 1.0))
    size = (EGO.length, EGO.width, EGO.height)
    axles = (EGO.wheelbase, EGO.rear_axle_to_center)
    return Driver(Kind.CAR, size, axles, make_path(net, lanes, eager=eager), s, float(rng.uniform(1.2, 1.6)), eager)


def _wander(rng: np.random.Generator, net: Network, lanes: list[int], length: float, straight: float) -> list[int]:
    """Go on from the last lane at random, never over a lane twice; `straight` is the wish to go straight on."""
    lanes = list(lanes)
    so_far = sum(net.lanes[i].length for i in lanes)
    while so_far < length:
        options = [i for i in net.lanes[lanes[-1]].successors if i not in lanes]
        options = [i for i in options if net.lanes[i].crossing < 0 or net.lanes[i].successors[0] not in lanes]
        if not options:
            break
        weight = np.array([straight if net.lanes[i].turn in ("straight", "") else 1 - straight + 1e-6 for i in options])
        lanes.append(options[int(rng.choice(len(options), p=weight / weight.sum()))])
        so_far += net.lanes[lanes[-1]].length
    return lanes


def _time_light(rng: np.random.Generator, plan: Plan, arm: int, situation: Situation) -> Plan:
    """Shift a crossing's plan so that an arm is red at first or green for a while."""
    green = (max(plan.green[0], 12.0), max(plan.green[1], 12.0))
    window = (1.5, 4.0) if situation.walker else (4.0, 7.5) if situation.red else (-7.0, -2.0)
    onset = rng.uniform(*window)
    plan = replace(plan, green=green, offset=0.0)
    return replace(plan, offset=float(onset - plan.onset(arm % 2, 0.0)))


def _leader(rng: np.random.Generator, net: Network, ego: Driver, situation: Situation, reach: float) -> list[Driver]:
    if not situation.leader:
        return []
    first = ego.path.lanes[:2]
    s = min(ego.s + rng.uniform(16, 24), net.lanes[first[0]].length - 8.0)
    if s < ego.s + ego.front + 6.0:
        return []
    lanes = _wander(rng, net, first, reach, 0.7)
    kind = Kind.BICYCLE if situation.leader == "bicycle" else Kind.CAR
    eager = rng.uniform(0.45, 0.6) if situation.leader == "slow car" else rng.uniform(0.8, 1.0)
    return [_driver(rng, net, lanes, s, kind, eager)]


def _driver(rng: np.random.Generator, net: Network, lanes: list[int], s: float, kind: Kind, eager: float) -> Driver:
    size, axles = _measure(rng, kind), _FLEET[kind][2]
    if kind == Kind.BICYCLE:
        left, cap = -(net.lanes[lanes[0]].width / 2 - 0.7), float(rng.uniform(3.8, 6.0))
    else:
        left, cap = 0.0, {Kind.BUS: 11.0, Kind.TRUCK: 12.0}.get(kind, 99.0)
    path = make_path(net, lanes, left, float(eager), cap)
    headway = float(rng.uniform(1.1, 1.8))
    return Driver(kind, size, (axles[0] * size[0], axles[1] * size[0]), path, float(s), headway, float(eager))


def _measure(rng: np.random.Generator, kind: Kind) -> Size:
    """Length, width and height of one of a kind; what is long is also wide and high."""
    low, high = _FLEET[kind][1]
    share = rng.random()
    length, width, height = (float(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return length, width, height


def _fill_streets(rng: np.random.Generator, town: Town, drivers: list[Driver], near: np.ndarray, reach: float) -> None:
    """Add traffic in the lanes within 130 m of the points `near`, at random but apart."""
    net, (slots, spots) = town.net, town.slots
    close = np.flatnonzero(curves.distance(spots, near) < 130)
    wanted = len(drivers) + int(rng.integers(20, 38))
    kinds, shares = list(_FLEET), np.array([v[0] for v in _FLEET.values()])
    taken = {(d.path.lanes[0], d.s, d.size[0]) for d in drivers}
    ego = net.lanes[drivers[0].path.lanes[1]]
    meets = {i for arm in ((ego.arm + 1) % 4, (ego.arm + 3) % 4) for i in net.inbound.get((ego.crossing, arm), ())}
    chance = rng.random(len(close)) - [0.4 * (slots[k][0] in meets) for k in close]  # more on the ego's cross street
    for index in close[np.argsort(chance)]:
        if len(drivers) >= wanted:
            break
        lane, s = slots[index]
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        length = _FLEET[kind][1][1][0]
        ahead = lane == drivers[0].path.lanes[0] and s > drivers[0].s  # whom the ego follows was drawn before
        if ahead or s < length or any(k == lane and abs(s - p) < 8.0 + length + m for k, p, m in taken):
            continue
        long = kind in (Kind.BUS, Kind.TRUCK)
        lanes = _wander(rng, net, [lane], reach, 1.0 if long else 0.6)
        total = sum(net.lanes[i].length for i in lanes)
        stays = total > s + 20.0 + 15.0 * WARM_UP  # until the log begins
        vanishes = total < reach and net.lanes[lanes[-1]].successors  # a path that ends in the middle of the town
        turns = any(net.lanes[i].turn in ("left", "right") for i in lanes)
        if vanishes or not stays or (long and turns):
            continue
        taken.add((lane, s, length))
        drivers.append(_driver(rng, net, lanes, s, kind, rng.uniform(0.8, 1.05)))


def _crossers(
    rng: np.random.Generator,
    town: Town,
    plans: list[Plan],
    near: np.ndarray,
    duration: float,
    aim: tuple | None,
) -> list[tuple[tuple[int, int], Walker]]:
    """People at the crosswalks near the ego's way: (crossing, arm) and who; many at the one named by `aim`."""
    out = []
    for walk, (_, axis) in town.walks.items():
        if curves.distance(axis.mean(0)[None], near)[0] > 60:
            continue
        for around in np.arange(0.0, duration + 6.0, 6.0):
            if rng.random() < (0.9 if walk == aim else 0.14):
                out.append((walk, cross(rng, town, walk, plans[walk[0]], float(around))))
    return out


def _park(rng: np.random.Generator, streets: list[Street], near: np.ndarray) -> list[Parked]:
    """Cars in the parking strips within 110 m of the points `near`."""
    rows = [_park_row(rng, s, side) for s in streets for side in (-1, 1) if s.has_parking(side)]
    return [car for row in rows for car in row if curves.distance(car[0][None, :2], near)[0] < 110]


def _park_row(rng: np.random.Generator, street: Street, side: int) -> list[Parked]:
    low, high = street.parked_span
    row: list[Parked] = []
    for s in np.arange(low + 3.2, high - 3.0, 6.2):
        if rng.random() < 0.45:
            continue
        size = _measure(rng, Kind.CAR)
        lateral = side * (street.half + PARKING / 2 + rng.uniform(-0.02, 0.08))
        xy, yaw = street.pose(s + rng.uniform(-0.4, 0.4), lateral)
        yaw += (0.0 if side < 0 else np.pi) + rng.normal(0, 0.012)
        # places lie closer on the inside of a bend
        if not row or np.hypot(*(xy - row[-1][0][:2])) > (size[0] + row[-1][1][0]) / 2 + 0.5:
            row.append((np.array([*xy, yaw]), size))
    return row
