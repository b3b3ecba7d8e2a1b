"""Exits: signals, traces, policies, specs. Knows no model."""

from elbert.exits.base import STAY, Policy, Rule
from elbert.exits.fit import fitting
from elbert.exits.policies import Depth, Full
from elbert.exits.replay import LAST, Replay, replay, replay_exits
from elbert.exits.spec import POLICIES, policy
from elbert.exits.tempered import Tempered
from elbert.exits.trace import Trace
from elbert.exits.window import Window

__all__ = [
    "LAST",
    "POLICIES",
    "STAY",
    "Depth",
    "Full",
    "Policy",
    "Replay",
    "Rule",
    "Tempered",
    "Trace",
    "Window",
    "fitting",
    "policy",
    "replay",
    "replay_exits",
]
