"""The files of one log as arrays, checked; every complaint names the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim import files
from drivesim.errors import InputError
from drivesim.geometry import rotation_from_quaternion, transform

QUATERNION = ("qw", "qx", "qy", "qz")
TRANSLATION = ("tx_m", "ty_m", "tz_m")
TEXTS = ("track_uuid", "category", "sensor_name")
LARGEST = 512 << 20
"""Bytes of a file; the largest real ones are sweeps and maps of some MB."""
ROWS = 5_000_000
"""Of a forecasting scenario; real ones have some thousands."""


def read_table(path: Path, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of a feather file: TEXTS of words, the others of finite numbers."""
    from pyarrow import feather

    _bounded(path, "an Argoverse 2 sensor log needs it")
    out = _columns(path, columns, lambda: feather.read_table(path, memory_map=False))
    for name, column in out.items():
        if not (all(isinstance(x, str) for x in column) if name in TEXTS else column.dtype.kind in "iuf"):
            raise InputError(f"{path}: {name} holds no {'words' if name in TEXTS else 'numbers'}; download it again")
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            row = int(np.flatnonzero(~np.isfinite(column))[0])
            raise InputError(f"{path}: {name} of row {row} is {column[row]}; remove the log or repair it")
    return out


def read_parquet(path: Path, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of a parquet file; its numbers may be NaN."""
    from pyarrow import parquet

    def read():
        file = parquet.ParquetFile(path)
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        if file.metadata.num_rows > ROWS or sum(g.total_byte_size for g in groups) > LARGEST:
            raise ValueError(f"it unpacks to {file.metadata.num_rows} rows")
        return file.read(columns=[c for c in columns if c in file.schema_arrow.names], use_threads=False)

    _bounded(path, "an Argoverse 2 forecasting scenario needs it")
    return _columns(path, columns, read)


def _columns(path: Path, columns: Sequence[str], read: Callable[[], Any]) -> dict[str, np.ndarray]:
    from pyarrow import ArrowException

    try:
        table = read()
        missing = [name for name in columns if name not in table.column_names]
        out = {name: table[name].to_numpy() for name in columns if not missing}
    except (ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: cannot be read as a table ({reason}); download it again") from None
    if missing:
        raise InputError(f"{path}: lacks the columns {', '.join(missing)}; is it from Argoverse 2?")
    return out


def read_json(path: Path) -> Any:
    _bounded(path, "an Argoverse 2 log needs it")
    return files.read_json(path, LARGEST)


def _bounded(path: Path, why: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: not there; {why}")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path}: larger than {LARGEST >> 20} MB; this is no file of an Argoverse 2 log")


def only(folder: Path, pattern: str) -> Path:
    """The one file of a folder that a pattern names."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"{folder}: no {pattern} in it; an Argoverse 2 log needs one")
    return found[0]


def transforms(table: dict[str, np.ndarray], path: Path) -> Tensor:
    """(n, 4, 4) float64 from the pose columns of a table."""
    wxyz = torch.from_numpy(np.column_stack([table[c] for c in QUATERNION]).astype(np.float64))
    norm = wxyz.norm(dim=-1)
    if len(norm) and float((norm - 1).abs().max()) > 0.01:
        row = int((norm - 1).abs().argmax())
        raise InputError(f"{path}: row {row} holds no unit quaternion (norm {float(norm[row]):.3f})")
    xyz = torch.from_numpy(np.column_stack([table[c] for c in TRANSLATION]).astype(np.float64))
    return transform(rotation_from_quaternion(wxyz), xyz)
