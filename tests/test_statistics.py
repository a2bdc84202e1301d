"""Intervals and tests against published tables, hand-worked cases and scipy; what enters no mean; names of planners."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from drivesim.statistics import (
    FEW,
    Drive,
    cells,
    compare,
    drives,
    estimate,
    is_rate,
    mcnemar,
    newcombe,
    paired,
    sign_flip,
    wilson,
)
from drivesim.statistics.intervals import RESAMPLES, effective
from drivesim.types import Score

NAN = math.nan


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_newcombes_table(passed, n, low, high):
    """Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3."""
    assert wilson(passed / n, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 300), st.data())
@settings(max_examples=60, deadline=None)
def test_wilson_is_scipys(n, data):
    passed = data.draw(st.integers(0, n))
    found = stats.binomtest(passed, n).proportion_ci(method="wilson")
    assert wilson(passed / n, n) == pytest.approx((found.low, found.high), abs=1e-12)


def test_newcombes_paired_interval_is_his_example():
    """Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on paired
    data, table III, method 10: 36 both, 12 and 2 one alone, 0 none."""
    assert newcombe(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert newcombe(5, 2, 9, 4) == pytest.approx([-x for x in newcombe(5, 9, 2, 4)[::-1]])


def test_mcnemar_by_hand():
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(0, 5) == pytest.approx(2 / 2**5) and mcnemar(3, 3) == 1.0 and mcnemar(0, 0) == 1.0


def test_sign_flip_is_fishers_on_darwins_plants():
    """Fisher 1935, The Design of Experiments, section 21: 863 of 2^15 sums reach 314, so 1726 either way."""
    maize = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])
    p, how = sign_flip(maize)
    assert p == pytest.approx(1726 / 2**15) and how.endswith("exact")
    assert sign_flip(np.append(maize, [0, 0, 0]))[0] == p, "scenarios without a difference say nothing"
    assert sign_flip(np.array([1.0, 2, 3]))[0] == pytest.approx(2 / 8)
    assert sign_flip(np.zeros(4))[0] == 1.0 and sign_flip(np.array([5.0]))[0] == 1.0


def test_many_scenarios_are_sampled_and_agree_with_the_exact_answer():
    whole = np.random.default_rng(0).integers(-9, 13, 40)
    whole = whole[whole != 0]
    ways = {0: 1}  # how many of the 2^n choices of signs give each sum
    for x in whole.tolist():
        ways = {s: ways.get(s - x, 0) + ways.get(s + x, 0) for s in {y + z for y in ways for z in (x, -x)}}
    exact = sum(n for s, n in ways.items() if abs(s) >= abs(whole.sum())) / 2 ** len(whole)
    p, how = sign_flip(whole.astype(float))
    assert how.endswith(f"{RESAMPLES} drawn") and p == sign_flip(whole.astype(float))[0]
    assert 0.01 < exact < 0.5 and p == pytest.approx(exact, abs=6 * math.sqrt(exact / RESAMPLES))


def test_mean_is_bootstrapped_as_scipy_does():
    values = np.random.default_rng(3).beta(4, 1, 40)
    found = estimate(values, range(40))
    expected = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, random_state=np.random.default_rng(9))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), abs=0.005)
    assert found == estimate(values, range(40)), "the same twice"
    assert (found.mean, found.n, found.scenarios, found.warnings) == (pytest.approx(values.mean()), 40, 40, ())


def test_intervals_cover_the_truth():
    """Skewed scores of 25 scenarios with 3 seeds each, where the scenario matters: near 95 of 100 intervals hold."""
    rng, held, naive = np.random.default_rng(1), 0, 0
    for _ in range(150):
        ease = rng.beta(4, 1, 25)
        values = np.clip(ease[:, None] + rng.normal(0, 0.02, (25, 3)), None, 10).ravel()
        found = estimate(values, np.repeat(np.arange(25), 3))
        half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
        held += found.low <= 0.8 <= found.high
        naive += abs(values.mean() - 0.8) <= half
    assert 0.88 * 150 <= held <= 0.99 * 150
    assert naive < 0.85 * 150, "seeds taken for scenarios would promise too much"


def test_copies_of_a_scenario_tell_nothing_new():
    scores, passed = [0.2, 0.9, 0.7, 1.0, 0.4, 0.95], [0, 1, 1, 1, 0, 1, 1]
    for values, rate in ((scores, False), (passed, True)):
        once = estimate(values, range(len(values)), rate)
        often = estimate(np.repeat(values, 5), np.repeat(np.arange(len(values)), 5), rate)
        assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=0.01)  # ties may fall either way
        assert often.n == 5 * once.n and often.scenarios == once.scenarios


def test_seeds_that_differ_on_their_own_count():
    rng = np.random.default_rng(0)
    passed = (rng.random((60, 10)) < 0.6).astype(float)
    assert 300 <= effective(passed.sum(1), np.full(60, 10.0)) <= 600
    assert effective(np.full(60, 5.0), np.full(60, 10.0)) == 600, "less spread than independent trials is no gain"
    assert effective(np.array([10.0, 0, 10, 0]), np.full(4, 10.0)) == 4


def test_one_scenario_says_nothing_of_others():
    found = estimate([0.3, 0.4], ["a", "a"])
    assert math.isnan(found.low) and found.mean == pytest.approx(0.35) and "1 scenario" in found.warnings[0]
    same = estimate([0.5] * 30, range(30))
    assert same.low == same.high == 0.5 and "the same value" in same.warnings[0]


def test_where_the_warning_begins():
    assert estimate([0.0, 1.0] * (FEW // 2), range(FEW)).warnings == ()
    assert len(estimate([1.0] * (FEW - 1), range(FEW - 1)).warnings) == 1


def test_what_is_a_rate():
    assert is_rate([0, 1, 1.0]) and not is_rate([0, 0.5, 1]) and not is_rate([0, 1], unit="m")


def test_nothing_or_nan_is_refused():
    for values in ([], [1.0, NAN]):
        with pytest.raises(ValueError, match="finite values"):
            estimate(values, range(len(values)))
    with pytest.raises(ValueError, match="in common"):
        compare({("a", 0): 1.0}, {("b", 0): 1.0})


def test_paired_rates():
    a = {(f"s{i}", 0): float(i != 3) for i in range(30)}
    b = {(f"s{i}", 0): float(i >= 9) for i in range(30)} | {("other", 0): 1.0}
    found = compare(a, b)
    assert (found.n, found.scenarios, found.test) == (30, 30, "McNemar, exact")
    assert found.difference == pytest.approx(8 / 30) and found.p == pytest.approx(2 / 2**8)
    assert [c.scenario for c in found.more] == ["s0", "s1", "s2", "s4", "s5", "s6", "s7", "s8"] and found.less == ()
    assert (found.low, found.high) == pytest.approx(newcombe(21, 8, 0, 1)) and not found.warnings


def test_seeds_of_a_scenario_flip_together():
    """Six scenarios that the first always passes and the second never, ten seeds each: six witnesses, not sixty."""
    a = {(s, seed): 1.0 for s in "abcdef" for seed in range(10)}
    found = compare(a, dict.fromkeys(a, 0.0))
    assert found.p == pytest.approx(2 / 2**6) and found.n == 60 and found.scenarios == 6
    assert found.test == "sign-flip permutation by scenario, exact"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
@settings(max_examples=15, deadline=None)
def test_the_other_way_round_is_the_same(values):
    a, b = ({(i, 0): pair[k] for i, pair in enumerate(values)} for k in (0, 1))
    there, back = compare(a, b, rate=False), compare(b, a, rate=False)
    assert there.p == pytest.approx(back.p) and there.difference == pytest.approx(-back.difference)
    assert [c.scenario for c in there.more] == [c.scenario for c in back.less]


def test_too_little_to_say_is_said():
    a = {(i, 0): float(i < 25) for i in range(40)}
    b = a | {(i, 0): 0.0 for i in range(5)}
    found = compare(a, b)
    assert found.p == pytest.approx(2 / 2**5) and "5 scenarios differ" in found.warnings[0]
    assert "no scenario differs" in compare(a, a).warnings[0] and compare(a, a).p == 1.0
    b = {(i, 0): float(i % 2) for i in range(40)}
    assert compare(a, b).p > 0.05 and "needs some" in compare(a, b).warnings[0]


def drive(planner, scenario, value=1.0, seed=0, status="ok", technical=False, **changes):
    scores = {"x": Score("x", value, **changes)} if status == "ok" else {}
    return Drive(planner, scenario, seed, status, technical, scores)


def test_failures_and_what_does_not_apply_enter_no_mean():
    found = cells(
        [
            drive("p", "a", 0.5),
            drive("p", "b", 1.0),
            drive("p", "c", status="failed", technical=True),
            drive("p", "d", status="failed"),
            drive("p", "e", status="skipped"),
            drive("p", "f", NAN, valid=False, reason="no map"),
            drive("p", "g", 0.0, valid=False, reason="no map"),
            drive("p", "h", math.inf),
        ]
    )["p", "x"]
    assert (found.estimate.mean, found.estimate.n) == (0.75, 2)
    assert (found.failed, found.technical, found.skipped, found.not_applicable) == (2, 1, 1, 3)
    assert found.reasons == {"no map": 2, "its value is inf": 1}
    assert "2 of 7 drives failed: in no mean" in found.warnings


def test_a_planner_that_only_fails_has_no_mean():
    found = cells([drive("p", "a"), drive("q", "a", status="failed")])
    assert found["q", "x"].estimate is None and found["q", "x"].failed == 1


def test_pairs_are_those_that_both_have():
    world = [drive("p", s, 0.9) for s in "abc"] + [drive("q", "a", 0.5), drive("q", "b", status="failed")]
    found = paired([*world, drive("q", "c", NAN, valid=False, reason="why")], "p", "q", "x")
    assert (found.n, found.difference) == (1, pytest.approx(0.4))
    assert "2 drives without a counterpart are left out" in found.warnings
    assert paired(world[:3] + world[4:], "p", "q", "x") == "no score that counts of q"
    other = [drive("p", "a"), drive("q", "b")]
    assert paired(other, "p", "q", "x") == "no scenario and seed in common to which it applies"
    assert "versions of the metric differ: 1 and 2" in paired(
        [drive("p", "a"), drive("q", "a", version="2")], "p", "q", "x"
    )


def test_a_rate_is_one_for_all_planners():
    world = [drive("p", s, 1.0) for s in "abc"] + [drive("q", s, 0.5) for s in "abc"]
    assert {cell.estimate.method for cell in cells(world).values()} == {"bootstrap by scenario (BCa)"}


def row(planner="idm", scenario="a", fingerprint="f" * 32, seed=0, **setup):
    job = {"planner": {"_target_": "m.IDM"}, "control": {"_target_": "c.LQR"}, "metrics": [], "versions": {}, **setup}
    return {
        "planner": planner, "scenario": scenario, "fingerprint": fingerprint, "seed": seed, "status": "ok",
        "technical": False, "scores": [], "job": job,
    }  # fmt: skip


def test_planners_of_one_name_are_told_apart():
    perfect = {"_target_": "c.Perfect", "gain": 2}
    found = drives({"out": [row(), row(control=perfect), row("mine")]})
    assert [d.planner for d in found] == ["idm (control LQR)", "idm (control Perfect gain=2)", "mine"]
    found = drives({"a": [row(), row("mine")], "b": [row()]})
    assert [d.planner for d in found] == ["idm in a", "mine", "idm in b"]
    found = drives(
        {
            "out": [
                row(versions={"planners": "aaaabbbbcccc", "numpy": "1"}),
                row(versions={"planners": "b", "numpy": "1"}),
            ]
        }
    )
    assert [d.planner for d in found] == ["idm (planners aaaabbbb)", "idm (planners b)"]


def test_another_content_is_another_scenario():
    found = drives({"out": [row(), row("mine", fingerprint="0" * 32), row(scenario="b")]})
    assert [d.scenario for d in found] == ["a (ffffffff)", "a (00000000)", "b"]
