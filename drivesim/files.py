"""Files that nobody vouches for: read with limits, and every complaint names the file.

A log may be cut short, not be what its name says, or be made to harm: unpack to terabytes (gzip, XML entities), keep a
parser busy for hours, point outside its folder. Readers of formats get their bytes, json, XML trees and sqlite
connections from here.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .errors import InputError

LIMIT = 2**29
"""Bytes of a file, unpacked. The largest real scenario files have some 60 MB."""


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """The bytes of a file, gunzipped if it is gzipped, up to `limit`."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is the download complete?") from None
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{path}: damaged or cut short ({error}); download it again") from None
    if len(data) > limit:
        raise InputError(f"{path}: unpacks to more than {limit} bytes; this is no file of the kind expected here")
    return data


def read_json(path: Path, limit: int = LIMIT) -> Any:
    """Content of a json file, gzipped or not. NaN and Infinity pass: check the numbers you use."""
    data = read_bytes(path, limit)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path}: cannot be read as json ({reason}); download it again") from None


XML_DEPTH, XML_ELEMENTS = 64, 5_000_000


def read_xml(path: Path, limit: int = LIMIT) -> ElementTree.Element:
    """Root of an XML file, gzipped or not. Document types and entities are refused: they are how XML does harm."""
    data = read_bytes(path, limit)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError(f"{path}: declares a document type; such XML is not read")
    if b"\0" in data[:64]:
        raise InputError(f"{path}: UTF-16 and UTF-32 XML is not read; save it as UTF-8")
    if data.count(b"<") > 2 * XML_ELEMENTS:
        raise InputError(f"{path}: holds more elements than any scenario does")
    try:
        with _no_collection():
            root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two for unknown encodings
        raise InputError(f"{path}: cannot be read as XML ({error}); download it again") from None
    level, depth = [root], 0
    while level:
        level, depth = [child for element in level for child in element], depth + 1
        if depth > XML_DEPTH:
            raise InputError(f"{path}: nests deeper than any scenario does")
    return root


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection, which would walk a growing tree again and again: three times as fast."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def open_sqlite(path: Path, seconds: float = 60.0) -> Iterator[sqlite3.Connection]:
    """A read-only connection in which no query runs longer than `seconds` in all; damage becomes InputError."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; is the download complete?")
    end = time.monotonic() + seconds
    connection = None
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:  # sqlite quotes damaged names in its complaints
        unreadable = "names in it are damaged" if isinstance(error, UnicodeDecodeError) else str(error)
        reason = "takes too long to read" if "interrupted" in unreadable else unreadable
        raise InputError(f"{path}: cannot be read as a sqlite database ({reason}); download it again") from None
    finally:
        if connection:
            connection.close()


def first_bytes(path: Path, count: int = 64) -> bytes:
    """Up to `count` first bytes (gunzipped if gzipped), b"" for whatever cannot be read: for `recognizes`."""
    try:
        with path.open("rb") as file:
            start = file.read(count)
        if start[:2] != b"\x1f\x8b":
            return start
        with gzip.open(path) as stream:
            return stream.read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def walk(root: Path, endings: tuple[str, ...], depth: int = 12, most: int = 10_000_000) -> Iterator[Path]:
    """Files below a folder whose names end in one of `endings`, in order of names, at most `depth` folders down, among
    the first `most` entries. Links to folders are followed; a folder that several lead to is looked into once."""
    seen, looked = set[str](), 0
    if not root.is_dir():
        return
    for folder, folders, names in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders.sort()
        if len(Path(folder).relative_to(root).parts) >= depth:
            folders.clear()
        for name in sorted(names):
            looked += 1
            if looked > most:
                return
            if name.lower().endswith(endings):
                yield Path(folder) / name


def inside(folder: Path, name: str) -> Path:
    """`folder / name` of a name that a log states; InputError if it leads out of the folder. Symbolic links inside are
    followed: large data sets are spread over disks, and it is their owner who laid them."""
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(os.path.normpath(folder)) or "\0" in name:
        raise InputError(f"{folder}: names a file outside itself, {name[:200]!r}; not opened")
    return path


def cache_folder(name: str) -> Path | None:
    """Where what is dear to make may be kept: `$DRIVESIM_CACHE/<name>`, else `$XDG_CACHE_HOME/drivesim/<name>`, else
    `~/.cache/drivesim/<name>`; None for a user without a home."""
    if own := os.environ.get("DRIVESIM_CACHE"):
        return Path(own).expanduser() / name
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drivesim" / name
    except RuntimeError:
        return None
