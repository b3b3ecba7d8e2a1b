"""Lists of texts, each with its query, to rankings: rows of many lists share the calls of one engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from elbert._settings import check_whole
from elbert.classifier import Classifier
from elbert.engine import RankedList, name_text
from elbert.errors import ElbertError, InputError
from elbert.exits import Policy
from elbert.prediction import RankedText
from elbert.ranking.scores import ScoreFunction, check_ranker, order_scores, read_score_function, to_score
from elbert.tokenization import Tokens
from elbert.tokenization.tokens import check_texts, count_characters

BLOCK = 2048  # texts read and tokenised at once; lists are read whole
BLOCK_CHARACTERS = 1 << 22


@dataclass
class ListInProgress:
    """A list whose texts are not all done. By position: the output of the model, the depth, the reason, truncation."""

    texts: Sequence[str]
    first: int  # identity of its first text
    ranked: RankedList | None
    error: Exception | None = None
    outputs: dict[int, float] = field(default_factory=dict)
    exits: dict[int, tuple[int, str]] = field(default_factory=dict)
    truncated: list[bool] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all texts are."""
        return self.error is not None or len(self.outputs) == len(self.texts)


def rank_lists(
    classifier: Classifier,
    lists: Iterable[tuple[Any, Any]],
    policy: str | Policy | None = None,
    *,
    top_k: int | None = None,
    raw_scores: bool | None = None,
) -> Iterator[list[RankedText] | Exception]:
    """Yield the ranking of each list ``(query, texts)``, or its error, in the order of an iterable of any length.

    Raises:
        InputError: the model has no score for a pair, or ``top_k`` does not fit.
        BundleError: the model's score function is not supported, and ``raw_scores`` is None.
        PolicyError: the policy cannot be used.
    """
    config = classifier.bundle.config
    check_ranker(config)
    function: ScoreFunction = "sigmoid"
    if raw_scores is None:
        function = read_score_function(classifier.bundle)
    elif raw_scores:
        function = "none"
    chosen = classifier.resolve_policy(policy, is_ranked=True)
    check_top(top_k, chosen)
    return _rank(classifier, lists, chosen, top_k, function)


def check_top(top_k: int | None, policy: Policy) -> None:
    """Check the number of results.

    Raises:
        InputError: it is not a number from 1, or more than the policy keeps in order.
    """
    if top_k is not None:
        check_whole("top_k", top_k)
    for rule in policy.list_rules:
        if top_k is not None and top_k > rule.top:
            raise InputError(f"top_k is {top_k}, and {policy} keeps the {rule.top} highest: use a larger top in it")


def _rank(
    classifier: Classifier,
    lists: Iterable[tuple[Any, Any]],
    policy: Policy,
    top_k: int | None,
    function: ScoreFunction,
) -> Iterator[list[RankedText] | Exception]:
    source = ListReader(lists, classifier, policy)
    for step in classifier.early_exit_loop(source, policy, find_list=source.find_list):
        for failure in step.failures:
            one = source.by_text[failure.identity]
            one.error = one.error or name_text(failure.error, failure.identity - one.first)
        for exits in step.exits:
            for row, identity in enumerate(exits.identity.tolist()):
                one = source.by_text[identity]
                one.outputs[identity - one.first] = float(exits.logits[row, 0])
                one.exits[identity - one.first] = int(exits.depth[row]), exits.reason[row]
        source.forget(step.identities)
        while source.lists and source.lists[0].is_done:
            yield build_ranking(source.lists.popleft(), classifier.depths, policy, top_k, function)
    for one in source.lists:  # at the end of the input, where a list was read and needs no text
        yield build_ranking(one, classifier.depths, policy, top_k, function)
    if source.error is not None:
        raise source.error


def build_ranking(
    one: ListInProgress, depths: int, policy: Policy, top_k: int | None, function: ScoreFunction
) -> list[RankedText] | Exception:
    """Return the texts of a list, the highest score first, or its error."""
    if one.error is not None:
        return one.error
    positions = range(len(one.texts))
    order, outputs = order_scores([one.outputs[i] for i in positions], [one.exits[i][1] for i in positions], policy)
    return [
        RankedText(
            i,
            to_score(float(outputs[i]), function),
            one.texts[i],
            one.exits[i][0],
            depths,
            one.exits[i][1],
            one.truncated[i],
        )
        for i in order[:top_k]
    ]


class ListReader:
    """The source of an engine: reads lists whole, so that the rows of one are compared from the start."""

    is_live = False

    def __init__(self, lists: Iterable[tuple[Any, Any]], classifier: Classifier, policy: Policy) -> None:
        self._source = iter(lists)
        self._classifier = classifier
        self._rules = policy.list_rules
        self._num_read = 0
        self.lists = deque[ListInProgress]()
        self.by_text: dict[int, ListInProgress] = {}
        self.error: Exception | None = None  # of the iterable
        self.has_ended = False

    def read_block(self) -> list[Tokens | ElbertError]:
        """Return the tokens of the next lists; of a list that cannot be used, none."""
        rows = list[Tokens | ElbertError]()
        characters = 0
        while len(rows) < BLOCK and characters < BLOCK_CHARACTERS and not self.has_ended:
            try:
                item = next(self._source)
            except StopIteration:
                self.has_ended = True
                break
            except Exception as error:
                self.error, self.has_ended = error, True
                break
            rows += self._read_list(item)
            characters += sum(map(count_characters, self.lists[-1].texts))
        return rows

    def find_list(self, identity: int) -> RankedList | None:
        """The list that a text is compared in; None without a rule."""
        return self.by_text[identity].ranked

    def forget(self, identities: Iterable[int]) -> None:
        """Keep nothing about texts that are done."""
        for identity in identities:
            del self.by_text[identity]

    def _read_list(self, item: Any) -> Sequence[Tokens]:
        one = ListInProgress([], self._num_read, RankedList(self._rules[0]) if self._rules else None)
        self.lists.append(one)
        try:
            query, one.texts = check_list(item)
            rows = encode_list(self._classifier, query, one.texts)
        except ElbertError as error:
            one.error = error
            return []
        one.truncated = [row.truncated for row in rows]
        self.by_text.update((self._num_read + number, one) for number in range(len(rows)))
        self._num_read += len(rows)
        return rows


def encode_list(classifier: Classifier, query: str, texts: Sequence[str]) -> list[Tokens]:
    """Return the tokens of each text with its query.

    Raises:
        ElbertError: a text cannot be tokenised; the error names it.
    """
    rows = list[Tokens]()
    for number, row in enumerate(classifier.encode_each([(query, text) for text in texts])):
        if isinstance(row, ElbertError):
            raise name_text(row, number)
        rows.append(row)
    return rows


def check_list(item: Any) -> tuple[str, list[str]]:
    """Return the query and the texts of a list.

    Raises:
        InputError: it is no pair, the query or a text is no string, the texts are one string, or there are none.
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InputError(f"expected a list as (query, texts), got {type(item).__name__} {item!r:.60}")
    query, texts = item
    if not isinstance(query, str):
        raise InputError(f"the query is {type(query).__name__}, expected a string")
    checked = list(check_texts(texts))
    if not checked:
        raise InputError("no texts to rank: expected one or more")
    for number, text in enumerate(checked):
        if not isinstance(text, str):
            raise InputError(f"text {number} is {type(text).__name__}, expected a string")
    return query, checked
