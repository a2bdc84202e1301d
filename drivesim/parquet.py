"""Parquet files that nobody vouches for: bounded in memory, checked by a digest, described by JSON in their schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LIMIT = 1 << 30
"""Bytes of a file, and of what it unpacks to."""


def write(table: pa.Table, meta: dict[str, Any], sink: Any) -> None:
    """Write a table with `meta` beside it; equal content gives equal bytes."""
    table = table.replace_schema_metadata({"drivesim": json.dumps(meta, sort_keys=True)})
    # a dictionary would fold NaNs of different bits into one
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, write_statistics=False)


def describe(path: Path) -> tuple[pa.Schema, dict[str, Any]]:
    """Schema and `meta` alone; ValueError or an arrow exception for anything else than a file of ours."""
    if path.stat().st_size > LIMIT:
        raise ValueError(f"larger than {LIMIT} bytes")
    with pq.ParquetFile(path) as file:
        return described(file)


def read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """The table and its `meta`; ValueError or an arrow exception for what is too large or no file of ours."""
    if path.stat().st_size > LIMIT:
        raise ValueError(f"larger than {LIMIT} bytes")
    with pq.ParquetFile(path) as file:
        groups = file.metadata
        if sum(groups.row_group(i).total_byte_size for i in range(groups.num_row_groups)) > LIMIT:
            raise ValueError(f"unpacks to more than {LIMIT} bytes")
        chunks = [groups.row_group(i) for i in range(groups.num_row_groups)]
        values = sum(chunk.column(j).num_values for chunk in chunks for j in range(groups.num_columns))
        if 8 * values > LIMIT:  # equal values pack to almost nothing
            raise ValueError(f"holds values of more than {LIMIT} bytes")
        _, meta = described(file)
        return file.read(), meta


def described(file: pq.ParquetFile) -> tuple[pa.Schema, dict[str, Any]]:
    """Schema and `meta` of an open file."""
    schema = file.schema_arrow
    meta = json.loads((schema.metadata or {}).get(b"drivesim", b"{}"))
    if not isinstance(meta, dict):
        raise ValueError("its description is no JSON object")
    return schema, meta


def digest(meta: dict[str, Any], *columns: bytes) -> str:
    """blake2b (hex) of a description and of the content of columns."""
    made = hashlib.blake2b(json.dumps(meta, sort_keys=True).encode(), digest_size=16)
    for column in columns:
        made.update(len(column).to_bytes(8, "little"))
        made.update(column)
    return made.hexdigest()
