"""Specs: the text form of policies, ``window(entropy=0.1, size=6) | depth(9)``."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from elbert._display import plural, suggest
from elbert._syntax import parse_expression
from elbert.errors import PolicyError
from elbert.exits.conditions import Of
from elbert.exits.policies import LIST_POLICIES, POLICIES
from elbert.exits.rules import TEMPERED, TEMPERED_FORM, Policy, Single, Tempered
from elbert.exits.signals import SIGNALS, Content

MAX_SPEC_LENGTH = 500  # characters; a spec may come from a client


def policy(spec: str | Policy, names: Mapping[str, Policy] | None = None) -> Policy:
    """Read a policy spec; ``names`` are operating points that a spec may name.

    A :class:`Policy` passes through. ``policy(str(p)) == p`` for every policy ``p``.

    Raises:
        PolicyError: the spec cannot be read, a name is unknown or a dial out of range; the message shows
            the accepted form.
    """
    if isinstance(spec, Policy):
        return spec
    if not isinstance(spec, str) or len(spec) > MAX_SPEC_LENGTH:
        raise PolicyError(
            f"a policy spec is a text of at most {MAX_SPEC_LENGTH} characters; {describe_accepted(names)}"
        )
    if names and spec.strip() in names:
        return names[spec.strip()]  # a name need not be an identifier: "sst2-fast"
    try:
        tree = parse_expression(spec.strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise PolicyError(f"cannot read the policy {spec!r}; {describe_accepted(names)}") from error
    return _read(tree, spec, names or {})


def _read(node: ast.expr, spec: str, names: Mapping[str, Policy]) -> Policy:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _read(node.left, spec, names) | _read(node.right, spec, names)
    if isinstance(node, ast.Name):
        return names[node.id] if node.id in names else _make(node.id, [], {}, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and all(k.arg for k in node.keywords):
        dials = {str(k.arg): _value(k.value, spec) for k in node.keywords}
        if len(dials) < len(node.keywords):
            raise PolicyError(f"a dial is set twice in the policy {spec!r}")
        if node.func.id == TEMPERED and node.args and not dials:
            temperatures = tuple(_value(a, spec) for a in node.args[1:])
            return Tempered(_read(node.args[0], spec, names), temperatures)
        return _make(node.func.id, [_value(a, spec) for a in node.args], dials, names)
    raise PolicyError(f"cannot read the policy {spec!r}; {describe_accepted(names)}")


def _value(node: ast.expr, spec: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise PolicyError(f"cannot read a dial in the policy {spec!r}: a number or a word is expected") from error


def _make(name: str, values: list[Any], dials: dict[str, Any], names: Mapping[str, Policy]) -> Policy:
    if name == TEMPERED:
        raise PolicyError(f"these dials do not fit {name}: accepted is {TEMPERED_FORM}")
    kinds = POLICIES | LIST_POLICIES
    if name not in kinds:
        closest = suggest(name, {known: known for known in (*names, *POLICIES)}, 1)
        raise PolicyError(f"no policy is called {name!r}{closest}; {describe_accepted(names)}")
    return kinds[name](*values, **dials)


def describe_accepted(names: Mapping[str, Policy] | None = None) -> str:
    """The names that a spec may use, for an error message."""
    points = f"; operating points of this model: {', '.join(names)}" if names else ""
    return f"known policies: {', '.join(POLICIES)}, {TEMPERED}; 'a | b' exits when either does{points}"


def check_policy(
    policy: Policy,
    depths: int,
    content: Content = "probabilities",
    *,
    per_token: bool = False,
    is_ranked: bool = False,
    limit: str = "",
) -> Policy:
    """The policy, if a model of that many depths, with such outputs, can follow it.

    ``is_ranked``: for the rows of a list that is ranked, whose scores one rule may compare. ``limit`` is what an error
    names as the reason why there are so many depths, by default the model.

    Raises:
        PolicyError: it names a depth that the model does not have, a decision costs too much, or it reads what the
            outputs are not.
    """
    if len(policy.list_rules) > is_ranked:
        if is_ranked:
            raise PolicyError(f"{str(policy)!r} compares the texts of a list in two ways: use one of them")
        raise PolicyError(f"{str(policy)!r} compares the texts of a list, so it is for rank only")
    if per_token and any(rule.temperatures for rule in policy.rules):
        raise PolicyError(f"{str(policy)!r} has temperatures, which do not fit token classification: leave them out")
    if not policy_fits(policy, content):
        fitting = ", ".join(name for name, kind in POLICIES.items() if kind.fits(content))
        raise PolicyError(f"{str(policy)!r} does not fit a model whose outputs are {content}; fitting: {fitting}")
    for member, _ in policy.members:
        bound = limit.format(depths) if limit else f"this model has {plural(depths, 'depth')}"
        for name, most in limit_depth_dials(member, depths).items():
            if member.dials[name] > most:
                low = next(int(dial.low) for dial in member.kind.dials if dial.name == name)
                least, deepest = (member.kind(**{**member.dials, name: value}) for value in (low, most))
                raise PolicyError(f"{member}: {bound}; accepted is {least} to {deepest}")
    cost, most = count_values(policy, depths), max(VALUES_PER_DEPTH * depths, MIN_VALUES)
    if cost > most:
        raise PolicyError(
            f"this policy reads {cost:,} numbers of each text at each depth; accepted are at most {most} for {depths} "
            "depths: join fewer policies, shorten windows, or multiply temperatures that are inside others"
        )
    return policy


def policy_fits(policy: Policy, content: Content) -> bool:
    """Whether outputs have the signals that a policy reads; temperatures read probabilities."""
    tempered = any(rule.temperatures for rule in policy.rules)
    return content == "probabilities" if tempered else all(SIGNALS[name].needs == content for name in policy.signals)


VALUES_PER_DEPTH, MIN_VALUES = 5, 60  # a window reads three signals, and temperatures may change all depths first


def count_values(policy: Policy, depths: int) -> int:
    """The numbers that one decision about one row reads at most: a bound on its cost.

    A condition on a signal reads it at as many depths as it needs, and never at more than the model has; temperatures
    change all depths, and once more inside other temperatures.
    """
    conditions = (condition for rule in policy.rules for condition in rule.conditions)
    sizes = (min(max(1, int(c.size)), depths) if c.signal else 1 for c in conditions)
    tempered = {rule.temperatures[:level] for rule in policy.rules for level in range(1, len(rule.temperatures) + 1)}
    return sum(sizes) + depths * len(tempered)


def describe_idle_rules(policy: Policy, depths: int) -> Iterator[str]:
    """Yield a line for each member with a rule over so many depths that it never fires in a model of ``depths``."""
    for member, _ in policy.members:
        is_idle = [rule.size >= depths for rule in member.rules]
        if depths > 1 and any(is_idle) and not limit_depth_dials(member, depths):
            rule = "its rule" if all(is_idle) else "one of its rules"
            yield f"{member}: the {depths} depths of this model are too few for {rule}, which never ends a text early"


def limit_depth_dials(member: Single, depths: int) -> dict[str, int]:
    """The dials of a policy that name a depth, each with its largest value for that many depths.

    A window may be longer than the model is deep: it never fires, and the policy works on models of any depth.
    """
    limits = dict[str, int]()
    for condition in (condition for form in member.forms for condition in form.conditions):
        if not condition.signal and isinstance(number := condition.size, Of):
            most = int((depths - number.plus) // number.factor)
            limits[number.dial] = min(most, limits.get(number.dial, most))
    return limits
