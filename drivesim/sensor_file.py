"""What a log's sensors recorded, as one Parquet file that is read row by row: `<id>.sensors.parquet`.

Photos are JPEG of quality 95 at the size at which the log was read (4:4:4, so that colours stay sharp); sweeps are
float32 points. Columns: `sensor` (camera name, "" for a sweep), `time` [s since step 0], `pose` (world from camera,
16 float64; for a sweep its origin, 3), `width`, `height` (for a sweep its points and 3, or 4 where it tells when each
was hit), `data`.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from . import parquet
from .errors import InputError
from .types import Camera, RecordedImage, RecordedSweep, SensorLog

SUFFIX = ".sensors.parquet"
FORMAT = 1
LARGEST = 1 << 28
"""Bytes of a recording, unpacked."""

_SCHEMA = pa.schema(
    [
        ("sensor", pa.string()), ("time", pa.float64()), ("pose", pa.list_(pa.float64())), ("width", pa.int32()),
        ("height", pa.int32()), ("data", pa.binary()),
    ],
)  # fmt: skip
_INDEX = ("sensor", "time", "pose", "width", "height")


def write(sensors: SensorLog, path: Path, scenario: str) -> list[str]:
    """Write all recordings, each a row group of its own, and return in plain words what could not be read.

    `scenario` is the fingerprint of what was converted, so that nobody pairs the file with another scenario.
    """
    missing = []
    schema = _SCHEMA.with_metadata({"drivesim": json.dumps({"format": FORMAT, "scenario": scenario})})
    temporary = path.with_name(f".{path.name}.tmp")
    with pq.ParquetWriter(temporary, schema, compression="zstd") as file:
        for name, images in sorted(sensors.images.items()):
            for image in images:
                try:
                    file.write_table(_row(name, image.time, image.world_from_camera, *_jpeg(image.read())))
                except InputError as error:
                    missing.append(str(error))
        for sweep in sensors.sweeps:
            try:
                points = _points(sweep)
            except InputError as error:
                missing.append(str(error))
                continue
            file.write_table(_row("", sweep.time, sweep.origin, *points.shape, points.tobytes()))
    temporary.replace(path)
    return missing


def read(path: Path, cameras: tuple[Camera, ...], scenario: str) -> SensorLog:
    """Lazy handles on the recordings of a file; InputError if it is damaged or belongs to another scenario's file."""
    try:
        with pq.ParquetFile(path) as file:
            _, meta = parquet.described(file)
            if meta.get("format") != FORMAT:
                raise ValueError(f"format {meta.get('format')}, this version reads {FORMAT}")
            if meta.get("scenario") != scenario:
                raise ValueError("it belongs to another conversion")
            rows = file.read(columns=list(_INDEX)).to_pylist()
        return _handles(path, rows, {c.name: c for c in cameras})
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _handles(path: Path, rows: list[dict[str, Any]], cameras: dict[str, Camera]) -> SensorLog:
    images: dict[str, list[RecordedImage]] = {name: [] for name in cameras}
    sweeps = []
    for row, told in enumerate(rows):
        pose, time = np.array(told["pose"], dtype=np.float64), float(told["time"])
        if not np.isfinite([*pose.flat, time]).all():
            raise ValueError(f"recording {row} has no time or pose")
        if told["sensor"]:
            camera = cameras[told["sensor"]].resized(told["width"], told["height"])
            read = _Photo(path, row, told["width"], told["height"])
            images[camera.name].append(RecordedImage(camera, time, torch.from_numpy(pose.reshape(4, 4)), read))
        else:
            if told["height"] not in (3, 4):
                raise ValueError(f"the points of recording {row} have {told['height']} numbers instead of 3 or 4")
            read, when = (_Sweep(path, row, told["height"], columns) for columns in (slice(0, 3), 3))
            moments = when if told["height"] == 4 else None
            sweeps.append(RecordedSweep(time, torch.from_numpy(pose.reshape(3)), read, moments))
    return SensorLog({name: tuple(log) for name, log in images.items() if log}, tuple(sweeps))


@dataclass(frozen=True)
class _Photo:
    path: Path
    row: int
    width: int
    height: int

    def __call__(self) -> Tensor:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(_data(self.path, self.row))) as image:
                if image.size != (self.width, self.height):
                    raise ValueError(f"is {image.size} instead of {self.width}x{self.height}")
                picture = np.asarray(image.convert("RGB")).copy()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise _damaged(self.path, error) from None
        return torch.from_numpy(picture).permute(2, 0, 1).contiguous()


@dataclass(frozen=True)
class _Sweep:
    path: Path
    row: int
    wide: int  # numbers of a point
    columns: slice | int  # which of them

    def __call__(self) -> Tensor:
        try:
            points = np.frombuffer(bytearray(_data(self.path, self.row)), np.float32).reshape(-1, self.wide)
        except ValueError as error:
            raise _damaged(self.path, error) from None
        return torch.from_numpy(points[:, self.columns].copy())


def _points(sweep: RecordedSweep) -> np.ndarray:
    """(N, 3) float32, or (N, 4) with when each was hit after the sweep's time [s]."""
    points = sweep.read().to(torch.float32)
    if sweep.moments is not None:
        points = torch.cat([points, sweep.moments().to(torch.float32)[:, None]], 1)
    return points.contiguous().numpy()


def _data(path: Path, row: int) -> bytes:
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.row_group(row).total_byte_size > LARGEST:
                raise ValueError(f"row {row} is larger than {LARGEST} bytes")
            return file.read_row_group(row, columns=["data"])["data"][0].as_py()
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: not readable ({str(error).splitlines()[0] if str(error) else type(error).__name__})")


def _jpeg(image: Tensor) -> tuple[int, int, bytes]:
    from PIL import Image

    buffer = io.BytesIO()
    picture = image.permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95, subsampling=0)
    return picture.shape[1], picture.shape[0], buffer.getvalue()


def _row(sensor: str, time: float, pose: Tensor, width: int, height: int, data: bytes) -> pa.Table:
    row = {"sensor": sensor, "time": time, "pose": pose.double().flatten().tolist(), "width": width, "height": height}
    return pa.Table.from_pylist([{**row, "data": data}], schema=_SCHEMA)
