"""Many wishes of the ego at once: rolled out with NAVSIM's tracker and bicycle, and judged by its rules.

`roll_out` turns poses into states, `judge` states into sub-scores with the step, agent and place of every loss, `score`
sub-scores into PDMS and EPDMS, `closed` makes PDM-Closed's proposals and chooses. Planners search with it, scores judge
with it. Everything is plain float64 arrays: N proposals, K states, T steps, A tracks; numba does the loops.
"""
