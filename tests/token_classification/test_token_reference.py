"""The reference token classifiers equal transformers at the last depth, and load and save the same folders."""

import json

import pytest
import torch
import transformers

from elbert.bundle import Bundle
from elbert.errors import BundleError
from elbert.model.families import BY_MODEL_TYPE
from elbert.model.reference import reference_class
from elbert.model.weights import load_weights
from taggers import ENCODERS, TAGS, write_tagger
from tiny import rewrite_weights


@pytest.fixture(scope="module", params=ENCODERS)
def folder(request, tmp_path_factory):
    return write_tagger(tmp_path_factory.mktemp(request.param) / "model", request.param)


def load_reference(folder):
    return reference_class(Bundle.open(folder).config.backbone, per_token=True).from_pretrained(folder).eval()


def test_last_depth_is_that_of_transformers(folder):
    ids = torch.randint(4, 40, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    plain = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    ours = load_reference(folder)
    with torch.no_grad():
        expected = plain(input_ids=ids, attention_mask=mask).logits
        found = ours(input_ids=ids, attention_mask=mask)
    assert found.exit_logits.shape == (6, 3, 9, len(TAGS))
    assert torch.equal(found.logits, found.exit_logits[-1])
    torch.testing.assert_close(found.logits[mask.bool()], expected[mask.bool()])


def test_loss_counts_labelled_tokens_at_every_depth(folder):
    ids, model = torch.randint(4, 40, (2, 5)), load_reference(folder)
    labels = torch.tensor([[-100, 1, 2, 0, -100], [-100, 4, -100, -100, -100]])
    with torch.no_grad():
        found = model(input_ids=ids, labels=labels)
        expected = sum(
            torch.nn.functional.cross_entropy(logits[labels != -100], labels[labels != -100])
            for logits in found.exit_logits
        )
    torch.testing.assert_close(found.loss, expected)


def test_saved_folder_is_a_plain_one(folder, tmp_path):
    load_reference(folder).save_pretrained(tmp_path)
    saved, original = (json.loads((path / "config.json").read_text()) for path in (tmp_path, folder))
    assert saved["architectures"] == original["architectures"] != ["ElbertForTokenClassification"]
    assert saved["model_type"] == original["model_type"]
    config = Bundle.open(tmp_path).config
    assert config.task.per_token and config.labels == TAGS
    assert load_weights(tmp_path, config).keys() == load_weights(folder, Bundle.open(folder).config).keys()


def test_auto_class_knows_folders_of_type_elbert(folder):
    if Bundle.open(folder).config.backbone is not BY_MODEL_TYPE["albert"]:
        pytest.skip("only ALBERT has such folders")
    from elbert.model.reference.albert import ElbertConfig
    from elbert.model.reference.token_classifiers import ElbertForTokenClassification

    config = ElbertConfig(**json.loads((folder / "config.json").read_text()))
    assert isinstance(transformers.AutoModelForTokenClassification.from_config(config), ElbertForTokenClassification)


def test_missing_head_names_the_remedy(folder, tmp_path):
    load_reference(folder).save_pretrained(tmp_path)
    rewrite_weights(tmp_path, lambda weights: weights.pop("classifier.weight"))
    with pytest.raises(BundleError, match="train one with elbert train"):
        load_weights(tmp_path, Bundle.open(tmp_path).config)


def test_weights_of_older_releases_are_ignored(folder, tmp_path):
    """Releases of transformers up to 4 saved a pooler with a token classifier."""
    load_reference(folder).save_pretrained(tmp_path)
    config = Bundle.open(tmp_path).config
    pooler = config.backbone.head.pooler
    if not pooler.startswith(config.backbone.prefix):
        pytest.skip("this family has no pooler in the encoder")
    rewrite_weights(tmp_path, lambda weights: weights.update({f"{pooler}.weight": torch.zeros(32, 32)}))
    assert f"{pooler}.weight" not in load_weights(tmp_path, config)
