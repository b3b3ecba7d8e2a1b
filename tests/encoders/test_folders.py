"""Folders as transformers saves them: what is read, what is harmless, and what is refused in a line."""

import json
import shutil

import pytest
import torch

from elbert.bundle import Bundle
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.model import ModelConfig
from elbert.model.families import BACKBONES, BY_MODEL_TYPE
from elbert.model.weights import expected_shapes, read_tensors
from rejections import check_rejected
from tiny import WORDS, rewrite_weights, texts
from tiny_encoders import CLASSES, FIRST_WORD, LONGEST, change_config, plain_class, plain_model, write_encoder

WORDS_OF = "{0}.embeddings.word_embeddings.weight"


@pytest.fixture
def own(folder, tmp_path):
    """A copy to change."""
    return shutil.copytree(folder, tmp_path / "model")


def query_of(family):
    config = ModelConfig.from_dict({"model_type": family}, "here")
    return f"{config.backbone.layer(5, 0)}.{config.backbone.parts.query}.weight"


@pytest.mark.parametrize("text", ["a good film", "", "the plot and the heart of it " * 20])
def test_the_classifier_says_at_full_depth_what_transformers_says(folder, text):
    classifier = Classifier.load(folder)
    assert str(classifier.policy) == "full"  # no operating point lets it exit early
    (tokens,) = classifier.tokeniser.encode([text])
    assert len(tokens.ids) <= LONGEST
    model = plain_class(Bundle.open(folder).config.backbone.model_types[0]).from_pretrained(folder).eval()
    with torch.inference_mode():
        theirs = model(torch.tensor([tokens.ids])).logits.softmax(-1)[0].tolist()
    (ours,) = classifier.predict([text])
    assert list(ours.scores.values()) == pytest.approx(theirs, abs=2e-5)
    assert (ours.depth, ours.depths, ours.reason) == (6, 6, "last")


def test_pairs_of_texts(folder, family):
    classifier = Classifier.load(folder)
    (one, two), (turned,) = (
        classifier.predict([("a good film", "it is bad"), "a good film"]),
        classifier.predict([("it is bad", "a good film")]),
    )
    assert len({p.score for p in (one, two, turned)}) == 3
    (tokens,) = classifier.tokeniser.encode([("a good film", "it is bad")])
    model = plain_class(family).from_pretrained(folder).eval()
    types = {"token_type_ids": torch.tensor([tokens.type_ids])} if family == "bert" else {}
    with torch.inference_mode():
        theirs = model(torch.tensor([tokens.ids]), **types).logits.softmax(-1)[0].tolist()
    assert list(one.scores.values()) == pytest.approx(theirs, abs=2e-5)


def test_a_bert_of_one_segment_takes_no_pairs(tmp_path):
    folder = write_encoder(tmp_path, "bert", type_vocab_size=1)
    # As transformers 5 has it, a PreTrainedTokenizerFast gives type ids only if the settings name them.
    assert len(Classifier.load(folder).predict([("a premise", "a hypothesis")])) == 1
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    names = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | names))
    classifier = Classifier.load(folder)
    assert len(classifier.predict(["good"])) == 1
    with pytest.raises(InputError, match="no pairs"):
        classifier.predict([("a premise", "a hypothesis")])


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.title)
def test_what_a_config_leaves_out_is_as_transformers_has_it(backbone):
    """Against transformers' own defaults, and its own names and shapes of weights, built of nothing but sizes."""
    import transformers

    theirs = getattr(transformers, f"{backbone.stem}Config")()
    config = ModelConfig.from_dict({"model_type": backbone.model_types[0]}, "here")
    for name in backbone.defaults:
        if name != "type_vocab_size" or backbone.segments:
            assert getattr(config, name) == getattr(theirs, backbone.theirs(name)), name
    assert config.hidden_act == getattr(theirs, backbone.theirs("hidden_act"))
    assert config.layer_norm_eps == getattr(theirs, "layer_norm_eps", 1e-12)
    assert config.padding == (theirs.pad_token_id if backbone.padding else None)
    with torch.device("meta"):
        model = getattr(transformers, backbone.classifier)(theirs)
    assert expected_shapes(config) == {name: tuple(p.shape) for name, p in model.named_parameters()}


def test_depths_have_layers_of_their_own(folder):
    config = Bundle.open(folder).config
    assert [config.weights_key(depth) for depth in range(6)] == [(depth, 0) for depth in range(6)]
    assert not config.is_all_shared


CHANGES = {
    "missing": (lambda w, q, p: w.pop(q), "{q}", "save it again from {c} with"),
    "shape": (lambda w, q, p: w.update({q: torch.zeros(3, 32)}), "{q}", "[3, 32]"),
    "nan": (lambda w, q, p: w[q].__setitem__((0, 0), torch.nan), "{q}", "NaN"),
    "surplus": (lambda w, q, p: w.update(extra=torch.zeros(2)), "extra", "belong to no {t} classifier"),
    "a layer too many": (
        lambda w, q, p: w.update({q.replace("5", "6", 1): w[q].clone()}),
        "belong to no",
        "save it again",
    ),
    "no words": (lambda w, q, p: w.pop(p), "missing {p}", "save it again"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_weights_that_do_not_fit_are_refused(own, family, change):
    query, words, backbone = query_of(family), WORDS_OF.format(family), BY_MODEL_TYPE[family]
    with torch.no_grad():
        rewrite_weights(own, lambda w: change[0](w, query, words))
    check_rejected(own, *(p.format(q=query, p=words, c=backbone.classifier, t=backbone.title) for p in change[1:]))


@pytest.mark.parametrize("task", ["Model", "ForMaskedLM"])
def test_an_encoder_is_sent_to_training(tmp_path, family, task):
    check_rejected(
        write_encoder(tmp_path / "model", family, task=task), "encoder without a trained classifier", "elbert train"
    )


def test_what_other_tasks_and_releases_left_is_harmless(own, family):
    expected = [p.scores for p in Classifier.load(own).predict(texts(3))]
    leftover = {
        f"{family}.embeddings.position_ids": torch.arange(LONGEST)[None],
        {"bert": "cls.predictions.bias", "roberta": "lm_head.bias", "distilbert": "vocab_transform.weight"}[family]:
            torch.full((4,), torch.nan),
    }  # fmt: skip
    if family == "roberta":
        leftover["roberta.pooler.dense.weight"] = torch.zeros(32, 32)
    rewrite_weights(own, lambda w: w.update(leftover))
    assert [p.scores for p in Classifier.load(own).predict(texts(3))] == expected


def test_tensorflow_names_of_norms_are_read(own):
    expected = Classifier.load(own).predict(["a good film"])

    def rename(weights):
        for name in [n for n in weights if "LayerNorm" in n or "layer_norm" in n]:
            weights[name.replace(".weight", ".gamma").replace(".bias", ".beta")] = weights.pop(name)

    rewrite_weights(own, rename)
    assert any(name.endswith(".weight") and "orm" in name for name in read_tensors(own / "model.safetensors"))
    assert Classifier.load(own).predict(["a good film"]) == expected


REFUSED = {
    "positions of another kind": ({"position_embedding_type": "relative_key"}, "expected 'absolute'"),
    "a decoder": ({"is_decoder": True}, "is_decoder is True, expected False"),
    "cross attention": ({"add_cross_attention": True}, "add_cross_attention"),
    "the mean": ({"pooling": "mean"}, "has 'cls' and 1"),
    "several heads": ({"exit_heads": 2}, "has 'cls' and 1"),
    "another model": ({"model_type": "xlnet"}, "expected 'albert', 'bert', 'roberta', 'distilbert'"),
    "no model": ({"model_type": ["bert"]}, "expected 'albert', 'bert', 'roberta', 'distilbert'"),
    "an unknown activation": ({"hidden_act": "magic", "activation": "magic"}, "hidden_act 'magic' is unknown"),
}


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_unsupported_settings_are_rejected(own, values, message):
    change_config(own, **values)
    check_rejected(own, message)


def test_null_means_the_default(own):
    change_config(own, position_embedding_type=None, is_decoder=None)
    assert len(Classifier.load(own).predict(["good"])) == 1


SIZES = {"hidden_size": ("dim", 0), "num_hidden_layers": ("n_layers", "6"), "num_attention_heads": ("n_heads", 5)}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_out_of_range_are_named_as_the_file_names_them(own, family, name):
    theirs, value = SIZES[name]
    name = theirs if family == "distilbert" else name
    change_config(own, **{name: value})
    check_rejected(own, "config.json", name)


@pytest.mark.parametrize("padding", [None, -1, 65, True, "1"])
def test_positions_must_be_counted_behind_something(tmp_path, padding):
    folder = write_encoder(tmp_path / "model", "roberta")
    change_config(folder, pad_token_id=padding)
    check_rejected(folder, "pad_token_id", "positions are counted behind it")


def test_distilbert_has_no_norm_setting(tmp_path):
    folder = write_encoder(tmp_path / "model", "distilbert")
    change_config(folder, layer_norm_eps=1e-5)
    check_rejected(folder, "layer_norm_eps is 1e-05, expected 1e-12")


@pytest.mark.parametrize("other", ["albert", "bert", "roberta", "distilbert"])
def test_one_familys_folder_is_not_read_as_anothers(own, family, other):
    if other == family:
        return
    change_config(own, model_type=other)
    check_rejected(own, f"model_type is {other!r}, expected {family!r}", CLASSES[family] + "ForSequenceClassification")
    config = json.loads((own / "config.json").read_text())
    del config["architectures"]
    (own / "config.json").write_text(json.dumps(config))
    check_rejected(own, "missing", f"save it again from {BY_MODEL_TYPE[other].classifier}")


def test_the_longest_text_that_fits(folder, family):
    classifier = Classifier.load(folder)
    assert classifier.tokeniser.max_length == LONGEST  # and not the two positions that RoBERTa counts past
    (p,) = classifier.predict([" ".join(WORDS * 4)])
    (tokens,) = classifier.tokeniser.encode([" ".join(WORDS * 4)])
    assert (len(tokens.ids), tokens.truncated) == (LONGEST, True)
    assert max(tokens.ids) >= FIRST_WORD
    assert 0 < p.score <= 1


def test_random_biases_are_there(family):
    """The folders of these tests have no part that is all zeros or ones: none could be left out unnoticed."""
    for name, parameter in plain_model(family).named_parameters():
        assert parameter.flatten().std() > 0.01, name
