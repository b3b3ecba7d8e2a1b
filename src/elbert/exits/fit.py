"""Whether a model can follow a policy."""

from __future__ import annotations

from elbert.errors import InputError, PolicyError
from elbert.exits.base import Policy
from elbert.exits.policies import Depth


def fitting(policy: Policy, depths: int, *, regression: bool = False) -> Policy:
    """The policy, if a model of that many depths can follow it.

    Raises:
        PolicyError: it names a depth that the model does not have.
        InputError: the model is a regression, which has no exits.
    """
    for rule in policy.rules:
        if isinstance(rule, Depth) and rule.depth > depths:
            raise PolicyError(f"{rule}: this model has {depths} depths; accepted is depth(1) to depth({depths})")
    if regression and policy.rules:
        raise InputError(
            f"this model predicts a number (problem_type 'regression'), whose certainty no policy can read: "
            f"it always runs at full depth; use policy 'full' instead of {str(policy)!r}"
        )
    return policy
