"""The reference model: transformers' ALBERT, its folders and its answers, read at every depth."""

import json

import pytest
import torch
from torch.nn import functional
from transformers import (
    CONFIG_MAPPING,
    AlbertConfig,
    AlbertForSequenceClassification,
    AlbertModel,
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)

from elbert import ElbertForSequenceClassification
from elbert.errors import BundleError, InputError
from elbert.model.config import ModelConfig
from elbert.model.reference.albert import ElbertConfig
from tiny import SIZES, tiny_config, tiny_model

ABC = ("a", "b", "c")
KINDS = {
    "plain": {},
    "three labels": {"labels": ABC},
    "multi-label": {"labels": ABC, "problem_type": "multi_label_classification"},
    "regression": {"labels": ("value",), "problem_type": "regression"},
    "groups": {"num_hidden_groups": 3},
    "uneven groups": {"num_hidden_layers": 7, "num_hidden_groups": 3},
    "inner groups": {"inner_group_num": 2},
    "both": {"num_hidden_groups": 2, "inner_group_num": 3},
    "one depth": {"num_hidden_layers": 1},
}
BEYOND = {"mean pooling": {"pooling": "mean"}, "heads per block": {"exit_heads": 3}}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Tiny models gain nothing from a second thread, and lose much where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch(rows=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 20, (rows,), generator=generator)
    lengths[0] = 20
    mask = (torch.arange(20) < lengths[:, None]).long()
    ids = torch.randint(4, 40, (rows, 20), generator=generator) * mask
    types = (torch.arange(20) >= lengths[:, None] // 2).long() * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS.keys())
def test_folders_go_to_plain_transformers_and_back(tmp_path, changes):
    ours = tiny_model(**changes)
    ours.save_pretrained(tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["architectures"] == ["AlbertForSequenceClassification"]
    assert config["model_type"] == "albert"
    assert not {"pooling", "exit_heads"} & set(config)
    assert "elbert" not in json.dumps(config).lower()
    assert type(AutoConfig.from_pretrained(tmp_path / "ours")) is AlbertConfig

    plain, loading = AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert type(plain) is AlbertForSequenceClassification
    assert not any(loading.values()), loading
    plain.save_pretrained(tmp_path / "plain")
    back, loading = ElbertForSequenceClassification.from_pretrained(tmp_path / "plain", output_loading_info=True)
    assert not any(loading.values()), loading
    assert not list(tmp_path.rglob("*.bin"))

    with torch.inference_mode():
        out, theirs, again = ours(**batch()), plain.eval()(**batch()), back.eval()(**batch())
    assert out.exit_logits.shape == (ours.config.num_hidden_layers, 5, ours.config.num_labels)
    assert (out.logits - theirs.logits).abs().max() <= 1e-5
    assert torch.equal(out.logits, out.exit_logits[-1])
    assert torch.equal(out.exit_logits, again.exit_logits)
    if len(out.exit_logits) > 1:
        assert (out.exit_logits[:-1] - out.logits).abs().amax((1, 2)).min() > 1e-2  # no depth repeats the last


def test_a_plain_classifier_that_never_saw_ours_loads(tmp_path):
    torch.manual_seed(0)
    plain = AlbertForSequenceClassification(AlbertConfig(vocab_size=44, num_labels=3, **SIZES)).eval()
    plain.save_pretrained(tmp_path)
    ours, loading = ElbertForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading.values()), loading
    with torch.inference_mode():
        assert (ours.eval()(**batch()).logits - plain(**batch()).logits).abs().max() <= 1e-5


def test_every_depth_is_plain_albert_stopped_there(tmp_path):
    """Depth m of ours is the last depth of a plain ALBERT with m layers and the same weights."""
    ours = tiny_model(classifier_dropout_prob=0.0)
    ours.save_pretrained(tmp_path)
    with torch.inference_mode():
        exit_logits = ours(**batch()).exit_logits
        for depth in range(1, 7):
            plain = AlbertForSequenceClassification.from_pretrained(tmp_path, num_hidden_layers=depth).eval()
            assert (plain(**batch()).logits - exit_logits[depth - 1]).abs().max() <= 1e-5


def test_a_plain_configuration_is_enough():
    model = ElbertForSequenceClassification(AlbertConfig(vocab_size=44, num_labels=3, **SIZES))
    assert isinstance(model, AlbertForSequenceClassification)
    assert isinstance(model.config, ElbertConfig)
    assert model(**batch()).exit_logits.shape == (6, 5, 3)


def test_no_parameter_is_added():
    plain = AlbertForSequenceClassification(tiny_config())
    assert {n: p.shape for n, p in tiny_model().named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}


@pytest.mark.parametrize("changes", BEYOND.values(), ids=BEYOND.keys())
def test_what_plain_albert_cannot_compute_is_refused_by_it(tmp_path, changes, monkeypatch):
    ours = tiny_model(**changes)
    ours.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "elbert"
    assert config["architectures"] == ["ElbertForSequenceClassification"]
    read = ModelConfig.from_dict(config, "config.json")
    assert (read.pooling, read.exit_heads) == (changes.get("pooling", "cls"), changes.get("exit_heads", 1))
    auto = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(auto) is ElbertForSequenceClassification
    monkeypatch.delitem(CONFIG_MAPPING._extra_content, "elbert")  # where elbert is not imported
    with pytest.raises(ValueError, match="elbert"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)
    back, loading = ElbertForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading.values()), loading
    assert {name: getattr(back.config, name) for name in changes} == changes
    with torch.inference_mode():
        assert torch.equal(back.eval()(**batch()).exit_logits, ours(**batch()).exit_logits)


def test_other_models_are_refused(tmp_path):
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    BertForSequenceClassification(BertConfig(vocab_size=44, **sizes)).save_pretrained(tmp_path)
    with pytest.raises(BundleError, match=r"model_type 'bert', expected 'albert' or 'elbert'"):
        ElbertForSequenceClassification.from_pretrained(tmp_path)


def test_options_of_the_heads_are_held_to_their_range():
    with pytest.raises(InputError, match=r"pooling is 'max', expected one of cls, mean"):
        tiny_model(pooling="max")
    for heads in (0, 7):
        with pytest.raises(InputError, match=rf"exit_heads is {heads}, expected a whole number from 1 to 6"):
            tiny_model(exit_heads=heads)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(pooling):
    model, rows = tiny_model(pooling=pooling), batch()
    with torch.inference_mode():
        together = model(**rows).exit_logits
        for i, length in enumerate(rows["attention_mask"].sum(1).tolist()):
            alone = model(**{name: value[i : i + 1, :length] for name, value in rows.items()}).exit_logits[:, 0]
            assert (alone - together[:, i]).abs().max() <= 1e-5
            real = rows["input_ids"][i : i + 1, :length], None, rows["token_type_ids"][i : i + 1, :length]
            assert (model(*real).exit_logits[:, 0] - alone).abs().max() <= 1e-5


def test_mean_pooling_is_the_mean_over_real_tokens():
    model, rows = tiny_model(pooling="mean"), batch()
    with torch.inference_mode():
        out = model(**rows, output_hidden_states=True)
        for i, length in enumerate(rows["attention_mask"].sum(1).tolist()):
            pooled = out.hidden_states[3][i, :length].mean(0)
            expected = model.classifier(torch.tanh(model.albert.pooler(pooled)))
            assert (out.exit_logits[2, i] - expected).abs().max() <= 1e-5


def test_each_block_of_depths_has_its_head():
    model, rows = tiny_model(exit_heads=4, num_hidden_layers=7), batch()
    heads = [(h.pooler, h.classifier) for h in model.earlier_heads] + [(model.albert.pooler, model.classifier)]
    with torch.inference_mode():
        out = model(**rows, output_hidden_states=True)
        for depth, head in enumerate([0, 0, 1, 1, 2, 2, 3], 1):
            pooler, classifier = heads[head]
            expected = classifier(torch.tanh(pooler(out.hidden_states[depth][:, 0])))
            assert (out.exit_logits[depth - 1] - expected).abs().max() <= 1e-6


def by_hand(exit_logits, labels, kind):
    """The loss of each depth, written out."""
    losses = []
    for z in exit_logits.double():
        if kind == "single":
            p = z.exp() / z.exp().sum(-1, keepdim=True)
            losses.append(-sum(p[i, y].log() for i, y in enumerate(labels.tolist())) / len(z))
        elif kind == "multi":
            p = 1 / (1 + (-z).exp())
            losses.append(-(labels * p.log() + (1 - labels) * (1 - p).log()).mean())
        else:
            losses.append(((z[:, 0] - labels) ** 2).mean())
    return torch.stack(losses)


ANSWERS = {
    "single": (torch.tensor([0, 2, 1, 1, 0]), ABC, "single_label_classification"),
    "multi": (
        torch.tensor([[0.0, 1, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0]]),
        ABC,
        "multi_label_classification",
    ),
    "value": (torch.tensor([0.5, -1, 2, 0, 1]), ("value",), "regression"),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("is_declared", [True, False], ids=["problem declared", "problem inferred"])
def test_the_loss_is_the_sum_over_depths(kind, is_declared):
    labels, names, problem = ANSWERS[kind]
    model = tiny_model(labels=names, problem_type=problem if is_declared else None)
    plain = AlbertForSequenceClassification(model.config).eval()
    plain.load_state_dict(model.state_dict())
    out = model(**batch(), labels=labels)
    losses = by_hand(out.exit_logits, labels, kind)
    assert out.loss.item() == pytest.approx(losses.sum().item(), rel=1e-5)
    assert plain(**batch(), labels=labels).loss.item() == pytest.approx(losses[-1].item(), rel=1e-5)
    assert model.config.problem_type == problem


def test_outputs_come_in_the_requested_form():
    model, rows = tiny_model(), batch()
    labels = torch.tensor([0, 1, 1, 0, 1])
    named = model(**rows, labels=labels)
    assert named.hidden_states is None
    assert list(named) == ["loss", "logits", "exit_logits"]
    loss, logits, exit_logits = model(**rows, labels=labels, return_dict=False)
    assert torch.equal(loss, named.loss)
    assert torch.equal(logits, named.logits)
    assert torch.equal(exit_logits, named.exit_logits)
    assert list(model(**rows)) == ["logits", "exit_logits"]
    assert len(model(**rows, output_hidden_states=True).hidden_states) == 7
    model.config.output_hidden_states = True
    assert len(model(**rows).hidden_states) == 7
    model.config.return_dict = False
    assert isinstance(model(**rows), tuple)


def test_attentions_are_returned_on_request():
    model = tiny_model(attn_implementation="eager")
    attentions = model(**batch(), output_attentions=True).attentions
    assert [a.shape for a in attentions] == [(5, 4, 20, 20)] * 6


@pytest.mark.parametrize("changes", [{}, *BEYOND.values(), *[KINDS[k] for k in ("both", "multi-label", "one depth")]])
def test_gradient_flows_to_every_parameter(changes):
    model = tiny_model(**changes).train()
    labels = torch.rand(5, 3).round() if "problem_type" in changes else torch.tensor([0, 1, 1, 0, 1])
    model(**batch(), labels=labels).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A key's bias moves all scores of a query alike, so attention does not feel it.
        assert name.endswith("key.bias") or parameter.grad.abs().sum() > 0, name


def test_every_depth_teaches():
    """The gradient of the loss is the sum of what each depth alone would give."""
    model, labels = tiny_model(), torch.tensor([0, 1, 1, 0, 1])

    def gradient(depths):
        model.zero_grad()
        logits = model(**batch()).exit_logits
        sum(functional.cross_entropy(logits[m], labels) for m in depths).backward()
        return model.classifier.weight.grad.clone()

    model(**batch(), labels=labels).loss.backward()
    whole = model.classifier.weight.grad.clone()
    apart = [gradient([m]) for m in range(6)]
    assert min(g.abs().max() for g in apart) > 1e-3
    assert torch.allclose(whole, sum(apart), atol=1e-5)


def test_dropout_is_in_training_only():
    model = tiny_model(classifier_dropout_prob=0.5)
    first, second = (model.train()(**batch()).exit_logits for _ in range(2))
    assert ((first - second).abs().amax((1, 2)) > 0).all()  # at every depth
    first, second = (model.eval()(**batch()).exit_logits for _ in range(2))
    assert torch.equal(first, second)


def test_embeddings_are_accepted():
    model, rows = tiny_model(), batch()
    embeddings = model.get_input_embeddings()(rows["input_ids"])
    with torch.inference_mode():
        from_embeddings = model(inputs_embeds=embeddings, attention_mask=rows["attention_mask"]).exit_logits
        looked_up = model(rows["input_ids"], attention_mask=rows["attention_mask"]).exit_logits
    assert torch.equal(from_embeddings, looked_up)


def test_an_encoder_loads_with_a_new_head(tmp_path):
    torch.manual_seed(0)
    encoder = AlbertModel(AlbertConfig(vocab_size=44, **SIZES)).eval()
    encoder.save_pretrained(tmp_path)
    ours, loading = ElbertForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert set(loading["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    with torch.inference_mode():
        theirs = encoder(**batch()).last_hidden_state
        assert torch.equal(ours.eval()(**batch(), output_hidden_states=True).hidden_states[-1], theirs)
