"""The actions that made a log: commands of a body model whose drive stays closest to logged tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import rotate, wrap_angle
from drivesim.loading.tracks import slopes
from drivesim.protocols import BodyModel
from drivesim.struct import Struct, tensor
from drivesim.types import Agents, Body, Vehicle

from .bicycle import axles
from .center_bicycle import CenterBicycle
from .delta import Delta
from .exact import Exact
from .holonomic import Holonomic
from .single_track import SingleTrack
from .unicycle import Unicycle

POSITION, TURN = 0.05, 0.2
"""Scales of the cost: deviations of a box's centre [m] and of its heading [rad] that weigh one."""

EFFORT = 1e-4
"""Weight of a command's change from the first guess over its scale of one: just enough to make it unique."""

SHARES = (1.0, 0.5, 0.2, 0.05, 0.0)
"""Of a Newton step, tried together."""


class Fit(Struct):
    """Commands of a model, the drive they make, and how far it is from the log."""

    command: Tensor = tensor(event=1)  # (T - 1, A, K)
    agents: Agents = tensor(event=1)  # (T, A) driven from the fitted first state
    body: Body = tensor(event=1)  # (T, A)
    deviation: Tensor = tensor()  # (T, A) of the box centre [m]; NaN where the log is absent


def fit(log: Agents, model: BodyModel, vehicle: Vehicle, dt: float, rounds: int = 20) -> Fit:
    """Fit every track of `log` (T, A), whose agent 0 is the ego; a track is present at step 0.

    Gauss-Newton over all commands and the first state, by a Riccati sweep (iterative LQR), float64; slopes by central
    differences of the model itself, so that any body model can be fitted. Deterministic. Pose deltas and poses are
    inverted exactly.
    """
    log = log.map(lambda x: x.double() if x.is_floating_point() else x)
    seen = log.valid
    filled = _filled(log, dt)
    commands, first = _guess(model, filled, vehicle, dt)
    task = _Task(model, filled, seen, commands, vehicle, dt)
    if not isinstance(model, Delta | Exact):
        commands, first = task.solve(commands, first, rounds)
    states = task.drive(first, commands)
    agents, bodies = zip(*(task.unpack(s) for s in states), strict=True)
    deviation = torch.where(seen, (states[..., :2] - filled.xy).norm(dim=-1), torch.nan)
    return Fit(commands, Agents.stack(list(agents)), Body.stack(list(bodies)), deviation)


@dataclass(frozen=True)
class _Task:
    """A least-squares problem per track. States (..., A, 8): x, y, yaw, speeds ahead and left, steering, acceleration,
    yaw rate; of the box centre."""

    model: BodyModel
    log: Agents  # (T, A) without gaps
    seen: Tensor  # (T, A)
    guess: Tensor  # (T - 1, A, K)
    vehicle: Vehicle
    dt: float

    def unpack(self, state: Tensor) -> tuple[Agents, Body]:
        x, y, yaw, ahead, left, steering, acceleration, rate = state.unbind(-1)
        now = self.log[0].map(lambda t: t.expand(state.shape[:-1] + t.shape[1:]))
        velocity = rotate(torch.stack([ahead, left], -1), yaw)
        return now.replace(xy=torch.stack([x, y], -1), yaw=yaw, velocity=velocity), Body(steering, acceleration, rate)

    def advance(self, state: Tensor, command: Tensor) -> Tensor:
        agents, body = self.model.step(*self.unpack(state), command, self.dt, self.vehicle)
        speeds = rotate(agents.velocity, -agents.yaw)
        rest = torch.stack([body.steering, body.acceleration, body.yaw_rate], -1)
        yaw = state[..., 2] + wrap_angle(agents.yaw - state[..., 2])
        return torch.cat([agents.xy, yaw[..., None], speeds, rest], -1)

    def drive(self, first: Tensor, commands: Tensor) -> Tensor:
        """States (T, ..., A, 8) from `first` (..., A, 8) under commands (T - 1, ..., A, K)."""
        states = [first]
        for command in commands:
            states.append(self.advance(states[-1], command))
        return torch.stack(states)

    def residual(self, states: Tensor) -> Tensor:
        """Weighted (T, ..., A, 3)."""
        shape = (len(states),) + (1,) * (states.ndim - 3) + self.log.yaw.shape[1:]
        xy = (states[..., :2] - self.log.xy.reshape(*shape, 2)) / POSITION
        turn = wrap_angle(states[..., 2] - self.log.yaw.reshape(shape)) / TURN
        return torch.cat([xy, turn[..., None]], -1) * self.seen.reshape(shape)[..., None]

    def cost(self, states: Tensor, commands: Tensor) -> Tensor:
        """(..., A)."""
        guess = self.guess.reshape(len(commands), *(1,) * (commands.ndim - 3), *self.guess.shape[1:])
        effort = EFFORT * (commands - guess).square().sum(-1).sum(0)
        return self.residual(states).square().sum(-1).sum(0) + effort

    def slopes(self, states: Tensor, commands: Tensor) -> tuple[Tensor, Tensor]:
        """Of each step: by the state (T - 1, A, 8, 8) and by the command (T - 1, A, 8, K)."""
        n, k, small = states.shape[-1], commands.shape[-1], 1e-5
        nudge = small * torch.eye(n + k, dtype=states.dtype).reshape(n + k, 1, 1, n + k)
        ends = [self.advance(states[:-1] + s * nudge[..., :n], commands + s * nudge[..., n:]) for s in (1, -1)]
        jacobian = ((ends[0] - ends[1]) / (2 * small)).permute(1, 2, 3, 0)
        return jacobian[..., :n], jacobian[..., n:]

    def solve(self, commands: Tensor, first: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
        states = self.drive(first, commands)
        commands = self.felt(commands, states)
        best, damping = self.cost(states, commands), torch.full(first.shape[:-1], 1e-3, dtype=first.dtype)
        shares = torch.tensor(SHARES, dtype=first.dtype)[:, None, None]
        for _ in range(rounds):
            feed, gain, change = self._sweep(states, commands, damping)
            state = states[0] + shares * change
            tried, asked = [state], []
            for k in range(len(commands)):
                off = (gain[k] @ (state - states[k])[..., None])[..., 0]
                asked.append(commands[k] + shares * feed[k] + off)
                state = self.advance(state, asked[-1])
                tried.append(state)
            tried, asked = torch.stack(tried), torch.stack(asked)
            costs = self.cost(tried, asked).nan_to_num(torch.inf)
            low, pick = costs.min(0)
            better = low < best
            choose = lambda x, i=pick: x.gather(1, i[None, None, :, None].expand(len(x), 1, -1, x.shape[-1]))[:, 0]  # noqa: E731
            states = torch.where(better[:, None], choose(tried), states)
            commands = torch.where(better[:, None], choose(asked), commands)
            gained = torch.where(better, best - low, 0.0)
            best = torch.minimum(best, low)
            commands = self.felt(commands, states)
            damping = torch.where(better & (pick < 2), damping / 4, damping * 6).clamp(1e-8, 1e6)
            if bool((gained <= 1e-3 * best + 1e-6).all()) and bool((damping > 1.0).all() or (gained < 1e-9).all()):
                break
        return commands, states[0]

    def felt(self, commands: Tensor, states: Tensor) -> Tensor:
        """The commands drawn back to where they still act: beyond a limit they have no slope."""
        steering, acceleration = states[1:, :, 5], states[1:, :, 6]
        if isinstance(self.model, CenterBicycle | SingleTrack) and self.model.steering_lag == 0:
            commands = torch.stack([commands[..., 0], steering], -1)
        if isinstance(self.model, CenterBicycle | Unicycle) and self.model.acceleration_lag == 0:
            commands = torch.stack([acceleration, commands[..., 1]], -1)
        return commands

    def _sweep(self, states: Tensor, commands: Tensor, damping: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Riccati sweep: feed-forward (T - 1, A, K), gains (T - 1, A, K, 8), and the first state's change (A, 8)."""
        a, b = self.slopes(states, commands)
        residual = self.residual(states)
        weight = torch.tensor([POSITION, POSITION, TURN], dtype=a.dtype)
        seen = self.seen[..., None] / weight**2
        q, p = torch.zeros_like(states), torch.zeros_like(states)
        q[..., :3], p[..., :3] = seen, residual / weight
        effort = commands - self.guess
        eye = torch.eye(commands.shape[-1], dtype=a.dtype)
        value, slope = torch.diag_embed(q[-1]), p[-1]
        feed, gain = [], []
        for k in range(len(commands) - 1, -1, -1):
            at, bt = a[k].transpose(-1, -2), b[k].transpose(-1, -2)
            uu = bt @ value @ b[k] + (EFFORT + damping)[:, None, None] * eye
            ux = bt @ value @ a[k]
            u = (bt @ slope[..., None])[..., 0] + EFFORT * effort[k]
            solved = -torch.linalg.solve(uu, torch.cat([u[..., None], ux], -1))
            feed.append(solved[..., 0])
            gain.append(solved[..., 1:])
            value = torch.diag_embed(q[k]) + at @ value @ a[k] + ux.transpose(-1, -2) @ gain[-1]
            value = (value + value.transpose(-1, -2)) / 2
            slope = p[k] + (at @ slope[..., None])[..., 0] + (ux.transpose(-1, -2) @ feed[-1][..., None])[..., 0]
        free = torch.tensor(
            [1e2, 1e2, 1e2, 1.0, 1e6, 1e2, 1e6, 1e6], dtype=a.dtype
        )  # how much the first state is known
        change = -torch.linalg.solve(value + torch.diag_embed(free + damping[:, None]), slope)
        return torch.stack(feed[::-1]), torch.stack(gain[::-1]), change


def _filled(log: Agents, dt: float) -> Agents:
    """The log (T, A) with who is absent going straight on from where it was seen last; the cost does not look there."""
    if not bool(log.valid[0].all()):
        raise ValueError("tracks to fit are present at their first step")
    step = torch.arange(len(log.valid))[:, None]
    last = torch.where(log.valid, step, 0).cummax(0).values
    pick = lambda x: x.gather(0, last.reshape(last.shape + (1,) * (x.ndim - 2)).expand(x.shape))  # noqa: E731
    kept = log.map(pick)
    return kept.replace(xy=kept.xy + ((step - last) * dt)[..., None] * kept.velocity)


def _guess(model: BodyModel, log: Agents, vehicle: Vehicle, dt: float) -> tuple[Tensor, Tensor]:
    """Commands (T - 1, A, K) and a first state (A, 8) from smoothed slopes of the log."""
    rate_of = lambda x: torch.from_numpy(slopes(x.numpy(), dt))  # noqa: E731
    yaw = torch.from_numpy(np.unwrap(log.yaw.numpy(), axis=0))
    velocity, rate = rate_of(log.xy.flatten(1)).reshape(log.xy.shape), rate_of(yaw)
    speeds = rotate(velocity, -yaw)
    ahead = speeds[..., 0]
    acceleration = rate_of(ahead)
    wheelbase, rear = axles(log, vehicle)
    steering = torch.atan(rate * wheelbase / torch.where(ahead.abs() < 1.0, 1.0, ahead)) * (ahead.abs() > 0.5)
    steering = steering.clamp(-0.6, 0.6)
    rolling = ahead * torch.tan(steering) / wheelbase
    left = rolling * rear
    if isinstance(model, Exact):
        commands = log.poses[1:]
    elif isinstance(model, Delta):
        step = rotate(log.xy[1:] - log.xy[:-1], -log.yaw[:-1])
        commands = torch.cat([step, wrap_angle(log.yaw[1:] - log.yaw[:-1])[..., None]], -1)
    elif isinstance(model, Holonomic):
        commands, left = rate_of(velocity.flatten(1)).reshape(velocity.shape)[:-1], speeds[..., 1]
    elif isinstance(model, Unicycle):
        commands, rolling, left = torch.stack([acceleration, rate], -1)[:-1], rate, torch.zeros_like(rate)
    else:
        commands = torch.stack([acceleration, steering], -1)[:-1]
    first = [log.xy[0, :, 0], log.xy[0, :, 1], yaw[0], ahead[0], left[0], steering[0], acceleration[0], rolling[0]]
    return commands, torch.stack(first, -1)
