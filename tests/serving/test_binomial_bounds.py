"""Clopper-Pearson bounds without scipy, against scipy."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaincinv
from scipy.stats import binom

from elbert.serving.binomial_bounds import lower_bound, probability_at_least, probability_at_most, upper_bound

EDGES = [
    (0, 0),
    (0, 1),
    (1, 1),
    (0, 1000),
    (1, 1000),
    (999, 1000),
    (1000, 1000),
    (0, 10**6),
    (5, 10**6),
    (10**6, 10**6),
]


def check(k, n, error):
    expected_lower = betaincinv(k, n - k + 1, error) if k else 0.0
    expected_upper = betaincinv(k + 1, n - k, 1 - error) if k < n else 1.0
    assert lower_bound(k, n, error) == pytest.approx(expected_lower, abs=1e-10, rel=1e-6)
    assert upper_bound(k, n, error) == pytest.approx(expected_upper, abs=1e-10, rel=1e-6)


@pytest.mark.parametrize(("k", "n"), [*EDGES, (20_000, 10**6), (500_000, 10**6), (999_999, 10**6)])
@pytest.mark.parametrize("error", [0.001, 0.05, 0.5])
def test_bounds_equal_scipys(k, n, error):
    check(k, n, error)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(0, 3000), share=st.floats(0, 1), error=st.sampled_from([0.01, 0.05, 0.2]))
def test_bounds_equal_scipys_for_random_counts(n, share, error):
    check(round(share * n), n, error)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(0, 3000), k=st.integers(-1, 3001), share=st.floats(0, 1))
def test_probabilities_equal_scipys(n, k, share):
    if n:
        assert probability_at_most(k, n, share) == pytest.approx(binom.cdf(k, n, share), rel=1e-8, abs=1e-12)
        assert probability_at_least(k, n, share) == pytest.approx(binom.sf(k - 1, n, share), rel=1e-8, abs=1e-12)
    assert math.isfinite(probability_at_most(k, n, share))
