"""Physics of one body for one step: wheels as `dynamics.bicycle` without lags, feet as `dynamics.holonomic`."""

from __future__ import annotations

import numpy as np

from .routes import device, length

TURNING = 0.3
"""Slower, who walks keeps looking where he looks [m/s]; as in dynamics.holonomic."""


@device
def wrap(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


@device
def roll(me, agent, wheelbase, rear, cos, sin, acceleration, steering, dt):
    """A wheeled body one step later; commands are cut to what its kind can do."""
    speed = me.vx * cos + me.vy * sin
    drive = min(agent.most_acceleration, agent.power / max(abs(speed), 0.1))
    acceleration = min(max(acceleration, -agent.most_braking), drive)
    most = min(agent.most_steering, np.arctan(wheelbase * agent.most_lateral / max(speed * speed, 1e-2)))
    steering = min(max(steering, -most), most)
    turn = agent.steering_rate * dt
    steering = min(max(steering, me.steering - turn), me.steering + turn)

    x, y = me.x - rear * cos + dt * speed * cos, me.y - rear * sin + dt * speed * sin
    yaw = wrap(me.yaw + dt * speed * np.tan(me.steering) / wheelbase)
    after = max(speed + dt * acceleration, 0.0)
    yaw_rate = after * np.tan(steering) / wheelbase
    cos, sin = np.cos(yaw), np.sin(yaw)
    me.x, me.y, me.yaw = x + rear * cos, y + rear * sin, yaw
    me.vx, me.vy = after * cos - yaw_rate * rear * sin, after * sin + yaw_rate * rear * cos
    me.steering, me.acceleration = steering, (after - speed) / dt


@device
def walk(me, agent, ax, ay, dt):
    """Somebody on foot one step later under an acceleration vector."""
    bx, by = me.vx, me.vy
    speed, push = length(bx, by), length(ax, ay)
    if push > agent.most_braking:
        ax, ay = ax * agent.most_braking / push, ay * agent.most_braking / push
    vx, vy = bx + dt * ax, by + dt * ay
    top = min(agent.most_speed, speed + agent.most_acceleration * dt)
    top = max(top, min(speed, speed - agent.most_braking * dt))
    after = length(vx, vy)
    if after > top:
        vx, vy, after = vx * top / max(after, 1e-9), vy * top / max(after, 1e-9), top
    if after > TURNING:
        turn = wrap(np.arctan2(vy, vx) - me.yaw)
        most = agent.yaw_rate * dt
        me.yaw = wrap(me.yaw + min(max(turn, -most), most))
    me.x, me.y, me.vx, me.vy = me.x + (bx + vx) / 2 * dt, me.y + (by + vy) / 2 * dt, vx, vy
    me.steering = 0.0
    me.acceleration = ((vx - bx) * np.cos(me.yaw) + (vy - by) * np.sin(me.yaw)) / dt


@device
def follow(me, logged):
    """Be where the log says; size stays when it says nothing."""
    me.x, me.y, me.yaw, me.vx, me.vy = logged.x, logged.y, logged.yaw, logged.vx, logged.vy
    me.steering, me.acceleration, me.valid = logged.steering, logged.acceleration, logged.valid
    if logged.valid:
        me.length, me.width = logged.length, logged.width


@device
def vanish(me):
    me.valid = False
    me.x = me.y = me.yaw = me.vx = me.vy = me.steering = me.acceleration = np.nan
