"""Specs: what is read is what is written, and what cannot be read is refused with the accepted form."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbert.errors import PolicyError
from elbert.exits import policy
from elbert.exits.policies import (
    Confidence,
    Depth,
    Divergence,
    Entropy,
    Full,
    Gap,
    Patience,
    PatientConfidence,
    Window,
)

RULES = ("agree", "trend", "stable")

unit = st.floats(0, 1)
single = st.one_of(
    st.builds(Full),
    st.builds(Depth, st.integers(1, 1000)),
    st.builds(Entropy, unit),
    st.builds(Confidence, unit),
    st.builds(Gap, unit),
    st.builds(Patience, st.integers(0, 1000)),
    st.builds(PatientConfidence, st.integers(1, 1000), unit),
    st.builds(Divergence, st.integers(1, 1000), st.floats(0, 0.69)),
    st.builds(Window, unit, st.integers(1, 1000), st.sampled_from(RULES), st.floats(0, 0.5), unit),
)


@given(single)
def test_str_and_parse_are_inverse(p):
    assert policy(str(p)) == p


@given(st.lists(single, min_size=2, max_size=4))
def test_unions_too(union_members):
    union = union_members[0]
    for member in union_members[1:]:
        union = union | member
    assert policy(str(union)) == union


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("full", "full"),
        ("full()", "full"),
        ("  depth( 4 ) ", "depth(4)"),
        ("entropy(1)", "entropy(1.0)"),
        ("patient_confidence(2, 0.3)", "patient_confidence(2, 0.3)"),
        ("divergence(2, 0.01)", "divergence(2, 0.01)"),
        ("window()", "window(entropy=0.1, size=6, rule=agree, margin=0.0, range=0.05)"),
        ("window", "window(entropy=0.1, size=6, rule=agree, margin=0.0, range=0.05)"),
        ("window(0.2, rule=trend)", "window(entropy=0.2, size=6, rule=trend, margin=0.0, range=0.05)"),
        (
            "window(entropy=0.1, size=6)|depth(9)",
            "window(entropy=0.1, size=6, rule=agree, margin=0.0, range=0.05) | depth(9)",
        ),
    ],
)
def test_reads(spec, expected):
    assert str(policy(spec)) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "known policies: full, depth"),
        ("entropi(0.1)", "known policies: full, depth"),
        ("entropi(0.1)", "no policy is called 'entropi', closest to entropy; "),
        ("entropy", "entropy(threshold) with threshold a number from 0 to 1"),
        ("entropy(2)", "from 0 to 1"),
        ("entropy(-0.1)", "from 0 to 1"),
        ("entropy(1e999)", "from 0 to 1"),
        ("entropy(nan)", "from 0 to 1"),
        ("entropy(True)", "from 0 to 1"),
        ("entropy('0.1')", "from 0 to 1"),
        ("depth(0)", "whole number from 1"),
        ("depth(2.5)", "whole number from 1"),
        ("depth(1, 2)", "accepted is depth"),
        ("window(size=0)", "from 1 to 1000"),
        ("window(rule=bias_1)", "agree or trend or stable"),
        ("window(entropy=0.1, entropy=0.2)", "twice"),
        ("window(0.1, entropy=0.2)", "accepted is window"),
        ("window(delta=0.2)", "accepted is window"),
        ("entropy(0.1) & depth(2)", "exits when either does"),
        ("__import__('os').system('true')", "cannot read"),
        ("entropy(*[1])", "cannot read"),
        ("entropy(**{})", "cannot read"),
        ("(" * 400, "cannot read"),
        ("depth(" + "9" * 480 + ")", "from 1 to 1000"),
        ("x" * 501, "at most 500"),
        ("entropy(0.1)\0", "cannot read"),
    ],
)
def test_refuses_with_the_accepted_form(spec, message):
    with pytest.raises(PolicyError) as caught:
        policy(spec)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_operating_points_stand_wherever_a_spec_may():
    points = {"fast": policy("depth(3)"), "sst2-safe": policy("window")}
    assert policy("fast", points) == Depth(3)
    assert policy("sst2-safe", points) == Window()
    assert policy("entropy(0.1) | fast", points) == Entropy(0.1) | Depth(3)
    with pytest.raises(PolicyError, match="operating points of this model: fast, sst2-safe"):
        policy("slow", points)
    with pytest.raises(PolicyError, match="called 'fest', closest to fast; "):
        policy("fest", points)


def test_a_parser_that_fails_because_of_another_thread_is_called_again(monkeypatch):
    """CPython before 3.11.5 raises SystemError where two threads parse at once."""
    parse, calls = ast.parse, []

    def fail_twice(*arguments, **options):
        calls.append(arguments)
        if len(calls) < 3:
            raise SystemError("AST constructor recursion depth mismatch (before=27, after=24)")
        return parse(*arguments, **options)

    monkeypatch.setattr(ast, "parse", fail_twice)
    assert str(policy("entropy(0.25)")) == "entropy(0.25)"
    assert len(calls) == 3
