"""Texts a second and accuracy: ours against what people would use instead, same weights, same texts.

    python benchmarks/throughput.py [--shape bundled] [--data FILE] [--texts 400] [--rounds 5] [--peers NAME …]
    python benchmarks/throughput.py --precisions float32 int8 --processor vnni

With random weights (``--shape albert-base``, ``albert-large``) texts are 62 words long and exits are scripted to mean
depths of a quarter and half of the model's; agreement then means nothing and is left out.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert import Classifier, policy
from elbert.data import read_examples, resolve_label
from machine import keep
from others import by_shrinking, by_waiting, run
from peers import Workshop, add_precision_options, installed_peers, prepare_peers
from realised import serve
from rounds import interleaved
from scripted import POLICY, Scripted, script, script_policies
from shapes import folder_of, texts_of

REVIEWS = Path(__file__).parents[1] / "examples" / "reviews.txt"
Go = Callable[[Sequence[str]], Any]


def ours(folder: Path, shape: str, precision: str) -> dict[str, tuple[Classifier, Any, Go]]:
    """Our ways over a folder, at full depth and with exits: a classifier and policy that other ways of exit use too."""
    full = Classifier.load(folder, "full", dtype=precision)
    ways: dict[str, tuple[Classifier, Any, Go]] = {"full depth": (full, None, full.predict)}
    if shape == "bundled":
        for name in ("safe", "fast"):
            spec = full.bundle.resolve_policy(name)
            ways[f"exits, {name}"] = (full, spec, partial(full.predict, policy=spec))
        return ways
    for part in (4, 2):
        depths = script(full.depths / part, full.depths)
        scripted = Classifier(full.bundle, full.tokeniser, Scripted(full.backend, depths), policy(POLICY))
        ways[f"exits, depth L/{part}"] = (scripted, None, partial(go_scripted, full, depths))
    return ways


def go_scripted(classifier: Classifier, depths: Sequence[int], texts: Sequence[str]) -> float:
    """Texts to mean depth, each with the policy that ends it by a script."""
    tokens = classifier.tokeniser.encode(texts)
    return serve(classifier.backend, tokens, script_policies(tokens, depths), classifier.capacity)


def go_others(classifier: Classifier, spec: Any, way: Any) -> Go:
    """Texts to mean depth, by another way of early exit."""
    return lambda texts: run(way, classifier.tokeniser.encode(texts), classifier.backend, spec, 32)


def scores(answer: Any) -> NDArray[np.float64] | None:
    """Probabilities ``[n, classes]`` of what a contestant returned, if it returned any."""
    if isinstance(answer, list):
        return np.array([list(prediction.scores.values()) for prediction in answer])
    return answer if isinstance(answer, np.ndarray) else None


def contest(
    folder: Path, shape: str, cache: Path, calibration: Sequence[str], names: Sequence[str], precisions: Sequence[str]
) -> dict[str, Go]:
    """Every contestant, ready to run."""
    workshop = Workshop(cache=cache, calibration=tuple(calibration))
    chosen = installed_peers(names, precisions)
    peers = prepare_peers(chosen, folder, workshop)
    everybody: dict[str, Go] = {f"{peer.name} {peer.precision}": go for peer, go in peers.items()}
    for precision in precisions:
        ways = ours(folder, shape, precision)
        for name, (_, _, go) in ways.items():
            everybody[f"elbert {precision}, {name}"] = go
        classifier, spec, _ = list(ways.values())[1]
        for name, way in (("shrinking batch", by_shrinking), ("waiting batch", by_waiting)):
            everybody[f"elbert {precision}, {name}"] = go_others(classifier, spec or classifier.policy, way)
    return everybody


def data(args: argparse.Namespace) -> tuple[list[str], list[int] | None]:
    """Texts, and their labels where they are known."""
    if args.shape != "bundled":
        return texts_of(62, args.texts), None
    if args.data is None:
        return REVIEWS.read_text(encoding="utf-8").splitlines() * (args.texts // 12 + 1), None
    known, examples = Classifier.load().labels, list(read_examples(args.data))
    return [str(e.content()) for e in examples], [resolve_label(e.label, known) for e in examples]


def row(name: str, seconds: float, texts: int, answer: Any, labels: Any, reference: Any) -> dict[str, Any]:
    """One line of the table."""
    found: dict[str, Any] = {"name": name, "texts_per_second": texts / seconds}
    probabilities = scores(answer)
    if isinstance(answer, list):
        found["mean_depth"] = sum(prediction.depth for prediction in answer) / len(answer)
    elif isinstance(answer, float):
        found["mean_depth"] = answer
    if probabilities is not None and reference is not None:
        found["agreement"] = float((probabilities.argmax(-1) == reference.argmax(-1)).mean())
    if probabilities is not None and labels is not None:
        found["accuracy"] = float((probabilities.argmax(-1) == np.array(labels)).mean())
    return found


def main() -> None:
    """Run everybody, interleaved; print the table; keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="bundled", choices=("bundled", "albert-base", "albert-large"))
    parser.add_argument("--data", help="labelled texts for the bundled model (default: examples/reviews.txt)")
    parser.add_argument("--texts", type=int, default=400, help="texts of a timed run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=[])
    add_precision_options(parser)
    args = parser.parse_args()
    texts, labels = data(args)
    sample = random.Random(0).sample(texts, min(args.texts, len(texts)))
    with tempfile.TemporaryDirectory() as folder:
        model = folder_of(args.shape, Path(folder))
        everybody = contest(model, args.shape, Path(folder), texts[:300], args.peers, args.precisions)
        answers = {name: go(texts) for name, go in everybody.items()}
        seconds = interleaved({name: lambda g=go: g(sample) for name, go in everybody.items()}, args.rounds)
    reference = scores(answers["elbert float32, full depth"]) if args.shape == "bundled" else None
    rows = [row(name, seconds[name], len(sample), answers[name], labels, reference) for name in everybody]
    slowest = rows[0]["texts_per_second"]
    for found in sorted(rows, key=lambda r: r["texts_per_second"]):
        more = "".join(f"  {k} {found[k]:.4g}" for k in ("mean_depth", "accuracy", "agreement") if k in found)
        rate = found["texts_per_second"]
        print(f"{found['name']:<36} {rate:9.1f} texts/s  {rate / slowest:6.2f}x {rows[0]['name']}{more}")
    result = {"shape": args.shape, "texts": len(sample), "answered": len(texts), "rounds": args.rounds, "rows": rows}
    name = "_".join(filter(None, ("throughput", args.shape, args.processor)))
    print(f"kept in {keep(name, result)}")


if __name__ == "__main__":
    main()
