"""The page of a token classifier: words, tags, entities, exits and signals are those of Classifier.predict."""

import json
import random

import numpy as np
import onnxruntime
import pytest
from browser_site import data_of, write_runtime
from page_taggers import EMPTY, LONG, STRATEGIES, TEXTS, TOKENIZERS, check_answer, draw_texts, write_page_tagger
from strange_texts import PIECES
from tokenizers import Tokenizer, decoders

from browser import Engine
from elbert import Classifier
from elbert.errors import InputError
from elbert.export.browser import write_page
from elbert.inference.token_predictions import TaggedPiece, group_pieces, group_words, join_words

SPEC = "patience(3) | entropy(0.3)"
MODULES = ("offline/model_texts.js", "tokenizer/text_encoder.js", "tokenizer/word_pieces.js")


class Scripts:
    """A page's scripts in V8, and its file in onnxruntime: the page without a browser."""

    def __init__(self, page):
        self.about = data_of(page)
        self.engine = Engine(*MODULES)
        file = (page.parent / self.about["files"]["tokenizer"]).read_text(encoding="utf-8")
        self.engine.engine.eval(
            f"const about = JSON.parse({json.dumps(json.dumps(self.about))});"
            f"const texts = $model_texts.createTextReader(about, JSON.parse({json.dumps(file)}));"
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(
            str(page.parent / self.about["files"]["model"]), options, providers=["CPUExecutionProvider"]
        )

    def read(self, text):
        """The inputs of the file."""
        ids, types, marks = self.engine(
            "(text) => { const input = texts.readInput(text); const { ids, typeIds } = input.tokens; "
            "return [ids, typeIds, $model_texts.markWords(input)]; }",
            text,
        )
        row = {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": types}
        if self.about["reads_words"]:
            row["word_starts"] = marks
        return {name: np.array([values], np.int64) for name, values in row.items()}

    def answer(self, text, **dials):
        """What the model thread posts of a text."""
        feeds = self.read(text)
        for dial in self.about["dials"]:
            feeds[dial["name"]] = np.array(
                dials.get(dial["name"], dial["value"]), np.int64 if dial["whole"] else np.float32
            )
        names = [output.name for output in self.session.get_outputs()]
        found = dict(zip(names, self.session.run(None, feeds), strict=True))
        trace = found["trace"].ravel().tolist() if "trace" in found else []
        answer = self.engine(
            "(text, logits, trace) => { const input = texts.readInput(text); "
            "return {...texts.readOutputs(logits, trace, input), truncated: input.tokens.truncated}; }",
            *(text, found["logits"].ravel().tolist(), trace),
        )
        reason = self.about["reasons"][int(found["reason"][0])]
        return answer | {"depth": int(found["depth"][0]), "reason": reason}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    return request.param


@pytest.fixture(scope="module")
def written(tokenizer, tmp_path_factory):
    """``written(strategy, policy, dials)``: a classifier, and its page in V8."""
    root = tmp_path_factory.mktemp(tokenizer)
    runtime = write_runtime(root / "package")

    def write(strategy, policy, dials="fixed"):
        folder = root / strategy
        if not folder.is_dir():
            write_page_tagger(folder, tokenizer, strategy)
        site = root / f"{strategy}-{abs(hash(policy))}-{dials}"
        page = write_page(folder, policy, site, runtime=runtime, dials=dials)
        return Classifier.load(folder, policy, dtype="float32", threads=1), Scripts(page)

    return write


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_answers_of_many_texts_are_those_of_python(written, strategy):
    classifier, scripts = written(strategy, SPEC)
    texts = [*TEXTS, *EMPTY, LONG, *draw_texts(random.Random(1), 60, PIECES)]
    expected = classifier.predict(texts, trace=True, long="cut")
    for text, one in zip(texts, expected, strict=True):
        check_answer(scripts.answer(text), one)
    assert {one.truncated for one in expected} == {True, False}
    assert len({one.depth for one in expected}) > 2
    assert len({entity.label for one in expected for entity in one.entities}) > 1
    assert any(len(one.entities) > 3 for one in expected)
    assert any(text[: entity.start].isascii() is False for text, one in zip(texts, expected) for entity in one.entities)


@pytest.mark.parametrize("spec", ["full", "depth(3)", "confidence(0.5) | depth(5)", "window(entropy=0.4, size=3)"])
@pytest.mark.parametrize("dials", ["fixed", "required"])
def test_policies_of_every_kind(written, spec, dials):
    classifier, scripts = written("simple", spec, dials)
    assert scripts.about["reads_words"] == bool(classifier.policy.signals)
    for text, one in zip(TEXTS, classifier.predict(list(TEXTS), trace=True), strict=True):
        check_answer(scripts.answer(text), one)


def test_dials_are_those_of_the_policy(written):
    classifier, scripts = written("first", "entropy(0.5)", "required")
    assert [dial["name"] for dial in scripts.about["dials"]] == ["entropy_threshold"]
    for threshold in (0.0, 0.3, 1.0):
        expected = classifier.predict(list(TEXTS), f"entropy({threshold})", trace=True)
        for text, one in zip(TEXTS, expected, strict=True):
            check_answer(scripts.answer(text, entropy_threshold=threshold), one)
        assert threshold < 1 or {one.depth for one in expected} == {1}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tags_of_any_scheme_are_grouped_as_in_python(strategy):
    labels = ["O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "plain", "O-x", "b-a-c"]
    rng, engine = random.Random(0), Engine("offline/tagged_words.js")
    for _ in range(200):
        count = rng.randrange(12)
        text = "".join(rng.choice("ab 😀é\t") for _ in range(2 * count))
        chosen = [rng.randrange(len(labels)) if rng.random() < 0.7 else 1 for _ in range(count)]
        scores = [float(np.float32(rng.uniform(0.5, 1))) for _ in chosen]
        pieces = [
            TaggedPiece(labels[tag], score, 2 * i, 2 * i + 2, (i,), rng.random() < 0.6)
            for i, (tag, score) in enumerate(zip(chosen, scores, strict=True))
        ]
        words = join_words(pieces)
        grouped = group_words(words, text) if strategy == "first" else group_pieces(pieces, text, Joiner())
        found = engine(
            "(about, text, pieces, outputs) => { const join = (chars, some) => some.map(({ start, end }) => "
            "chars.slice(start, end).join('')).join('_'); return $tagged_words.createEntityReader(about, join)("
            "Array.from(text), pieces, outputs); }",
            {"labels": labels, "aggregation": strategy},
            text,
            [{"id": p.ids[0], "start": p.start, "end": p.end, "isFirst": p.is_first} for p in pieces],
            [[s if c == tag else 0.0 for c in range(len(labels))] for tag, s in zip(chosen, scores, strict=True)],
        )
        expected = [entity.to_dict() for entity in grouped]
        assert [one | {"score": None} for one in found] == [one | {"score": None} for one in expected]
        assert [one["score"] for one in found] == pytest.approx([one["score"] for one in expected], abs=1e-6)


class Joiner:
    """Writes pieces as their characters."""

    def join_pieces(self, ids, parts):
        return "_".join(parts)


@pytest.mark.parametrize("cleanup", [True, False])
def test_pieces_become_the_text_of_the_library(cleanup):
    words = ["##ing", "do", "not", ".", "?", "'", "##n't", "'s", "go", "##", "s", "\u2581", "\u2581a", "a\u2581b"]
    parts = {
        "WordPiece": decoders.WordPiece("##", cleanup),
        "Metaspace": decoders.Metaspace(),
        "Metaspace without": decoders.Metaspace(prepend_scheme="never"),
    }
    rng = random.Random(0)
    engine = Engine("tokenizer/word_pieces.js")
    for decoder in parts.values():
        state = json.loads(decoder.__getstate__())
        file = {"model": {"vocab": {word: i for i, word in enumerate(words)}}, "decoder": state}
        rows = [rng.choices(range(len(words)), k=rng.randrange(8)) for _ in range(300)]
        found = engine(
            "(file, rows) => { const join = $word_pieces.createPieceJoiner(file); "
            "return rows.map((ids) => join([], ids.map((id) => ({ id, start: 0, end: 0 })))); }",
            *(file, rows),
        )
        assert found == [decoder.decode([words[i] for i in row]) for row in rows]


def test_a_decoder_that_a_page_does_not_have_is_refused_where_it_is_used(tmp_path):
    runtime = write_runtime(tmp_path / "package")
    for strategy in STRATEGIES:
        folder = write_page_tagger(tmp_path / strategy, "wordpiece", strategy)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.save(str(folder / "tokenizer.json"))
    write_page(tmp_path / "first", "full", tmp_path / "site", runtime=runtime)
    with pytest.raises(InputError, match=r"the decoder ByteLevel, which a page cannot run \(known: Metaspace, WordP"):
        write_page(tmp_path / "simple", "full", tmp_path / "other", runtime=runtime)
    assert not (tmp_path / "other").exists()
