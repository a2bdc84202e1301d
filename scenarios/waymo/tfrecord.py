"""TFRecord files: records in frames, each with its length and checksums.

A frame is the record's length (uint64, little-endian), the masked CRC-32C of these 8 bytes (uint32), the record, and
the masked CRC-32C of the record (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np

from drivesim.errors import InputError
from drivesim.files import read_bytes

HEAD, TAIL = 12, 4  # bytes of a frame around its record

Buffer = bytes | mmap.mmap


@lru_cache(maxsize=4)
def _mapped(path: Path, stamp: tuple[int, int]) -> Buffer:
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            return read_bytes(path)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if stamp[1] else b""


def content(path: Path) -> Buffer:
    """The bytes of a file: mapped, not read, unless it is gzipped."""
    try:
        state = path.stat()
        return _mapped(path, (state.st_mtime_ns, state.st_size))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); is the download complete?") from None


def frames(data: Buffer) -> Iterator[tuple[int, int] | str]:
    """Begin and end of each record; last, where the file is damaged, what is wrong."""
    at = 0
    while at < len(data):
        if len(data) - at < HEAD + TAIL:
            yield "the file is cut short"
            return
        length, checksum = struct.unpack("<QI", data[at : at + HEAD])
        if masked(crc32c(data[at : at + 8])) != checksum:
            yield "its length does not fit its checksum"
            return
        if length > len(data) - at - HEAD - TAIL:
            yield "the file is cut short"
            return
        yield at + HEAD, at + HEAD + length
        at += HEAD + length + TAIL


def is_tfrecord(head: bytes) -> bool:
    """Whether a file's first bytes begin a frame."""
    return len(head) >= HEAD and masked(_short(head[:8])) == struct.unpack("<I", head[8:HEAD])[0]


def record(path: Path, begin: int, end: int) -> bytes | None:
    """A record of a file, None if it does not fit the checksum behind it."""
    data = content(path)
    return bytes(data[begin:end]) if end + TAIL <= len(data) and is_intact(data, begin, end) else None


def digest(path: Path, begin: int, end: int) -> str:
    """Hash of a record with its checksum."""
    return hashlib.blake2b(content(path)[begin : end + TAIL], digest_size=16).hexdigest()


def is_intact(data: Buffer, begin: int, end: int) -> bool:
    """Whether a record fits the checksum behind it."""
    return masked(crc32c(data[begin:end])) == struct.unpack("<I", data[end : end + TAIL])[0]


def frame(record: bytes) -> bytes:
    """A record in its frame."""
    length = struct.pack("<Q", len(record))
    return b"".join([
        length, struct.pack("<I", masked(crc32c(length))), record, struct.pack("<I", masked(crc32c(record)))
    ])  # fmt: skip


def masked(crc: int) -> int:
    """Checksums are stored rotated and shifted, so that one of a record that holds checksums differs from them."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78)."""
    if len(data) < 64:
        return _short(data)
    return int(_crc(_TABLES, np.frombuffer(data, np.uint8)))


def _tables() -> np.ndarray:
    """(8, 256): [0] of a byte, [k] of a byte with k zero bytes after it, for eight bytes at a time."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, first >> 1 ^ np.uint32(0x82F63B78), first >> 1).astype(np.uint32)
    tables = [first]
    for _ in range(7):
        tables.append(tables[-1] >> 8 ^ first[tables[-1] & 0xFF])
    return np.stack(tables)


_TABLES = _tables()
_BYTES = _TABLES[0].tolist()


def _short(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _BYTES[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@numba.njit(cache=True)
def _crc(tables, data):
    crc = np.uint32(0xFFFFFFFF)
    whole = len(data) - len(data) % 8
    for i in range(0, whole, 8):
        crc = (
            tables[7, data[i] ^ (crc & 0xFF)]
            ^ tables[6, data[i + 1] ^ (crc >> 8 & 0xFF)]
            ^ tables[5, data[i + 2] ^ (crc >> 16 & 0xFF)]
            ^ tables[4, data[i + 3] ^ (crc >> 24)]
            ^ tables[3, data[i + 4]]
            ^ tables[2, data[i + 5]]
            ^ tables[1, data[i + 6]]
            ^ tables[0, data[i + 7]]
        )
    for i in range(whole, len(data)):
        crc = np.uint32(crc >> 8) ^ tables[0, (crc ^ data[i]) & 0xFF]
    return np.uint32(crc) ^ np.uint32(0xFFFFFFFF)
