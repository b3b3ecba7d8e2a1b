"""Runs episodes, and replays one: `python tests/simulation/episodes.py SEED` prints what happens in it.

`python tests/simulation/episodes.py FIRST LAST` runs the episodes of these seeds, and names those that fail.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from invariants import Violation
from scenario import Scenario
from world import World

MINUTES = 2.0  # of simulated time in an episode
TEST_SEEDS = range(15)  # half an hour, run by make test
SLOW_SEEDS = range(15, 2515)  # 5,000 minutes, run by make slow
SEEDS_OF_FAULTS = range(50)  # among these, a planted fault is found


def run_episode(seed: int) -> World:
    """Run an episode.

    Raises:
        Violation: a promise is broken; the message has the command that replays the episode.
    """
    world = World(Scenario.draw(seed, 60 * MINUTES))
    try:
        world.run()
    except Exception as error:
        kind = "" if isinstance(error, Violation) else f"{type(error).__name__}: "
        raise Violation(f"{kind}{error}; replay: python tests/simulation/episodes.py {seed}") from error
    return world


def find_violation(seed: int) -> tuple[int, Violation] | None:
    """Run an episode; return the seed and the violation if there is one."""
    try:
        run_episode(seed)
    except Violation as violation:
        return seed, violation
    return None


def replay(seed: int) -> int:
    """Print the log of an episode; return 1 if it breaks a promise."""
    world = World(Scenario.draw(seed, 60 * MINUTES))
    try:
        world.run()
    except Exception as error:
        world.log.append(f"{type(error).__name__}: {error}")
        return 1
    else:
        return 0
    finally:
        sys.stdout.write("\n".join(map(str, (world.scenario, *world.log, ""))))


def search(seeds: Iterable[int]) -> int:
    """Print the seeds whose episodes fail; return their number."""
    failures = 0
    for seed in seeds:
        if (found := find_violation(seed)) is not None:
            failures += 1
            sys.stdout.write(f"seed {seed}: {found[1]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{failures} episodes fail\n")
    return failures


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    if len(numbers) == 1:
        sys.exit(replay(numbers[0]))
    sys.exit(search(range(numbers[0], numbers[1] + 1)))
