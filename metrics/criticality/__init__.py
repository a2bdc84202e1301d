"""Criticality: how near a drive came to an accident.

`time`, `braking`, `steering`, `exposure`, `conflict`, `evasion` and `rss` hold the measures: pure functions, over
tensors of any batch prefix where nothing else is said. `following` finds whom the ego follows on a rollout, and
`scores`, `conflict_score`, `evasion_score` and `rss_score` make a Score of each measure. Definitions follow the
literature as collected in "Criticality Metrics for Automated Driving: A Review and Suitability Analysis of the State of
the Art" (Westhofen et al., 2023); docs/metrics.md says where commonroad-crime 0.4.5 differs.

Throughout: `gap` [m] is from bumper to bumper, `closing` [m/s] the speed at which it shrinks. Times are `inf` where the
thing never happens under the prediction, NaN only where an input is NaN.
"""
