"""The guarantee, tested statistically: thousands of calibration sets are drawn from populations of known risk."""

import math

import numpy as np
import pytest
from populations import population

from elbert.calibration import certify, compute_losses, compute_p_value, min_texts, order_candidates
from elbert.calibration.certify import check_enough
from elbert.errors import InputError
from elbert.evaluation.sweep import Trials, build_families
from elbert.exits import FULL, policy

DRAWS = 2000
ERROR = 0.1
FIXED = [policy(s) for s in ("window(entropy=0.02, size=4)", "entropy(0.1)", "entropy(0.3)", "patience(2)", "depth(2)")]


class Drawn(Trials):
    """Some rows of a population, their exits looked up rather than replayed: thousands of draws in seconds."""

    def __init__(self, whole: Trials, rows):
        self.whole, self.rows = whole, rows
        self.outputs = whole.outputs.take(rows)
        self.right = whole.right[rows]
        self._rows = np.arange(len(rows)) * self.outputs.depths - 1

    def depth(self, policy):
        return self.whole.depth(policy)[self.rows]


@pytest.fixture(scope="module")
def whole():
    return Trials(population())


@pytest.fixture(scope="module")
def tuned(whole):
    """Sequences as calibration makes them, ordered on texts of their own."""
    tuning = Trials(population(seed=1, size=500))
    found = build_families(6, ["window", "entropy", "patience"])
    candidates = [p for several in found.values() for p in several[:: max(1, len(several) // 60)]]
    return {loss: order_candidates(tuning, candidates, loss) for loss in ("harmful-flip", "inconsistency")}


def true_risk(whole, chosen, loss):
    return whole.look_up(compute_losses(whole, loss), whole.depth(chosen)).mean()


def violations(whole, ordered, loss, risk, n, choose=certify):
    rng = np.random.default_rng(n)
    truth = {str(p): true_risk(whole, p, loss) for p in ordered}
    chosen = [
        choose(ordered, [Drawn(whole, rng.integers(0, len(whole.outputs), n))], loss, risk, ERROR).policy
        for _ in range(DRAWS)
    ]
    return np.mean([truth[str(p)] > risk for p in chosen]), np.mean([p != FULL for p in chosen])


SETTINGS = [
    ("harmful-flip", 0.02, 300),
    ("inconsistency", 0.02, 600),
    pytest.param("harmful-flip", 0.01, 1000, marks=pytest.mark.slow),
    pytest.param("inconsistency", 0.05, 300, marks=pytest.mark.slow),
    pytest.param("harmful-flip", 0.02, 3000, marks=pytest.mark.slow),
    pytest.param("inconsistency", 0.01, 3000, marks=pytest.mark.slow),
]
ALLOWED = ERROR + 3 * math.sqrt(ERROR * (1 - ERROR) / DRAWS)


@pytest.mark.parametrize(("loss", "risk", "n"), SETTINGS)
def test_tuned_sequences_keep_the_guarantee(whole, tuned, loss, risk, n):
    broken, useful = violations(whole, tuned[loss], loss, risk, n)
    assert broken <= ALLOWED
    assert useful > 0.05  # a guarantee that holds because no text exits early has no use


@pytest.mark.parametrize("loss", ["harmful-flip", pytest.param("inconsistency", marks=pytest.mark.slow)])
def test_a_fixed_list_in_any_order_keeps_the_guarantee(whole, loss):
    """Also one that begins with a bad policy, or is not monotone."""
    by_risk = sorted(FIXED, key=lambda p: true_risk(whole, p, loss))
    risk = (true_risk(whole, by_risk[1], loss) + true_risk(whole, by_risk[2], loss)) / 2
    for ordered in (by_risk, [by_risk[0], by_risk[3], by_risk[1]], by_risk[::-1]):
        assert violations(whole, [FULL, *ordered], loss, risk, 400)[0] <= ALLOWED


def test_the_hardest_case_errs_as_often_as_allowed_and_not_more(whole):
    """One policy whose risk is just above the certified one: certified as often as the error allows."""
    (eager,) = [policy("depth(2)")]
    risk = true_risk(whole, eager, "inconsistency") - 1e-9
    broken, _ = violations(whole, [FULL, eager], "inconsistency", risk, 500)
    assert ERROR / 3 < broken <= ALLOWED


def test_a_wrong_procedure_would_be_detected(whole):
    """A known implementation answers with the first policy that failed: this test must catch that."""

    def first_failing(ordered, parts, loss, risk, error):
        found = certify(ordered, parts, loss, risk, error)
        after = min(found.place + 1, len(ordered) - 1)
        return type(found)(ordered[after], found.certificate, after, found.candidates)

    ordered = [FULL, *sorted(FIXED, key=lambda p: true_risk(whole, p, "harmful-flip"))]
    risk = true_risk(whole, ordered[2], "harmful-flip") * 1.5
    assert violations(whole, ordered, "harmful-flip", risk, 400, first_failing)[0] > ALLOWED


def test_drawn_trials_are_trials(whole):
    rows = np.random.default_rng(0).integers(0, len(whole.outputs), 200)
    drawn, plain = Drawn(whole, rows), Trials(whole.outputs.take(rows))
    for chosen in FIXED:
        assert drawn.depth(chosen).tolist() == plain.depth(chosen).tolist()
        assert drawn.correct(chosen).tolist() == plain.correct(chosen).tolist()


@pytest.mark.parametrize("risk", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("error", [0.01, 0.1])
def test_mapie_certifies_the_same(whole, risk, error):
    """MAPIE's learn-then-test, with its own p-values for binary losses and its own fixed-sequence testing."""
    from mapie.risk_control.fwer_control import control_fwer
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    rng = np.random.default_rng(3)
    ordered = [FULL, *sorted(FIXED, key=lambda p: true_risk(whole, p, "harmful-flip"))]
    for n in (1000, 2500):
        part = Drawn(whole, rng.integers(0, len(whole.outputs), n))
        lost = compute_losses(part, "harmful-flip")
        shares = np.array([part.look_up(lost, part.depth(p)).mean() for p in ordered])
        p = compute_hoeffding_bentkus_p_value(shares, n, risk, binary=True)[:, 0]
        theirs = control_fwer(p, error, "fixed_sequence")
        found = certify(ordered, [part], "harmful-flip", risk, error)
        assert found.place == theirs[-1]
        ours = np.array([compute_p_value(round(share * n), n, risk) for share in shares])
        assert np.allclose(p, ours, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("n", "most"), [(500, 1), (1000, 4), (2000, 12), (5000, 38)])
def test_the_most_flips_that_pass(n, most):
    assert compute_p_value(most, n, 0.01) <= 0.05 < compute_p_value(most + 1, n, 0.01)


def test_too_few_texts_are_rejected_with_the_number_needed():
    assert min_texts(0.01, 0.05) == 299
    check_enough(299, 0.01, 0.05)
    with pytest.raises(InputError, match="298 texts cannot certify a risk of 0.01 .* at least 299 are needed"):
        check_enough(298, 0.01, 0.05)
    with pytest.raises(InputError, match="error is 1, expected a probability"):
        check_enough(10_000, 0.01, 1)


def test_a_certificate_holds_in_every_precision(whole):
    """The worst of the parts decides."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, len(whole.outputs), 2000)
    ordered = [FULL, *sorted(FIXED, key=lambda p: true_risk(whole, p, "harmful-flip"))]
    part = Drawn(whole, rows)
    other = Trials(population(seed=9, size=2000))
    alone, both = (certify(ordered, parts, "harmful-flip", 0.03, 0.05) for parts in ([part], [part, other]))
    assert both.place <= alone.place
    lost = [compute_losses(t, "harmful-flip") for t in (part, other)]
    flips = [int(t.look_up(wrong, t.depth(both.policy)).sum()) for t, wrong in zip((part, other), lost, strict=True)]
    assert both.certificate.flips == max(flips)
