"""A synthetic comparison, in the form that elbert compare passes to the report."""

SPEEDUPS = [1.5, 2, 3, 4, 6, 10]
NASTY = "</script><img src=x onerror=alert(1)>"


def entry(family, policy, accuracy, mean_depth):
    return {"family": family, "policy": policy, "accuracy": accuracy, "mean_depth": mean_depth}


def family(name, area, front):
    points = [{"policy": policy, "mean_depth": depth, "accuracy": accuracy} for policy, depth, accuracy in front]
    return {
        "name": name,
        "area": area,
        "policies": 40,
        "points": [[depth, accuracy] for _, depth, accuracy in front],
        "front": points,
    }


def comparison():
    fronts = {
        "window": [("window(entropy=0.5, size=2)", 1.6, 0.84), ("window(entropy=0.1, size=4)", 3.1, 0.875)],
        "entropy": [("entropy(0.6)", 1.5, 0.82), ("entropy(0.2)", 3.6, 0.872), ("entropy(0.05)", 5.2, 0.88)],
        "entropy | patience": [("entropy(0.1) | patience(4)", 4.0, 0.874)],
        "patience": [("patience(0)", 1.0, 0.8), ("patience(3)", 4.4, 0.86)],
        "a family of next year": [("full", 12.0, 0.879)],
    }
    cheap = {name: [f for f in front if f[1] <= 6] for name, front in fronts.items()}
    at = [
        {
            "family": name,
            "values": [
                next(
                    ({"policy": p, "accuracy": a, "mean_depth": d} for p, d, a in reversed(front) if d <= 12 / times),
                    None,
                )
                for times in SPEEDUPS
            ],
        }
        for name, front in cheap.items()
    ]
    window = entry("window", "window(entropy=0.1, size=4)", 0.875, 3.1)
    tests = [
        {"rival": "entropy", "difference": 0.3, "low": -0.6, "high": 1.2, "p": 0.51, "verdict": "no difference"},
        {"rival": "patience", "difference": 1.5, "low": 0.4, "high": 2.6, "p": 0.0004, "verdict": "better"},
    ]
    rivals = [entry("entropy", "entropy(0.2)", 0.872, 3.6), entry("patience", "patience(3)", 0.86, 4.4)]
    return {
        "title": f"Comparison {NASTY}",
        "model": "synthetic",
        "data": "validation.csv",
        "n": 872,
        "depths": 12,
        "labels": ["negative", NASTY],
        "made": "2026-01-02",
        "version": "0.1.0",
        "command": f"elbert compare --data '{NASTY}'",
        "score": "accuracy",
        "full": 0.879,
        "fixed": [
            {"depth": k, "accuracy": 0.8 + 0.007 * k, "ece": 0.03 + 0.004 * k, "flops": 4.1e7 * k} for k in range(1, 13)
        ],
        "linear_baseline": 0.801,
        "oracles": [{"name": "earliest correct", "accuracy": 0.929, "mean_depth": 1.31}],
        "overthinking": 0.051,
        "families": [family(name, 0.85, front) for name, front in fronts.items()],
        "speedups": SPEEDUPS,
        "at_speedup": at,
        "honest": {
            "choose_n": 436,
            "report_n": 436,
            "rows": [{"speedup": 3, "entries": rivals, "window": window, "tests": tests}],
        },
        "exits": {"policy": "window(entropy=0.1, size=4)", "histogram": [300, 200, 100, 272, 0, 0, 0, 0, 0, 0, 0, 0]},
        "notes": [NASTY],
    }
