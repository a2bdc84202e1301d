"""How good a world generator's pictures are, held against what was recorded or, in the town, against the truth."""
