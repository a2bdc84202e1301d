"""What sub-commands print: names that come from logs are never trusted to be plain."""

from __future__ import annotations

import sys
from typing import Any


def clean(text: Any) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


def console() -> Any:
    """A rich console that marks nothing up; wide where nobody's window limits it."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
