"""Exits: signals, traces, the table of policies, specs. Knows no model."""

from __future__ import annotations

from elbert.exits.policies import FULL, POLICIES, fixed_depth
from elbert.exits.replay import LAST, Replay, replay, replay_exits
from elbert.exits.rules import STAY, Policy, PolicyKind, Rule, Tempered
from elbert.exits.spec import check_policy, policy
from elbert.exits.trace import Trace

__all__ = [
    "FULL",
    "LAST",
    "POLICIES",
    "Policy",
    "PolicyKind",
    "Replay",
    "Rule",
    "STAY",
    "Tempered",
    "Trace",
    "check_policy",
    "fixed_depth",
    "policy",
    "replay",
    "replay_exits",
]
