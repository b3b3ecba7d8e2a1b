"""The measures of the method, section 8, written the long way: one text after another, plain numbers."""

import math


def top(p):
    return max(range(len(p)), key=lambda i: p[i])


def accuracy(answers, labels):
    return sum(top(p) == y for p, y in zip(answers, labels, strict=True)) / len(labels)


def f1_of(predicted, labels, one):
    hit = sum(s == one == y for s, y in zip(predicted, labels, strict=True))
    claimed, there = sum(s == one for s in predicted), sum(y == one for y in labels)
    return 2 * hit / (claimed + there) if claimed + there else 0.0


def f1(answers, labels):
    """Of class 1 at two classes; else the mean over the classes that occur as labels or predictions."""
    predicted = [top(p) for p in answers]
    if len(answers[0]) == 2:
        return f1_of(predicted, labels, 1)
    seen = sorted({*predicted, *labels})
    return sum(f1_of(predicted, labels, one) for one in seen) / len(seen)


def matthews(answers, labels):
    """Correlation of two indicator matrices (Gorodkin 2004), by its covariances."""
    predicted, n = [top(p) for p in answers], len(labels)

    def covariance(xs, ys):
        total = 0.0
        for one in range(len(answers[0])):
            x, y = [v == one for v in xs], [v == one for v in ys]
            total += sum(a and b for a, b in zip(x, y, strict=True)) / n - sum(x) / n * sum(y) / n
        return total

    scale = math.sqrt(covariance(predicted, predicted) * covariance(labels, labels))
    return covariance(predicted, labels) / scale if scale else 0.0


def ece(sure_and_right, bins=15):
    """``sum over bins of |bin| / n * |accuracy - confidence|``."""
    total = 0.0
    for b in range(bins):
        inside = [(s, r) for s, r in sure_and_right if b <= s * bins < b + 1 or (s == 1 and b == bins - 1)]
        if inside:
            confidence = sum(s for s, _ in inside) / len(inside)
            right = sum(r for _, r in inside) / len(inside)
            total += len(inside) * abs(right - confidence)
    return total / len(sure_and_right)


def single_label_ece(answers, labels):
    return ece([(p[top(p)], top(p) == y) for p, y in zip(answers, labels, strict=True)])


def multi_label(answers, labels):
    """``(all labels right, micro F1, ECE per label)``."""
    predicted = [[int(x > 0.5) for x in p] for p in answers]
    exact = sum(s == list(y) for s, y in zip(predicted, labels, strict=True)) / len(labels)
    flat_predicted = [x for s in predicted for x in s]
    flat_labels = [x for y in labels for x in y]
    sure = [max(x, 1 - x) for p in answers for x in p]
    right = [s == y for s, y in zip(flat_predicted, flat_labels, strict=True)]
    return exact, f1_of(flat_predicted, flat_labels, 1), ece(list(zip(sure, right, strict=True)))


def correlation(xs, ys):
    n, mx, my = len(xs), sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / n
    vx, vy = sum((x - mx) ** 2 for x in xs) / n, sum((y - my) ** 2 for y in ys) / n
    return covariance / math.sqrt(vx * vy) if vx * vy else 0.0


def ranks(xs):
    """From 1; equal numbers share their mean rank."""
    return [sum(y < x for y in xs) + (sum(y == x for y in xs) + 1) / 2 for x in xs]


def earliest(holds):
    """The first depth, from 1, at which something holds; 1 where nowhere."""
    return next((depth for depth, here in enumerate(holds, 1) if here), 1)


def oracle_depths(decisions, label):
    """``(earliest correct, earliest as the last, earliest settled)`` of one text's decisions by depth."""
    last = decisions[-1]
    settled = next(d for d in range(1, len(decisions) + 1) if all(x == last for x in decisions[d - 1 :]))
    return earliest([x == label for x in decisions]), earliest([x == last for x in decisions]), settled
