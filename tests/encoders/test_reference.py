"""The references for training: transformers' classifiers that answer at every depth, and save plain folders."""

import json

import pytest
import torch
from test_packed import padded, random_rows
from torch.nn import functional

from elbert.model.families import BY_MODEL_TYPE
from elbert.model.reference import encoders as modeling_others
from elbert.model.reference import reference_class
from elbert.model.reference.albert import ElbertForSequenceClassification
from tiny_encoders import plain_class, plain_model

ABC = ("a", "b", "c")
STILL = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "roberta": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "distilbert": {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0},
}


def batch(family):
    return padded(random_rows([20, 3, 7, 1, 12]), pad=1 if family == "roberta" else 0)


def ours_of(plain):
    """The reference with the weights of a plain model."""
    model = reference_class(BY_MODEL_TYPE[plain.config.model_type])(plain.config).eval()
    model.load_state_dict(plain.state_dict())
    return model


def test_albert_keeps_its_own():
    assert reference_class(BY_MODEL_TYPE["albert"]) is ElbertForSequenceClassification
    assert reference_class(BY_MODEL_TYPE["elbert"]) is ElbertForSequenceClassification


def test_the_last_depth_is_transformers_answer(family):
    plain = plain_model(family, labels=ABC)
    ours = ours_of(plain)
    assert isinstance(ours, plain_class(family))
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}
    with torch.inference_mode():
        out = ours(**batch(family))
        torch.testing.assert_close(out.logits, plain(**batch(family)).logits, atol=1e-5, rtol=1e-5)
    assert out.exit_logits.shape == (6, 5, 3)
    assert torch.equal(out.logits, out.exit_logits[-1])
    assert list(out) == ["logits", "exit_logits"]


def test_folders_go_to_plain_transformers_and_back(tmp_path, family):
    from transformers import AutoModelForSequenceClassification

    ours = ours_of(plain_model(family))
    ours.save_pretrained(tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == (family, [plain_class(family).__name__])
    assert "elbert" not in json.dumps(config).lower()
    plain, loading = AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(loading.values()), loading
    assert type(plain) is plain_class(family)
    plain.save_pretrained(tmp_path / "plain")
    back, loading = type(ours).from_pretrained(tmp_path / "plain", output_loading_info=True)
    assert not any(loading.values()), loading
    with torch.inference_mode():
        assert torch.equal(back.eval()(**batch(family)).exit_logits, ours(**batch(family)).exit_logits)


ANSWERS = {
    "single": (torch.tensor([0, 2, 1, 1, 0]), ABC, functional.cross_entropy),
    "multi": (torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).round(), ABC,
              functional.binary_cross_entropy_with_logits),
    "value": (torch.tensor([[0.5], [-1], [2], [0], [1]]), ("value",), functional.mse_loss),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_loss_is_the_sum_over_depths(family, kind):
    labels, names, loss = ANSWERS[kind]
    plain = plain_model(family, labels=names)
    ours = ours_of(plain)
    out = ours(**batch(family), labels=labels)
    assert out.loss.item() == pytest.approx(sum(loss(z, labels).item() for z in out.exit_logits), rel=1e-5)
    theirs = plain(**batch(family), labels=labels).loss.item()
    assert theirs == pytest.approx(loss(out.logits, labels).item(), rel=1e-5)


def test_gradient_flows_to_every_parameter(family):
    model = ours_of(plain_model(family, **STILL[family])).train()
    model(**batch(family), labels=torch.tensor([0, 1, 1, 0, 1])).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A key's bias moves all scores of a query alike, so attention does not feel it.
        assert name.endswith(("key.bias", "k_lin.bias")) or parameter.grad.abs().sum() > 0, name


def test_dropout_is_in_training_only(family):
    model = ours_of(plain_model(family))
    first, second = (model.train()(**batch(family)).exit_logits for _ in range(2))
    assert ((first - second).abs().amax((1, 2)) > 0).all()  # at every depth
    first, second = (model.eval()(**batch(family)).exit_logits for _ in range(2))
    assert torch.equal(first, second)


def test_hidden_states_and_attentions_are_returned_on_request(family):
    model = ours_of(plain_model(family, attn_implementation="eager"))
    out = model(**batch(family), output_hidden_states=True, output_attentions=True)
    assert len(out.hidden_states) == 7
    assert [a.shape for a in out.attentions] == [(5, 4, 20, 20)] * 6
    assert model(**batch(family)).hidden_states is None
    assert isinstance(model(**batch(family), return_dict=False), tuple)


def test_segments_reach_who_has_them(family):
    model, rows = ours_of(plain_model(family)), batch(family)
    types = torch.zeros_like(rows["input_ids"])
    types[:, 2:] = family != "roberta"
    with torch.inference_mode():
        apart = (model(**rows, token_type_ids=types).logits - model(**rows).logits).abs().max()
    assert (apart > 1e-3) == (family == "bert")


def test_there_is_one_class_for_each_family():
    for model_type, backbone in BY_MODEL_TYPE.items():
        if model_type not in ("albert", "elbert"):
            assert reference_class(backbone) is getattr(modeling_others, backbone.classifier)
            assert reference_class(backbone).__name__ == backbone.classifier
