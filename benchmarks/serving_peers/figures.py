"""From answers to figures: percentiles, the sustained rate, ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

EIGHTY, STATICS_EIGHTY = 0.8, "static's 0.8"  # shares of one's own capacity, and of static batches'
PASSES = 5  # times the unloaded latency
LOST_SHARE = 0.01  # of the requests that may be refused or lost at a rate that counts as sustained


def quantile(values: Sequence[float], q: float) -> float:
    """Of sorted values: the smallest with at least a share ``q`` at or below it."""
    return values[max(0, math.ceil(q * len(values)) - 1)] if values else math.inf


def medians(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per rate: the median of its rounds."""
    by_share: dict[Any, list[dict[str, Any]]] = {}
    for found in rounds:
        by_share.setdefault(found["share"], []).append(found)
    return [
        {"share": share} | {key: statistics.median(f[key] for f in same) for key in same[0] if key != "share"}
        for share, same in by_share.items()
    ]


def sustained(rates: Sequence[dict[str, Any]], limit_ms: float) -> tuple[float, str]:
    """The rate at which p99 passes the limit; and "", or "below" or "above" where that lies outside what was run."""
    below: tuple[float, float] | None = None
    for found in sorted(rates, key=lambda f: f["rate"]):
        failing = found["refused"] + found["lost"] > LOST_SHARE
        rate, p99 = found["rate"], max(found["p99_ms"], limit_ms if failing else 0.0)
        if p99 >= limit_ms:
            return (rate, "below") if below is None else (_between(below, (rate, p99), limit_ms), "")
        below = rate, p99
    return (below[0] if below else 0.0), "above"


def _between(low: tuple[float, float], high: tuple[float, float], limit: float) -> float:
    """Where the line through two points (rate, latency), latency on a logarithmic axis, meets the limit."""
    (r0, p0), (r1, p1) = low, high
    return r0 + (r1 - r0) * math.log(limit / p0) / math.log(p1 / p0)


def ratios(rows: dict[str, dict[str, Any]], full_depth: set[str]) -> dict[str, float]:
    """What the targets are about."""
    ours, static = rows.get("elbert, safe"), rows.get("static batches, safe")
    others = [r["sustained"] for n, r in rows.items() if n in full_depth and not n.startswith("elbert")]
    found: dict[str, float] = {}
    if ours and others:
        found["sustained rate, ours at safe / best other server at full depth"] = ours["sustained"] / max(others)
    if ours and "elbert, full depth" in rows:
        found["sustained rate, ours at safe / ours at full depth"] = (
            ours["sustained"] / rows["elbert, full depth"]["sustained"]
        )
        if "accuracy" in ours:
            found["points lost to full depth"] = 100 * (rows["elbert, full depth"]["accuracy"] - ours["accuracy"])
    if ours and static:
        at = {r["share"]: r["p99_ms"] for r in static["rates"]}[EIGHTY]
        mine = {r["share"]: r["p99_ms"] for r in ours["rates"]}
        found["p99 at 80 % of capacity, ours / static batches"] = mine[EIGHTY] / at
        found["p99 at 80 % of static batches' capacity, ours / static batches"] = mine[STATICS_EIGHTY] / at
    return found


def print_row(row: dict[str, Any]) -> None:
    """A contestant's lines."""
    accuracy = f", accuracy {100 * row['accuracy']:.1f} %" if "accuracy" in row else ""
    print(f"{row['name']}: unloaded {row['unloaded_ms']:.1f} ms, capacity {row['capacity']:.0f}/s{accuracy}")
    limit, beyond = PASSES * row["unloaded_ms"], f"{row['beyond']} ".lstrip()
    print(f"  sustained {beyond}{row['sustained']:.0f}/s (p99 at most {limit:.0f} ms)")
    for found in row["rates"]:
        print(
            f"  {found['share']!s:>12} x capacity = {found['rate']:6.0f}/s: p50 {found['p50_ms']:8.1f} ms  "
            f"p99 {found['p99_ms']:8.1f} ms  answered {found['answered_per_second']:6.0f}/s  "
            f"refused {100 * found['refused']:5.1f} %  lost {100 * found['lost']:4.1f} %  "
            f"(sent late by {found['sent_late_ms']:.1f} ms)"
        )
