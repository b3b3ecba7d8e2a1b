"""Exits: signals, traces, policies, specs. Knows no model."""

from __future__ import annotations

from elbert.exits.policies import Depth, Full, Tempered, Window
from elbert.exits.replay import LAST, Replay, replay, replay_exits
from elbert.exits.rules import STAY, Policy, Rule
from elbert.exits.spec import POLICIES, check_policy, policy
from elbert.exits.trace import Trace

__all__ = [
    "Depth",
    "Full",
    "LAST",
    "POLICIES",
    "Policy",
    "Replay",
    "Rule",
    "STAY",
    "Tempered",
    "Trace",
    "Window",
    "check_policy",
    "policy",
    "replay",
    "replay_exits",
]
