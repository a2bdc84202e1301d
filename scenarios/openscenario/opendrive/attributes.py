"""Numbers and names out of XML attributes, with complaints that say where."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

from drivesim.errors import InputError

LARGEST = 1e9
"""No coordinate, length or polynomial of a road is larger than this."""


def number(element: Element, name: str, default: float | None = None) -> float:
    """A finite number of plausible size; InputError if it is not there and there is no default."""
    text = element.get(name)
    if text is None or not text.strip():
        if default is None:
            raise InputError(f"<{element.tag}> has no {name}")
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise InputError(f"<{element.tag} {name}={text[:40]!r}>: is no usable number")
    return value


def length(element: Element, name: str) -> float:
    """A number that is not negative [m]."""
    value = number(element, name)
    if value < 0:
        raise InputError(f"<{element.tag} {name}={value:g}>: a length below zero")
    return value


def whole(element: Element, name: str) -> int:
    """An integer, such as a lane's id."""
    value = number(element, name)
    if value != int(value) or abs(value) > 10_000:
        raise InputError(f"<{element.tag} {name}={value:g}>: is no lane number")
    return int(value)


def label(element: Element, name: str) -> str:
    """An id; InputError if it is not there."""
    text = element.get(name)
    if text is None:
        raise InputError(f"<{element.tag}> has no {name}")
    return text.strip()
