"""H.264 in memory and files that appear whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from drivesim.errors import InputError

T = TypeVar("T")
_END: Any = object()


def encode(frames: Iterable[np.ndarray], rate: float = 10.0) -> bytes:
    """An mp4 from pictures (h, w, 3) uint8 of one size, at `rate` pictures per second.

    The same pictures give the same bytes: nothing is stamped and the encoder runs in one thread. Odd sizes grow by
    one row or column. A key frame every second keeps seeking quick. Raises ValueError if there is no picture.
    """
    import av  # 0.1 s that `import drivesim` need not pay

    rate = Fraction(rate).limit_denominator(1000)
    flags = {"movflags": "+faststart", "fflags": "+bitexact"}
    with tempfile.TemporaryDirectory() as folder:  # the index moves to the front by reading the file again
        file = Path(folder) / "video.mp4"
        with av.open(str(file), "w", options=flags) as container:
            _write(container, frames, rate)
        return file.read_bytes()


def _write(container, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    stream = None
    for index, picture in enumerate(ahead(frames)):
        picture = _even(picture)
        if stream is None:
            stream = _stream(container, picture.shape[1], picture.shape[0], rate)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        frame.pts = index
        frame.time_base = 1 / rate
        container.mux(stream.encode(frame))
    if stream is None:
        raise ValueError("a video needs at least one picture")
    container.mux(stream.encode(None))


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items; the next one is made in another thread while the last one is used."""
    items = iter(items)
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = worker.submit(next, items, _END)
            yield item


def decode(video: bytes) -> np.ndarray:
    """All pictures (n, h, w, 3) uint8 of a video."""
    import av

    with av.open(io.BytesIO(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def first(video: bytes) -> np.ndarray:
    """The first picture (h, w, 3) uint8; raises ValueError if this is no video."""
    import av

    try:
        with av.open(io.BytesIO(video)) as container:
            return next(container.decode(video=0)).to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError, StopIteration) as error:
        raise ValueError(f"these {len(video)} bytes are no video: {error}") from error


def save(path: str | Path, data: bytes) -> Path:
    """Write a file whole or not at all; raises InputError that names a place that cannot be written."""
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    return path


def _stream(container, width: int, height: int, rate: Fraction):
    """One encoder thread and no macroblock tree: with either, the bytes differ now and then from run to run."""
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    gop = max(1, round(float(rate)))
    stream.options = {
        "preset": "veryfast",
        "crf": "26",
        "x264-params": f"threads=1:sync-lookahead=0:mbtree=0:keyint={gop}:min-keyint={gop}:scenecut=0",
    }
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709, as browsers expect it
    context.color_range = 1
    return stream


def _even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)
