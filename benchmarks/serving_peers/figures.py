"""From answers to figures: percentiles, the sustained rate, ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

COMMON = 100.0  # ms, one limit of p99 for all: five times a small latency is a hard limit, of a large one an easy one
EIGHTY, STATICS_EIGHTY = 0.8, "static's 0.8"  # shares of one's own capacity, and of static batches'
STOLEN = 0.05  # of the machine's time, beyond which a round does not count
PASSES = 5  # times the unloaded latency
LOST_SHARE = 0.01  # of the requests that may be refused or lost at a rate that counts as sustained


def quantile(values: Sequence[float], q: float) -> float:
    """Of sorted values: the smallest with at least a share ``q`` at or below it."""
    return values[max(0, math.ceil(q * len(values)) - 1)] if values else math.inf


def medians(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per rate: the median of its rounds, without those that the host disturbed where others remain."""
    by_share: dict[Any, list[dict[str, Any]]] = {}
    for found in rounds:
        by_share.setdefault(found["share"], []).append(found)
    rows_kept = list[dict[str, Any]]()
    for share, same in by_share.items():
        kept = [found for found in same if found.get("stolen", 0.0) <= STOLEN] or same
        row = {"share": share} | {key: statistics.median(f[key] for f in kept) for key in kept[0] if key != "share"}
        rows_kept.append(row | {"rounds": len(kept), "p99_ms_by_round": [f["p99_ms"] for f in same]})
    return rows_kept


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


OURS = ("elbert", "static batches")  # what is ours, as it is or without refilling
RATES = {
    "sustained": f"sustained rate (p99 at most {PASSES} x unloaded)",
    "sustained_common": f"sustained rate (p99 at most {COMMON:.0f} ms)",
    "capacity": "capacity",
}  # of the short rounds; those of the limits are in `limits`


def ratios(rows: dict[str, dict[str, Any]], full_depth: set[str]) -> dict[str, float]:
    """What the targets are about."""
    ours, static = rows.get("elbert, safe"), rows.get("static batches, safe")
    others = [row for name, row in rows.items() if name in full_depth and not name.startswith(OURS)]
    found: dict[str, float] = {}
    for key, label in () if ours is None else RATES.items():
        if others:
            found[f"{label}, ours at safe / best server of others at full depth"] = ours[key] / max(
                r[key] for r in others
            )
        for name in ("static batches, full depth", "elbert, full depth"):
            if name in rows:
                found[f"{label}, ours at safe / {name}"] = ours[key] / rows[name][key]
    if ours and "elbert, full depth" in rows and "accuracy" in ours:
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
    print(f"  sustained {beyond}{row['sustained']:.0f}/s (p99 at most {limit:.0f} ms), ", end="")
    print(f"{row['beyond_common']} ".lstrip() + f"{row['sustained_common']:.0f}/s (p99 at most {COMMON:.0f} ms)")
    for found in row["rates"]:
        print(
            f"  {found['share']!s:>12} x capacity = {found['rate']:6.0f}/s: p50 {found['p50_ms']:8.1f} ms  "
            f"p99 {found['p99_ms']:8.1f} ms  answered {found['answered_per_second']:6.0f}/s  "
            f"refused {100 * found['refused']:5.1f} %  lost {100 * found['lost']:4.1f} %  "
            f"(sent late by {found['sent_late_ms']:.1f} ms)"
        )
