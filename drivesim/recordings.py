"""Photos of a log, read when asked for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .errors import InputError
from .types import Camera, RecordedImage


def photo(path: Path, camera: Camera, time: float, world_from_camera: Tensor) -> RecordedImage:
    """A handle on an image file taken at `time` [s since step 0]; `read()` scales it to the camera's size."""
    return RecordedImage(camera, time, world_from_camera, partial(read_photo, path, camera.width, camera.height))


def read_photo(path: Path, width: int, height: int) -> Tensor:
    """rgb (3, height, width) uint8 of an image file; InputError with its name if it is gone or broken."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (width, height))  # JPEG decodes at 1/2, 1/4 or 1/8 size where that is enough
            picture = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise InputError(f"{path}: the image is not there any more; restore it or load the log again") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}); download it again") from None
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).contiguous()
