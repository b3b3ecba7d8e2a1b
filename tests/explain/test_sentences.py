"""Sentences are made of conditions and a trace. The pages' functions are held to the same file of examples.

``python tests/explain/test_sentences.py`` writes the file again.
"""

import json
from pathlib import Path

import numpy as np

from elbert.exits import Trace, policy, replay_exits
from elbert.explain.rule_tracks import explain_exit, track_rules

FILE = Path(__file__).with_name("sentences.json")
SPECS = (
    "full",
    "depth(3)",
    "entropy(0.25)",
    "entropy(0.01)",
    "entropy(0)",
    "confidence(0.7)",
    "gap(0.5)",
    "gap(1)",
    "patience(0)",
    "patience(1)",
    "patience(3)",
    "patient_confidence(1, 0.6)",
    "patient_confidence(2, 0.6)",
    "divergence(1, 0.02)",
    "divergence(2, 0.02)",
    "window(entropy=0, size=1)",
    "window(entropy=0, size=3, margin=0.1)",
    "window(entropy=0, size=3, rule=trend)",
    "window(entropy=0.1, size=3, rule=stable, range=0.1)",
    "window(entropy=0, size=9)",
    "entropy(0.1) | patience(3)",
    "tempered(entropy(0.5), 2.0, 0.5)",
    "tempered(gap(0.5) | tempered(window(entropy=0, size=2), 0.7), 1.5) | depth(5)",
)
SETTLES = [
    [0.5, 0.3, 0.2],
    [0.4, 0.45, 0.15],
    [0.3, 0.6, 0.1],
    [0.2, 0.72, 0.08],
    [0.1, 0.86, 0.04],
    [0.02, 0.97, 0.01],
]
WAVERS = [[0.55, 0.45], [0.45, 0.55], [0.875, 0.125], [0.4, 0.6], [0.625, 0.375], [0.75, 0.25], [0.3, 0.7]]
LABELS = [[0.5, 0.9], [0.2, 0.95], [0.1, 0.97], [0.05, 0.99]]
TRACES = ((SETTLES, False), (WAVERS, False), (LABELS, True))


def describe(spec, probabilities, multi_label):
    chosen, outputs = policy(spec), np.array([probabilities], np.float32)
    trace = Trace.from_outputs(outputs, multi_label=multi_label)
    depths, reasons = replay_exits(outputs, chosen, multi_label=multi_label)
    tracks = track_rules(chosen, trace)
    return {
        "spec": spec,
        "probabilities": probabilities,
        "multi_label": multi_label,
        "depth": int(depths[0]),
        "reason": reasons[0],
        "why": explain_exit(chosen, trace, int(depths[0]), tracks),
        "rules": [
            {
                "rule": track.rule,
                "size": track.size,
                "signal": track.signal,
                "threshold": track.threshold,
                "below": track.below,
                "states": [step.state for step in track.steps],
            }
            for track in tracks
        ],
    }


def make_examples():
    return [describe(spec, *trace) for trace in TRACES for spec in SPECS]


def test_sentences_are_those_of_the_file():
    assert make_examples() == json.loads(FILE.read_text())


def test_sentences_of_the_documentation():
    assert describe("entropy(0.25)", SETTLES, False)["why"] == "exited at depth 6 of 6, the last: " + (
        "entropy < 0.25 at no depth before (lowest 0.44)"
    )
    same = describe("window(entropy=0, size=3, margin=0.1)", SETTLES, False)["why"]
    assert same == "exited at depth 5 of 6: same class over depths 3 to 5, every gap > 0.2"


if __name__ == "__main__":
    examples = ",\n".join(json.dumps(example, ensure_ascii=False) for example in make_examples())
    FILE.write_text(f"[\n{examples}\n]\n")
