"""Memories on disk: found again, built once, rebuilt when stale or damaged, bounded."""

import json
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.memory import shelf
from drivesim.memory.build import Settings
from drivesim.memory.remembered import Photos, Remembered, Surfels

from .cast import camera, image, recorded, street, sweep


def known(seed=0, photos=2):
    rng = np.random.default_rng(seed)
    surfels = Surfels(
        rng.normal(size=(9, 3)).astype(np.float32), np.tile(np.float32([0, 0, 1]), (9, 1)), np.ones(9, np.float32),
        np.zeros(9, np.uint8), np.repeat(np.int32([-1, 2]), [4, 5]), np.ones(9, np.float32), np.zeros(9, bool),
    )  # fmt: skip

    def make(new):
        rgb = new("photos.0.rgb", (3, 4, 6, 3), np.uint8)
        rgb[:photos] = seed
        taken = Photos(
            "front", np.eye(3), np.arange(photos) / 10, np.tile(np.eye(4), (photos, 1, 1)), rgb[:photos],
            np.ones((photos, 3), np.float32), np.ones((photos, 2, 3), np.float16),
            np.zeros((photos, 2, 3), np.int16), np.ones((photos, 2, 3), bool),
        )  # fmt: skip
        return Remembered(surfels, (taken,), np.tile(np.eye(4), (5, 3, 1, 1)), 0.1, ("a photo is missing",))

    return make


@pytest.fixture
def built(monkeypatch):
    """Counts builds, which are quick; each looks different."""
    calls = []

    def build(scenario, settings, new, progress):
        calls.append(settings)
        return known(len(calls))(new)

    monkeypatch.setattr(shelf, "build", build)
    return calls


def test_what_was_built_is_found_again_mapped(tmp_path, built):
    first = shelf.remember(street(), folder=tmp_path)
    again = shelf.remember(street(), folder=tmp_path)
    assert len(built) == 1
    for memory in (first, again):
        assert isinstance(memory.photos[0].rgb, np.memmap)
        assert memory.photos[0].rgb.shape == (2, 4, 6, 3)
        assert (memory.photos[0].rgb == 1).all()
        assert memory.photos[0].camera == "front"
        assert memory.problems == ("a photo is missing",)
        assert memory.dt == 0.1
    np.testing.assert_array_equal(first.surfels.xyz, again.surfels.xyz)
    assert not list(tmp_path.glob("*/*.new"))
    with pytest.raises(ValueError, match="read-only"):
        again.photos[0].rgb[0] = 0


@pytest.mark.parametrize(
    "changed",
    [
        lambda s: replace(s, fingerprint="1" * 32),
        lambda s: replace(s, log=s.log.replace(xy=s.log.xy + 1)),
        lambda s: recorded(s, [sweep(s, 1.0, beams=2)[0]]),
        lambda s: recorded(s, images={"front": (image(s, camera("front", 8, 6), 0.0),)}),
    ],
)
def test_another_log_is_another_memory(changed):
    s = street()
    keys = {shelf.key(x, Settings()) for x in (s, changed(s))}
    assert len(keys) == 2
    assert shelf.key(s, Settings()) in keys
    assert shelf.key(s, Settings(width=320)) not in keys


@pytest.mark.parametrize("which", ["surfels.xyz", "photos.0.rgb", "photos.0.usable", "world_from_box", None])
@pytest.mark.parametrize("how", ["gone", "cut", "other"])
def test_a_damaged_memory_is_built_anew(tmp_path, built, which, how):
    shelf.remember(street(), folder=tmp_path)
    path = next(tmp_path.glob(f"*/{which}.npy" if which else "*/memory.json"))
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif which:
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        path.write_text(json.dumps({"arrays": {"../../x": [[1], "<f4"]}}))
    again = shelf.remember(street(), folder=tmp_path)
    assert len(built) == 2
    assert (again.photos[0].rgb == 2).all()
    shelf.remember(street(), folder=tmp_path)
    assert len(built) == 2


def test_two_builders_at_once_build_once(tmp_path, monkeypatch):
    entered, go, calls = threading.Event(), threading.Event(), []

    def build(scenario, settings, new, progress):
        calls.append(1)
        entered.set()
        assert go.wait(10)
        return known()(new)

    monkeypatch.setattr(shelf, "build", build)
    found = []
    both = [threading.Thread(target=lambda: found.append(shelf.remember(street(), folder=tmp_path))) for _ in range(2)]
    both[0].start()
    assert entered.wait(10)
    both[1].start()
    go.set()
    for thread in both:
        thread.join(10)
    assert len(calls) == 1
    assert len(found) == 2


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def build(scenario, settings, new, progress):
        new("photos.0.rgb", (2, 2), np.uint8)
        raise RuntimeError("stopped")

    monkeypatch.setattr(shelf, "build", build)
    with pytest.raises(RuntimeError, match="stopped"):
        shelf.remember(street(), folder=tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_the_longest_unused_goes_first(tmp_path, built):
    one, two, three = (Settings(width=w) for w in (100, 200, 300))
    for age, settings in ((3, one), (2, two)):
        shelf.remember(street(), settings, folder=tmp_path)
        told = tmp_path / shelf.key(street(), settings) / "memory.json"
        os.utime(told, (told.stat().st_atime, told.stat().st_mtime - 100 * age))
    shelf.remember(street(), one, folder=tmp_path)  # used: younger than the second now
    size = sum(p.stat().st_size for p in (tmp_path / shelf.key(street(), one)).iterdir())
    shelf.remember(street(), three, folder=tmp_path, gigabytes=2.5 * size / 2**30)
    kept = {p.parent.name for p in tmp_path.glob("*/memory.json")}
    assert kept == {shelf.key(street(), s) for s in (one, three)}
    shelf.remember(street(), two, folder=tmp_path, gigabytes=0)
    assert {p.parent.name for p in tmp_path.glob("*/memory.json")} == {shelf.key(street(), two)}


def test_what_dead_builders_left_goes(tmp_path, built):
    old, young = tmp_path / ".abc.12345678", tmp_path / ".abd.12345678"
    for folder, age in ((old, 3 * 86400), (young, 0)):
        folder.mkdir()
        (folder / "photos.0.rgb.new").write_bytes(b"x")
        told = folder.stat()
        os.utime(folder, (told.st_atime, told.st_mtime - age))
    shelf.remember(street(), folder=tmp_path)
    assert not old.exists()
    assert young.exists()


def test_without_a_place_to_keep_it_a_memory_is_built_all_the_same(tmp_path, built):
    blocked = tmp_path / "file"
    blocked.write_text("")
    memory = shelf.remember(street(), folder=blocked / "below")
    assert (memory.photos[0].rgb == 1).all()
    shelf.remember(street(), folder=blocked / "below")
    assert len(built) == 2


def test_a_real_build_comes_back_as_it_was(tmp_path):
    s = street()
    front = camera("front", 32, 20, 17.0)
    log = recorded(s, [sweep(s, t, beams=8)[0] for t in (0.5, 1.5)], {"front": (image(s, front, 0.5),)})
    told = []
    first = shelf.remember(log, Settings(width=32), folder=tmp_path, progress=lambda what, share: told.append(what))
    assert told
    again = shelf.remember(log, Settings(width=32), folder=tmp_path, progress=lambda what, share: pytest.fail())
    for name in Surfels.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first.surfels, name), getattr(again.surfels, name))
    np.testing.assert_array_equal(first.photos[0].depth, again.photos[0].depth)
    assert torch.isfinite(torch.from_numpy(np.array(again.photos[0].gain))).all()
