"""Questions whose answers were worked out by hand or by exact arithmetic: who gets one wrong scores nothing.

A numpy whose BLAS chooses wrong kernels for a new processor inverts matrices a little wrong and says nothing: the
tracker then swerves, and every score is off. `drivesim doctor` shows each canary, and every sweep asks them all before
its first drive, in each process that drives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import InputError, Untrusted
from ..threads import one_thread
from . import algebra, drives, shapes
from .answer import Answer

CANARIES: dict[str, Callable[[], Iterator[Answer]]] = {
    "matrix product": algebra.product, "matrix inverse": algebra.inverse, "factorisation": algebra.factorisation,
    "LQR": algebra.lqr, "Savitzky-Golay": algebra.savitzky_golay, "box overlap": shapes.overlap,
    "point in area": shapes.area, "collision": drives.collision, "off the road": drives.off_road,
    "time to collision": drives.time_to_collision, "comfort": drives.comfort, "ADE": drives.displacement,
    "PDMS": drives.pdms,
}  # fmt: skip

SHOWN = 3
"""Canaries that an error names in full."""

ADVICE = (
    "`drivesim doctor` shows all known answers; where matrices are wrong, BLAS may take this processor for another: "
    "set OPENBLAS_CORETYPE=Haswell, or install a newer numpy and torch"
)


@dataclass(frozen=True)
class Reply:
    """What a machine answered to a canary."""

    name: str
    answers: int
    wrong: tuple[str, ...] = ()  # in words
    asked: bool = True  # False: what it needs cannot be imported, which tells nothing of the arithmetic


def ask(name: str) -> Reply:
    """The reply to one canary. A question that raises is answered wrong, and so is one without answers."""
    answers: list[Answer] = []
    try:
        with one_thread():
            answers.extend(CANARIES[name]())
        if not answers:
            return Reply(name, 1, ("gives no answer",))
        return Reply(name, len(answers), tuple(answer.told() for answer in answers if not answer.right))
    except (InputError, ImportError, SyntaxError) as error:  # InputError: of a metric that cannot be located
        return Reply(name, len(answers) + 1, (f"could not be asked: {type(error).__name__}: {error}",), asked=False)
    except Exception as error:
        return Reply(name, len(answers) + 1, (f"{type(error).__name__}: {error}",))


def hold() -> None:
    """Ask all; raises Untrusted with what is wrong, and what to do."""
    replies = [ask(name) for name in CANARIES]
    unasked = [reply for reply in replies if not reply.asked]
    wrong = [reply for reply in replies if reply.wrong and reply.asked]
    if wrong:
        first = "; ".join(f"{reply.name}: {reply.wrong[0]}" for reply in wrong[:SHOWN])
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise Untrusted(f"this machine gets known answers wrong, so nothing is driven: {first}{more}. {ADVICE}")
    if unasked:
        names = ", ".join(reply.name for reply in unasked)
        raise Untrusted(f"known answers cannot be asked for ({names}), so nothing is driven: {unasked[0].wrong[0]}; "
                        "mend that file, or install the package again")  # fmt: skip
