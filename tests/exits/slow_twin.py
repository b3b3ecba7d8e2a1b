"""The formulas of the papers, one row at a time, in plain Python floats. Nothing is shared with the package."""

import math


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0) / math.log(len(p))


def jsd(p, q):
    def kl(a, b):
        return sum(x * math.log(x / y) for x, y in zip(a, b) if x > 0)

    m = [(x + y) / 2 for x, y in zip(p, q)]
    return (kl(p, m) + kl(q, m)) / 2


def top(p):
    return max(range(len(p)), key=lambda c: p[c])


def gap(p):
    first, second = sorted(p, reverse=True)[:2]
    return first - second


def window_fires(seen, size, rule, margin, spread):
    """``seen``: the distributions at depths 1..m."""
    if len(seen) < size:
        return False
    part = seen[-size:]
    tops = [top(p) for p in part]
    if len(set(tops)) > 1:
        return False
    c = tops[0]
    if rule == "trend":
        rising = all(b[c] >= a[c] for a, b in zip(part, part[1:]))
        return gap(part[0]) > 2 * margin and rising
    agree = all(gap(p) > 2 * margin for p in part)
    if rule == "stable":
        return agree and max(p[c] for p in part) - min(p[c] for p in part) <= spread
    return agree


def exit_of(rows, name, **dials):
    """``(depth, reason)`` of one row ``[depths][classes]``."""
    for m in range(1, len(rows)):
        seen = rows[:m]
        p = seen[-1]
        reason = None
        if name == "depth" and m == dials["depth"]:
            reason = "depth"
        if name == "entropy" and entropy(p) < dials["threshold"]:
            reason = "entropy"
        if name == "confidence" and max(p) >= dials["threshold"]:
            reason = "confidence"
        if name == "gap" and gap(p) >= dials["threshold"]:
            reason = "gap"
        if name == "patience" and m > dials["times"] and len({top(q) for q in seen[m - dials["times"] - 1 :]}) == 1:
            reason = "patience"
        if name == "patient_confidence" and m >= dials["times"]:
            if all(entropy(q) < dials["threshold"] for q in seen[m - dials["times"] :]):
                reason = "patient_confidence"
        if name == "divergence" and m > dials["times"]:
            steps = zip(seen[m - dials["times"] - 1 :], seen[m - dials["times"] :])
            if all(jsd(a, b) < dials["threshold"] for a, b in steps):
                reason = "divergence"
        if name == "window":
            if window_fires(seen, dials["size"], dials["rule"], dials["margin"], dials["range"]):
                reason = "window"
            if entropy(p) < dials["entropy"]:
                reason = "entropy"
        if reason:
            return m, reason
    return len(rows), "last"


def authors_two_class(rows, size, rule, margin, spread):
    """Stage 2 as the authors write it, on x = p(class 0): the first depth at which it fires, or None."""
    x = [p[0] for p in rows]
    for m in range(size, len(x) + 1):
        w = x[m - size : m]
        high, low = 0.5 + margin, 0.5 - margin
        agree = all(v > high for v in w) or all(v < low for v in w)
        rises = all(b >= a for a, b in zip(w, w[1:]))
        falls = all(b <= a for a, b in zip(w, w[1:]))
        fires = {
            "agree": agree,
            "trend": (w[0] > high and rises) or (w[0] < low and falls),
            "stable": agree and max(w) - min(w) <= spread,
        }[rule]
        if fires:
            return m
    return None
