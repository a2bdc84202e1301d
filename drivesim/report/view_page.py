"""The bird's-eye view of a scenario as one HTML file with a slider over time; opens anywhere, needs no server."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.types import Kind, Light, Scenario

from . import style
from .birdseye import _stop_bars
from .view import Chart, Facts, cones

PIXELS, WIDEST = 2200, 700.0  # longer side of the picture [px], and what it shows at most [m]
HERE = Path(__file__).parent


def page(scenario: Scenario, step: int, facts: Facts = ()) -> str:
    """The page as text, opened at `step`. Everything that a log says is escaped."""
    import jinja2

    xy = scenario.log.xy[:, 0].double().numpy()
    chart = Chart.around(scenario, xy, PIXELS, WIDEST, xy[step])
    picture = io.BytesIO()
    chart.still().save(picture, "PNG")
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    told = [("source", scenario.source), *facts, ("licence", scenario.licence)]
    return environment.get_template("view.html").render(
        title=scenario.id, facts=told, step=step, last=scenario.steps - 1, width=chart.width, height=chart.height,
        picture=base64.b64encode(picture.getvalue()).decode(), data=_script(_data(chart)),
    )  # fmt: skip


def _script(data: Any) -> str:
    """JSON that no text in it can end."""
    from markupsafe import Markup

    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _data(chart: Chart) -> dict[str, Any]:
    scenario, log = chart.scenario, chart.scenario.log
    valid = log.valid.numpy()
    pixels = chart.px(log.xy.double().numpy())
    agents = []
    for agent in range(valid.shape[1]):
        there = np.flatnonzero(valid[:, agent])
        if not len(there) or not chart.sees(log.xy[there, agent].double().numpy()).any():
            continue
        size = log.size[there[0], agent, :2].double().numpy() * chart.scale
        poses = np.column_stack([pixels[there, agent], -log.yaw[there, agent].double().numpy()])
        agents.append({
            "id": scenario.track_ids[agent], "kind": Kind(int(log.kind[there[0], agent])).name.lower(),
            "colour": _css(chart.colour(agent)), "size": np.maximum(size, 3).round(1).tolist(),
            "steps": there.tolist(), "poses": poses.round(2).tolist(), "ego": agent == 0,
        })  # fmt: skip
    lights = scenario.scene.signals
    return {
        "dt": scenario.scene.briefing.dt, "agents": agents,
        "cones": [[chart.px(cone).round(1).tolist() for cone in cones(scenario, t)] for t in range(scenario.steps)],
        "bars": [chart.px(bar).round(1).tolist() for bar in _stop_bars(scenario)],
        "states": [lights.at(t).tolist() for t in range(scenario.steps)],
        "lamps": {int(light): _css(style.LIGHTS[light]) for light in Light},
    }  # fmt: skip


def _css(colour: style.Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
