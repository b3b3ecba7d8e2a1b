"""Exits: signals, traces, policies, specs. Knows no model."""

from elbert.exits.base import STAY, Policy, Rule
from elbert.exits.fit import fitting
from elbert.exits.policies import Depth, Full
from elbert.exits.replay import LAST, replay, replay_exits
from elbert.exits.spec import policy
from elbert.exits.trace import Trace
from elbert.exits.window import Window

__all__ = [
    "LAST",
    "STAY",
    "Depth",
    "Full",
    "Policy",
    "Rule",
    "Trace",
    "Window",
    "fitting",
    "policy",
    "replay",
    "replay_exits",
]
