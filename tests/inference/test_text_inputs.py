"""What counts as texts is decided by one check for every function that takes several."""

import asyncio
import collections

import numpy as np
import pytest

from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.evaluation import collect, measure_latencies, measure_throughput
from elbert.explain import explain, survey
from elbert.export.precision_report import compare_precisions
from elbert.serving.service import Service

TEXTS = ["good film", "bad plot", "it was dull"]


class Table:
    """The part of a data frame by which it is recognised."""

    columns = ("text", "label")

    def __iter__(self):
        return iter(self.columns)


class Arrow:
    """The part of an Arrow table, and of a data set of the hub, by which it is recognised."""

    column_names = ("text", "label")

    def __iter__(self):
        return iter(self.column_names)


def data_frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"text": TEXTS, "label": [1, 0, 0]})


REFUSED = {
    "a string": (lambda: "good film", r"put it into a list, \[text\]"),
    "bytes": (lambda: b"good film", "got one bytes: put it into a list"),
    "a dict": (lambda: {"text": "good film", "text_pair": "bad plot"}, r"keys are no texts: pass \[.text, text_pair"),
    "a mapping": (lambda: collections.UserDict(text="good film"), "keys are no texts"),
    "a data frame": (data_frame, r'table .DataFrame.: pass its column, table\["text"\]'),
    "a table": (Table, r'pass its column, table\["text"\]'),
    "an Arrow table": (Arrow, r'pass its column, table\["text"\]'),
    "None": (lambda: None, "got None"),
    "a number": (lambda: 5, "got int 5"),
    "an array without a dimension": (lambda: np.array("good film"), "got ndarray"),
}

ENTRIES = {
    "predict": lambda classifier, texts: classifier.predict(texts),
    "trace": lambda classifier, texts: classifier.predict(texts, trace=True),
    "stream": lambda classifier, texts: classifier.stream(texts),  # at the call, not at the first prediction
    "live stream": lambda classifier, texts: classifier.stream(texts, live=True),
    "stream_results": lambda classifier, texts: classifier.stream_results(texts),
    "collect": lambda classifier, texts: collect(classifier, texts, None),
    "measure_throughput": lambda classifier, texts: measure_throughput(classifier, texts, {}, 1),
    "measure_latencies": lambda classifier, texts: measure_latencies(classifier, texts, {}, 1),
    "compare_precisions": lambda classifier, texts: compare_precisions(classifier, texts, [0, 1, 0]),
    "survey": lambda classifier, texts: survey(classifier, texts),
    "service": lambda classifier, texts: asyncio.run(gather(classifier, texts)),
}


async def gather(classifier, texts):
    service = Service(classifier)
    await service.start()
    try:
        return await service.gather(texts)
    finally:
        await service.stop()


@pytest.fixture(scope="module")
def classifier(bundle_folder):
    return Classifier.load(bundle_folder, threads=1)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_list_of_texts_is_refused_everywhere(classifier, kind, entry):
    make, message = REFUSED[kind]
    accepted = "expected a list .*strings or of pairs .text, text_pair"
    with pytest.raises(InputError, match=f"{accepted}.*{message}") as caught:
        ENTRIES[entry](classifier, make())
    assert "\n" not in str(caught.value)


ACCEPTED = {
    "a tuple": tuple,
    "a generator": lambda texts: (text for text in texts),
    "a dict's values": lambda texts: dict(enumerate(texts)).values(),
    "an array of strings": np.array,
    "an array of objects": lambda texts: np.array(texts, object),
    "a series": lambda texts: pytest.importorskip("pandas").Series(texts),
    "a series of strings": lambda texts: pytest.importorskip("pandas").Series(texts, dtype="string"),
    "an Arrow array": lambda texts: pytest.importorskip("pyarrow").array(texts),
    "a column of an Arrow table": lambda texts: pytest.importorskip("pyarrow").table({"text": texts})["text"],
    "a column": lambda texts: pytest.importorskip("pandas").DataFrame({"text": texts})["text"],
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_iterables_of_texts_are_accepted(classifier, kind):
    expected = classifier.predict(TEXTS)
    assert classifier.predict(ACCEPTED[kind](TEXTS)) == expected
    assert list(classifier.stream(ACCEPTED[kind](TEXTS))) == expected
    assert np.array_equal(
        collect(classifier, ACCEPTED[kind](TEXTS), None).probabilities, collect(classifier, TEXTS, None).probabilities
    )


ITEMS = (None, b"good", 5, 1.5, {"text": "good"}, ["a", "b", "c"], (None, "a"), ("a", 5), np.array(["a", "b"]))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_an_item_that_is_no_text_is_named_with_the_accepted_form(classifier, item):
    for entry in (classifier.predict, lambda texts: collect(classifier, texts, None)):
        with pytest.raises(InputError, match=r"text 1 is \w+, expected a string or a pair .text, text_pair"):
            entry(["fine", item])


@pytest.mark.parametrize("text", [b"good", None, {"text": "good"}, ["a", "b", "c"]])
def test_explain_takes_one_text(classifier, text):
    with pytest.raises(InputError, match="expected a string or a pair"):
        explain(classifier, text)


@pytest.mark.parametrize("second", ["", None, float("nan"), np.float32("nan")], ids=repr)
def test_a_second_text_that_is_empty_or_missing_is_none_everywhere(classifier, second):
    expected = classifier.predict(["good film"])
    assert classifier.predict([("good film", second)]) == classifier.predict([["good film", second]]) == expected
    assert classifier.predict([("", "good film")]) != expected
    [result] = asyncio.run(gather(classifier, [("good film", second)]))
    assert result.prediction == expected[0]
    assert explain(classifier, ("good film", second)).text_pair is None
    pair, single = (collect(classifier, [text], None) for text in (("good film", second), "good film"))
    assert pair.tokens.tolist() == single.tokens.tolist()


def test_truncation_is_noticed(classifier):
    long = "good film " * 100
    found = classifier.predict(["good film", long, ("good", long), "", long])
    assert [prediction.truncated for prediction in found] == [False, True, True, False, True]
    results = asyncio.run(gather(classifier, ["good film", long]))
    assert [result.prediction.truncated for result in results] == [False, True]


def test_a_long_stream_forgets_which_texts_were_truncated(classifier, monkeypatch):
    from elbert.engine import TextReader

    readers = []
    start = TextReader.__init__
    monkeypatch.setattr(TextReader, "__init__", lambda self, *a, **k: (start(self, *a, **k), readers.append(self))[0])
    assert all(p.truncated for p in classifier.stream(["good film " * 100] * 50, "depth(1)"))
    assert readers[0].truncated == set()


@pytest.mark.parametrize("trace", [False, True])
def test_errors_of_texts_take_their_places(tmp_path, trace):
    from tiny import write_bundle

    classifier = Classifier.load(write_bundle(tmp_path, type_vocab_size=1), threads=1)
    texts = ["good", ("a", "b"), "bad", None, "dull", "\ud800"]
    found = list(classifier.stream_results(texts, trace=trace))
    errors = [result for result in found if isinstance(result, InputError)]
    assert [isinstance(result, InputError) for result in found] == [False, True, False, True, False, True]
    assert [str(error)[:17] for error in errors] == ["a text has the se", "text 3 is NoneTyp", "text 5 holds a lo"]
    assert found[::2] == classifier.predict(texts[::2], trace=trace)
    for entry in (classifier.predict, lambda texts: collect(classifier, texts, None)):
        with pytest.raises(InputError, match="text 1: .*no pairs"):
            entry(texts[:3])
