"""What a folder of scenarios holds: formats recognised, every scene described, filters that say what they removed.

import drivesim.catalog as catalog
part = catalog.part_of(root="/data/nuscenes")
for entry in catalog.scan(part, workers=8):
    print(entry.id, entry.seconds, entry.tags)
"""

from .detection import detect, detect_one, needs_root, part_of, takes_root
from .entry import Entry, examine
from .filters import Filter, Sieve
from .scan import known_ids, scan

__all__ = [
    "Entry", "Filter", "Sieve", "detect", "detect_one", "examine", "known_ids", "needs_root", "part_of", "scan",
    "takes_root",
]  # fmt: skip
