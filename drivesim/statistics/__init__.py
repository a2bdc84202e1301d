"""What a table of scores says beyond its sample: intervals, paired comparisons, and when there is too little to say.

Scores are never averaged over what failed or does not apply; `table` counts both. The unit that is drawn again, or
whose sign is flipped, is the scenario: seeds of one scenario are no independent witnesses.
"""

from .intervals import CONFIDENCE, FEW, Estimate, estimate, is_rate, wilson
from .paired import ALPHA, Change, Difference, compare, mcnemar, newcombe, sign_flip
from .stored import drives, world
from .table import Cell, Drive, cells, paired, warnings

__all__ = [
    "ALPHA", "CONFIDENCE", "FEW", "Cell", "Change", "Difference", "Drive", "Estimate", "cells", "compare", "drives",
    "estimate", "is_rate", "mcnemar", "newcombe", "paired", "sign_flip", "warnings", "wilson", "world",
]  # fmt: skip
