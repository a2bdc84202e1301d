"""Waymo Open Motion scenes as scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drivesim import loading, rigs
from drivesim.errors import InputError
from drivesim.types import Scenario

from . import index, tfrecord
from .examples import read_example
from .index import Scene
from .jsons import read_scene
from .log import Log, checked
from .protos import read_scenario
from .world import scenario_of


@dataclass(frozen=True)
class Waymo:
    """Scenes under `root`: a folder with TFRecords (of Scenario protos or of tf.Examples) and json scenes of GPUDrive
    or Nocturne, gzipped or not, mixed as they are, or one such file.

    The dataset has no images that fit its scenes: they are seen through the preset `rig` at `width` x `height`.
    """

    root: str
    rig: str = "waymo"
    width: int = 400  # [px]
    height: int = 224  # [px]

    @staticmethod
    def recognizes(root: Path) -> bool:
        return index.recognizes(root)

    def ids(self) -> list[str]:
        return sorted(index.scenes(self.root))

    def undrivable(self) -> dict[str, str]:
        """Records that are damaged beyond reading."""
        return {id: scene.damage for id, scene in index.scenes(self.root).items() if scene.damage}

    def fingerprint(self, id: str) -> str:
        scene = index.scene(self.root, id)
        options = (self.rig, f"{self.width}x{self.height}")
        if scene.form == "json" or scene.damage:
            return loading.fingerprint([scene.path], *options)
        return loading.fingerprint([], tfrecord.digest(scene.path, scene.begin, scene.end), *options)

    def load(self, id: str) -> Scenario:
        scene = index.scene(self.root, id)
        cameras = rigs.rig(self.rig, self.width, self.height)
        log = checked(_read(scene), scene.where)
        tags = ("real", f"format:{scene.form}", f"cameras:{self.rig} preset")
        try:
            return scenario_of(log, id, self.fingerprint(id), cameras, tags)
        except InputError as error:
            raise type(error)(f"{scene.where}: {error}") from None


def _read(scene: Scene) -> Log:
    if scene.damage:
        raise InputError(scene.damage)
    if scene.form == "json":
        return read_scene(scene.path)
    record = tfrecord.record(scene.path, scene.begin, scene.end)
    if record is None:
        raise InputError(f"{scene.where}: does not fit its checksum; download the file again")
    return (read_example if scene.form == "tf.Example" else read_scenario)(record, scene.where)
