"""A tiny regression for rankings, lists of random texts, and the slow reference of the list-wise rule."""

import json

from tiny import texts, write_bundle


def write_ranker(folder, **changes):
    """Its scores change less from depth to depth than they differ between texts; the unit is about their change."""
    write_bundle(folder, seed=3, labels=("value",), **({"initializer_range": 0.25} | changes))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": "regression", "label_deviation": 0.3}))
    return folder


def make_lists(count, longest=20, seed=0):
    """Lists of 1 to ``longest`` texts."""
    queries = texts(count, seed=seed, longest=6)
    return [(f"film {query}", texts(1 + (7 * i + 5) % longest, seed=seed + 100 + i)) for i, query in enumerate(queries)]


def plain_outranked(rows, top, margin, size):
    """The rows that exit, the long way. ``rows``: name -> (values so far, whether it is done)."""
    lows, highs = {}, {}
    for name, (values, is_done) in rows.items():
        if is_done:
            lows[name] = highs[name] = values[-1]
        elif len(values) >= size:
            moved = values[-1] - values[-size]
            lows[name] = values[-1] - margin + min(moved, 0)
            highs[name] = values[-1] + margin + max(moved, 0)
    return {
        name
        for name, high in highs.items()
        if not rows[name][1] and sum(low > high for other, low in lows.items() if other != name) >= top
    }
