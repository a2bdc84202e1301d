"""Files that nobody vouches for."""

import gzip
import sqlite3
from pathlib import Path

import pytest

from drivesim.errors import InputError
from drivesim.files import cache_folder, first_bytes, inside, open_sqlite, read_bytes, read_json, read_xml


def test_bytes_zipped_or_not_up_to_a_limit(tmp_path):
    plain, zipped = tmp_path / "a", tmp_path / "b.gz"
    plain.write_bytes(b"12345")
    zipped.write_bytes(gzip.compress(b"12345"))
    assert read_bytes(plain) == read_bytes(zipped) == b"12345"
    assert first_bytes(zipped, 3) == b"123" and first_bytes(tmp_path / "none") == b""
    for path in (plain, zipped):
        with pytest.raises(InputError, match="unpacks to more than 4 bytes"):
            read_bytes(path, 4)
    zipped.write_bytes(gzip.compress(b"12345" * 99)[:-12])
    with pytest.raises(InputError, match=r"b\.gz: damaged or cut short"):
        read_bytes(zipped)
    with pytest.raises(InputError, match="no such file"):
        read_bytes(tmp_path / "none")


def test_json(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2]}')
    assert read_json(path) == {"a": [1, 2]}
    for text in ('{"a": ', "", "[" * 200_000):
        path.write_text(text)
        with pytest.raises(InputError, match=r"a\.json: cannot be read as json"):
            read_json(path)


BOMB = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'


@pytest.mark.parametrize(
    "text, reason",
    [
        (BOMB, "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        ("<a>" * 100 + "</a>" * 100, "nests deeper"),
        ("<a><b></a>", "cannot be read as XML"),
        ("<a><b></b>", "cut short|cannot be read"),
        ("", "cut short|cannot be read"),
    ],
)
def test_xml_that_harms_or_breaks(tmp_path, text, reason):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        read_xml(path)
    assert "a.xml" in str(caught.value)


def test_xml(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<a n="1"><b>2</b><b/></a>')
    root = read_xml(path)
    assert root.get("n") == "1" and [b.text for b in root] == ["2", None]
    path.write_bytes('<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        read_xml(path)


def test_sqlite_is_read_only_and_stops_in_time(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (x)")
        made.execute("INSERT INTO t VALUES (7)")
    made.close()
    with open_sqlite(path) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(7,)]
    with pytest.raises(InputError, match="readonly"), open_sqlite(path) as connection:
        connection.execute("DELETE FROM t")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(InputError, match="takes too long"), open_sqlite(path, 0.2) as connection:
        connection.execute(endless).fetchall()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match=r"a\.db: cannot be read"), open_sqlite(path) as connection:
        connection.execute("SELECT 1 FROM t")
    with pytest.raises(InputError, match="no such file"), open_sqlite(tmp_path / "none.db"):
        pass


def test_names_do_not_lead_out_of_the_folder(tmp_path):
    folder = tmp_path / "log"
    assert inside(folder, "a/b.txt") == folder / "a" / "b.txt"
    for name in ("../x", "/etc/passwd", "a/../../x", "../logs", "x\0y"):
        with pytest.raises(InputError, match="outside itself"):
            inside(folder, name)


def test_links_in_the_folder_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "b.txt").write_text("far")
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a").symlink_to(tmp_path / "disk")
    assert inside(tmp_path / "log", "a/b.txt").read_text() == "far"


def test_the_folder_of_caches_can_be_chosen(monkeypatch):
    monkeypatch.setenv("DRIVESIM_CACHE", "/a")
    assert cache_folder("x") == Path("/a/x")
    monkeypatch.delenv("DRIVESIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder("x") == Path("/b/drivesim/x")
