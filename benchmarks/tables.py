"""The tables of docs/benchmarks/throughput.md and bundled-model.md, from the results that are kept.

    python benchmarks/tables.py

:func:`draw_table` is for the tables of other results too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import Any

from machine import RESULTS
from peers import PRECISIONS

LENGTHS = {  # results of latency.py
    "latency_bundled": "Bundled shape, one text at a time",
    "lengths_bundled_64": "Bundled shape, 64 texts a call",
    "latency_albert-base": "ALBERT-base shape, one text at a time",
    "lengths_albert-base_16": "ALBERT-base shape, 16 texts a call",
}
PROCESSORS = {  # the words of --processor, and what they mean
    "": "",
    "_avx2": ", everybody held to AVX2",
    "_vnni": ", without AMX",
    "_zen4": ", Zen 4",
}


def main() -> None:
    """Print every table whose results are there."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for word, meaning in PROCESSORS.items():
        for name, title in LENGTHS.items():
            if (RESULTS / f"{name}{word}.json").exists():
                print(f"{title}{meaning}:\n\n{draw_lengths(read(name + word))}\n")
    for file in sorted(RESULTS.glob("realised*.json")):
        print(f"{file.stem}:\n\n{draw_realised(read(file.stem))}")
    parts = {name: RESULTS / f"bundled_sst2_{name}.json" for name in ("validation", "test")}
    if all(file.exists() for file in parts.values()):
        print(
            f"The bundled model on SST-2:\n\n{draw_policies({name: read(file.stem) for name, file in parts.items()})}"
        )


def read(name: str) -> dict[str, Any]:
    """A kept result, without machine and versions."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["result"]
    return found


def draw_lengths(result: dict[str, Any]) -> str:
    """Ratios to the best peer at full depth and at L/4, and shares of the processor's limits, by length."""
    cells = ("full depth", "depth L/4", "multiplied, read")
    (first, *_) = result["against"].values()
    precisions = [precision for precision in PRECISIONS if precision in first]
    titles = [f"{precision}, {cell}" if cell == cells[0] else cell for precision in precisions for cell in cells]
    rows = []
    for length, against in result["against"].items():
        taken = result["milliseconds"][length]
        found = [length, " / ".join(f"{taken[f'elbert {precision}, full depth']:.1f}" for precision in precisions)]
        for precision in precisions:
            one = against[precision]
            has_peer = "peer" in one
            found += [
                f"{one['full']:.2f}x {one['peer']}" if has_peer else "–",
                f"{one['quarter']:.1f}x" if has_peer else "–",
            ]
            found.append(", ".join(f"{100 * one[key]:.0f} %" for key in ("multiplied", "read") if key in one))
        rows.append(found)
    return draw_table(["tokens", "ms, full depth", *titles], rows)


def draw_realised(result: dict[str, Any]) -> str:
    """Realised fractions by shape and capacity, at the mean depths that were measured."""
    tables = []
    for shape, measured in result["shapes"].items():
        by_capacity: dict[int, list[dict[str, Any]]] = {}
        for one in measured:
            if one["way"] == "engine":
                by_capacity.setdefault(one["capacity"], []).append(one)
        depths = [f"{one['mean_depth']:.1f}" for one in by_capacity[max(by_capacity)]]  # nearest to what was requested
        rows = [[str(of), *(f"{one['realised']:.2f}" for one in found)] for of, found in by_capacity.items()]
        tables.append(f"{shape}, {result['dtype']}:\n\n{draw_table(['capacity', *depths], rows)}\n")
    return "\n".join(tables)


def draw_policies(parts: dict[str, dict[str, Any]]) -> str:
    """Accuracy of each policy on each part; depth, calibration error and speed on the last part."""
    *_, last = parts.values()
    scores = [{one["policy"]: one["metrics"]["accuracy"] for one in part["policies"]} for part in parts.values()]
    rows = []
    for one in last["policies"]:
        name = one["policy"]
        wall = one["wall_clock"]
        rows.append(
            [f"`{name}`", *(f"{100 * score[name]:.1f}" for score in scores), f"{one['mean_depth']:.2f}"]
            + [f"{one['layer_speedup']:.2f}x", f"{wall['speedup']:.2f}x", f"{one['metrics']['ece']:.3f}"]
        )
    titles = [f"{name} ({part['n']:,}), %" for name, part in parts.items()]
    header = ["policy", *titles, "mean depth", "layer speed-up", "wall-clock", "calibration error"]
    return draw_table(header, rows, words=1)


def draw_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 0) -> str:
    """A Markdown table of numbers, after ``words`` columns of words."""
    rule = ["---"] * words + ["--:"] * (len(header) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


if __name__ == "__main__":
    main()
