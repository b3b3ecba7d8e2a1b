"""The page of a token classifier in the system's browser: words, tags, entities and exits are Python's."""

import json
import re

import pytest
from browser_site import classify, find_package
from page_taggers import EMPTY, LONG, STRATEGIES, TEXTS, TOKENIZERS, check_answer, write_page_tagger

from browser import check_accessibility, wait_until
from elbert import Classifier
from elbert.export.browser import write_page

SPEC = "patience(3) | entropy(0.3)"
DIALS = ("fixed", "required")
# What the model thread of the page posts of each text.
ANSWERS = """(texts) => new Promise((resolve, reject) => {
  const about = JSON.parse(document.getElementById('data').textContent);
  const dials = Object.fromEntries(about.dials.map(({ name, value }) => [name, value]));
  const found = [];
  const next = () => {
    if (found.length === texts.length) resolve(found);
    else thread.classify({ text: texts[found.length], dials, every: false });
  };
  const answer = (data) => { found.push(data); next(); };
  const wrong = ({ message }) => reject(new Error(message));
  const handlers = { ready: next, answer, wrong };
  const thread = $model_thread.startModelThread(about, about.worker, handlers);
})"""
# The rows of the table: depth, words with tags, or the exit.
TABLE = """[...document.querySelectorAll('#depths table.tags tr')].map((row) => [row.querySelector('th').textContent,
  [...row.querySelectorAll('td .word')].map((word) => [word.textContent, word.nextSibling.textContent])])"""
ENTITIES = """[...document.querySelectorAll('#scores li')].map((row) => [row.title,
  row.querySelector('.name').textContent, row.querySelector('.number').textContent])"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """``written(tokenizer, strategy, policy, dials)``: a classifier, and the folder of its page."""
    root, runtime = tmp_path_factory.mktemp("taggers"), find_package("onnxruntime-web")

    def write(tokenizer, strategy="simple", policy=SPEC, dials="fixed"):
        folder = root / tokenizer / strategy
        if not folder.is_dir():
            write_page_tagger(folder, tokenizer, strategy)
        site = root / f"site {tokenizer} {strategy} {abs(hash(policy))} {dials}"
        if not site.is_dir():
            write_page(folder, policy, site, runtime=runtime, dials=dials)
        return Classifier.load(folder, policy, dtype="float32", threads=1), site

    return write


def check_table(page, steps, depth):
    """The words and tags of these depths, and the exit below one of them."""
    rows = [[str(number), [[w.word, w.tag] for w in step.words]] for number, step in steps]
    place = [number for number, _ in steps].index(depth) + 1
    rows.insert(place, ["exit", []])
    assert page.evaluate(TABLE) == rows


def check_entities(page, expected):
    """Labels, scores, characters and words of the list."""
    found = page.evaluate(ENTITIES)
    assert [name for _, name, _ in found] == [f"{one.word} {one.label}" for one in expected.entities]
    for (title, _, share), one in zip(found, expected.entities, strict=True):
        label, score, start, end = re.fullmatch(r"(.*) ([0-9.]+), characters (\d+) to (\d+)", title).groups()
        assert (label, int(start), int(end)) == (one.label, one.start, one.end)
        assert float(score) == pytest.approx(one.score, abs=1e-4)
        assert float(share.split()[0]) == pytest.approx(100 * one.score, abs=0.51)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("dials", DIALS)
def test_answers_are_those_of_python(opened, written, tokenizer, strategy, dials):
    classifier, site = written(tokenizer, strategy, dials=dials)
    texts = [*TEXTS, *EMPTY, LONG]
    expected = classifier.predict(texts, trace=True, long="cut")
    for answer, one in zip(opened(site).evaluate(ANSWERS, texts), expected, strict=True):
        check_answer(answer, one)
    assert {one.truncated for one in expected} == {True, False}
    assert len({one.depth for one in expected}) > 1


def test_words_entities_and_the_exit_are_shown(opened, written):
    classifier, site = written("wordpiece", "first")
    page = opened(site)
    assert page.is_hidden("#pair-toggle")
    assert page.inner_text("#model").endswith("6 depths, person / place")
    for text in (*TEXTS, LONG):
        [expected] = classifier.predict([text], trace=True, long="cut")
        answer, depth, why, _ = classify(page, text)
        count = len(expected.entities)
        assert answer == ("no entity" if not count else "1 entity" if count == 1 else f"{count} entities")
        assert depth == expected.depth
        assert why.startswith({"patience": "same class", "entropy": "entropy", "last": "no rule"}[expected.reason])
        check_entities(page, expected)
        check_table(page, [(step.depth, step) for step in expected.trace], depth)
        assert page.inner_text("#beside") == ("Only the first 64 tokens were read." if expected.truncated else "")
        assert page.locator("#track .ran").count() == depth
    wait_until(page, "document.getElementById('announcement').textContent.includes('entit')")


def test_a_text_without_words(opened, written):
    classifier, site = written("unigram")
    page = opened(site)
    [expected] = classifier.predict(["\u0007"])
    assert classify(page, "\u0007")[:2] == ["no entity", expected.depth]
    assert page.evaluate(ENTITIES) == []
    page.fill("#text", "")
    wait_until(page, "document.getElementById('result').hidden && document.getElementById('down').hidden")
    page.get_by_role("button", name="Classify").click()
    assert page.inner_text("#ask-error") == "Type a text first."


def test_dials_move_the_exit_of_all_words(opened, written):
    classifier, site = written("unigram", "simple", "entropy(0.3)", "required")
    page, text = opened(site), TEXTS[1]
    classify(page, text)
    depths = []
    for threshold in (0.9, 0.3, 0.0):
        page.get_by_role("spinbutton", name="Threshold").fill(str(threshold))
        wait_until(page, f"document.getElementById('policy-now').textContent === {json.dumps(f'entropy({threshold})')}")
        wait_until(page, "document.getElementById('result').getAttribute('aria-busy') === 'false'")
        wait_until(page, "!document.getElementById('down').classList.contains('stale')")
        _, depth, _, _ = classify(page, text)
        [expected] = classifier.predict([text], f"entropy({threshold})", trace=True)
        assert depth == expected.depth
        check_entities(page, expected)
        [whole] = classifier.predict([text], "full", trace=True)
        check_table(page, [(step.depth, step) for step in whole.trace], depth)
        depths.append(depth)
    assert depths[0] < depths[-1] == 6
    assert "least settled" in page.inner_text("#depths .readout")


@pytest.mark.parametrize("dials", DIALS)
def test_a_policy_that_reads_no_word(opened, written, dials):
    classifier, site = written("wordpiece", "first", "depth(3)", dials)
    page = opened(site)
    [expected] = classifier.predict([TEXTS[1]])
    _, depth, why, _ = classify(page, TEXTS[1])
    assert (depth, why) == (3, "depth 3 ≥ 3")
    check_entities(page, expected)
    check_table(page, [(3, expected)], 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dials", DIALS)
def test_on_a_phone_nothing_sticks_out(opened, written, scheme, dials):
    _, site = written("wordpiece", "first", dials=dials)
    page = opened(site, width=320, height=640, color_scheme=scheme, has_touch=True, is_mobile=True)
    classify(page, LONG)
    wait_until(page, "!document.getElementById('down').hidden")
    wait_until(page, "document.querySelector('#depths .scroll.overflows') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("dials", DIALS)
def test_no_serious_finding(opened, written, dials):
    axe = (find_package("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    _, site = written("unigram", "first", dials=dials)
    page = opened(site)
    classify(page, TEXTS[1])
    wait_until(page, "!document.getElementById('down').hidden")
    check_accessibility(page, axe)
