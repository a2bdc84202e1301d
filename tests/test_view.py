"""A scenario from above: what is drawn where, and that a page holds nothing that a log could make run."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from drivesim.config import source
from drivesim.errors import InputError
from drivesim.report import style
from drivesim.report.view import Chart, _lines, cones, picture, write
from drivesim.rigs import rig
from drivesim.types import Goal, Kind, Light, Signals, StopKind, Stops

from .worlds import scenario, straight_road, track


def street(**changes):
    lights = torch.full((41, 1), int(Light.RED))
    signals = Signals(torch.tensor([0]), torch.tensor([[30.0, 0.0]]), torch.zeros(1, 4), lights)
    road = straight_road(2).replace(
        stops=Stops(
            torch.tensor([1, -1]),
            torch.tensor([[30.0, 3.5], [-20.0, 8.0]]),
            torch.tensor([int(StopKind.STOP_SIGN), int(StopKind.YIELD)]),
        )  # fmt: skip
    )
    walker = track((5, 5), speed=1, kind=Kind.PEDESTRIAN)
    s = scenario(track((0, 0), speed=8), track((20, 3.5), speed=4), walker, map=road, signals=signals,
                 cameras=rig("nuscenes", 400, 224), start=5)  # fmt: skip
    return replace(s, **changes)


def chart(s):
    return Chart.around(s, s.log.xy[:, 0].double().numpy(), 1000, 320.0, np.zeros(2))


def at(image, s, x, y):
    """The colour of a place of the world on a picture."""
    column, row = np.round(chart(s).px([x, y])).astype(int)
    return image.getpixel((int(column), int(row)))[:3]


def test_north_is_up_and_the_ego_is_where_it_was():
    s = street()
    view = chart(s)
    assert view.width == 1000 and view.px([0, 10])[1] < view.px([0, 0])[1] and view.px([10, 0])[0] > view.px([0, 0])[0]
    image = picture(s, 0)
    assert at(image, s, -0.5, 0.3) == style.EGO
    assert at(picture(s, 40), s, 31.5, 0.3) == style.EGO, "4 s at 8 m/s"
    assert at(image, s, 19.0, 3.2) == style.KINDS[Kind.CAR]
    assert at(image, s, -20.0, -20.0) == style.LAND
    assert image.size == (1400, max(view.height, 560))


def test_lights_stops_and_goals_are_drawn():
    s = street()
    image = picture(s, 0)
    assert at(image, s, 30.0, 1.2) == style.LIGHTS[Light.RED]
    green = s.scene.signals.replace(state=torch.full((41, 1), int(Light.GREEN)))
    other = picture(replace(s, scene=replace(s.scene, signals=green)), 0)
    assert at(other, s, 30.0, 1.2) == style.LIGHTS[Light.GREEN]
    assert at(image, s, 30.0, 3.5) == (255, 82, 82) and at(image, s, -20.0, 8.0) == (250, 200, 70)
    goal = Goal(torch.tensor([[40.0, -9], [50, -9], [50, -7], [40, -7]]))
    briefing = replace(s.scene.briefing, goals=(goal,))
    marked = picture(replace(s, scene=replace(s.scene, briefing=briefing)), 0)
    assert at(marked, s, 45.0, -8.0) != at(image, s, 45.0, -8.0)


def test_cones_open_where_the_cameras_look():
    s = street()
    found = dict(zip([c.name for c in s.scene.briefing.cameras], cones(s, 0), strict=True))
    front, back = found["CAM_FRONT"].mean(0), found["CAM_BACK"].mean(0)
    assert front[0] > 3 and abs(front[1]) < 1 and back[0] < -3 and abs(back[1]) < 1
    assert found["CAM_FRONT_LEFT"].mean(0)[1] > 2
    turned = replace(s, log=s.log.replace(yaw=s.log.yaw + torch.pi / 2))
    assert cones(turned, 0)[0].mean(0)[1] > 3


def test_files_of_both_kinds(tmp_path):
    s = street(licence="CC BY <4.0>")
    with Image.open(write(s, tmp_path / "deep" / "x.png", 3, [("tags", "none")])) as image:
        assert image.format == "PNG" and image.width == 1400
    page = write(s, tmp_path / "x.html", 3, [("problem", "a & b")]).read_text()
    assert "CC BY &lt;4.0&gt;" in page and "a &amp; b" in page and 'value="3"' in page
    assert not re.search(r"(src|href)=[\"']?https?:", page), "self-contained"
    for wrong, told in [("x.gif", "ends in .png or .html"), ("x", "ends in .png or .html")]:
        with pytest.raises(InputError, match=told):
            write(s, tmp_path / wrong)
    with pytest.raises(InputError, match="no step 41; it has 0 to 40"):
        write(s, tmp_path / "y.png", 41)


def test_nothing_that_a_log_says_becomes_markup(tmp_path):
    evil = "</script><script>alert(1)</script>"
    s = street(id=evil, licence=evil, source=evil)
    s = replace(s, track_ids=(evil, "a", "b"))
    page = write(s, tmp_path / "x.html", facts=[("notes", evil)]).read_text()
    assert "<script>alert" not in page and page.count("<script") == 2
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert data["agents"][0]["id"] == evil


def test_the_pages_numbers_are_the_logs(tmp_path):
    page = write(street(), tmp_path / "x.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    ego = data["agents"][0]
    assert ego["ego"] and ego["kind"] == "car" and len(ego["steps"]) == 41
    scale = ego["size"][0] / 5.176
    assert (ego["poses"][40][0] - ego["poses"][0][0]) / scale == pytest.approx(32.0, abs=0.3)
    assert data["states"][0] == [int(Light.RED)] and len(data["cones"][0]) == 6


def test_the_page_shows_the_whole_picture_at_first(tmp_path):
    page = write(street(), tmp_path / "x.html").read_text()
    assert 'id="fit" checked' in page and "Math.min(view.clientWidth / canvas.width" in page


def test_what_does_not_fit_ends_in_dots():
    assert _lines("one, two, three", 44, 6) == ["one, two, three"]
    cut = _lines("word " * 200, 44, 6)
    assert len(cut) == 6 and cut[-1].endswith("...") and max(map(len, cut)) <= 44


def test_names_do_not_cover_each_other(monkeypatch):
    drawn = []
    s = scenario(track((0, 0)), track((0.1, 0.1)), track((30, 0)))
    brush = ImageDraw.Draw(Image.new("RGB", (1000, 600)))
    monkeypatch.setattr(brush, "text", lambda xy, text, **_: drawn.append(text))
    chart(s)._names(brush, 0, [0, 1, 2])
    assert drawn == [s.track_ids[0], s.track_ids[2]]


def test_long_ways_bare_maps_and_steps_from_the_end():
    far = scenario(track((0, 0), speed=30, steps=200), map=straight_road(1, length=700))
    assert picture(far, -1).width == 1400
    nothing = scenario(track((0, 0)), track((5, 5), valid=slice(3, 4)), route=torch.zeros(0, 2))
    assert picture(nothing, 0).width == 1400


def test_the_town_from_above():
    town = source("synthetic").load("town-0000")
    image = np.asarray(picture(town, town.start))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
