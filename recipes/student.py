"""The shared-layer student: ALBERT's sizes around MiniLM's weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AlbertConfig, AlbertForSequenceClassification, PreTrainedModel

from teacher import CLS, SEP, Teacher, copy_tokenizer

WIDTH = 192  # of the factorised embedding
DEPTHS = 12
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
LOG = "carried.json"  # of a run


def factorised(table: Tensor, counts: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """``(codes [words, width], basis [width, full], mean [full])`` with ``codes @ basis + mean`` near ``table``."""
    weight = (counts + 1).sqrt()
    mean = (weight[:, None] * table).sum(0) / weight.sum()
    basis = torch.linalg.svd((table - mean) * weight.sqrt()[:, None], full_matrices=False)[2][:width]
    return (table - mean) @ basis.T, basis, mean


def student_from(
    teacher: Teacher, classes: int, counts: Tensor, labels: list[str], *, attention: str = "eager", width: int = WIDTH
) -> AlbertForSequenceClassification:
    """The shared-layer student in its starting state.

    On a CPU the eager ``attention`` is best: the fused kernel's backward is four times slower on short rows.
    """
    bert = teacher.bert.config
    model = AlbertForSequenceClassification._from_config(
        AlbertConfig(
            vocab_size=bert.vocab_size,
            embedding_size=width,
            hidden_size=bert.hidden_size,
            num_hidden_layers=DEPTHS,
            num_attention_heads=bert.num_attention_heads,
            intermediate_size=bert.intermediate_size,
            hidden_act="gelu_new",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            classifier_dropout_prob=0.1,
            max_position_embeddings=bert.max_position_embeddings,
            pad_token_id=0,
            bos_token_id=CLS,
            eos_token_id=SEP,
            num_labels=classes,
            id2label=dict(enumerate(labels)),
            label2id={name: i for i, name in enumerate(labels)},
        ),
        attn_implementation=attention,
    )
    theirs, albert = teacher.bert.embeddings, model.albert
    with torch.no_grad():
        words = theirs.word_embeddings.weight + theirs.token_type_embeddings.weight[0]
        codes, basis, mean = factorised(words, counts, width)
        scale = codes.std()  # ALBERT norms the small vectors: keep them near what the norm expects
        ours = albert.embeddings
        ours.word_embeddings.weight.copy_(codes / scale)
        ours.position_embeddings.weight.copy_(theirs.position_embeddings.weight @ basis.T / scale)
        types = theirs.token_type_embeddings.weight
        ours.token_type_embeddings.weight.copy_((types - types[0]) @ basis.T / scale)
        albert.encoder.embedding_hidden_mapping_in.weight.copy_(basis.T * scale)
        albert.encoder.embedding_hidden_mapping_in.bias.copy_(mean)
        source = teacher.bert.encoder.layer[len(teacher.bert.encoder.layer) // 2 - 1]
        layer = albert.encoder.albert_layer_groups[0].albert_layers[0]
        for to, origin in (
            (layer.attention.query, source.attention.self.query),
            (layer.attention.key, source.attention.self.key),
            (layer.attention.value, source.attention.self.value),
            (layer.attention.dense, source.attention.output.dense),
            (layer.attention.LayerNorm, source.attention.output.LayerNorm),
            (layer.ffn, source.intermediate.dense),
            (layer.ffn_output, source.output.dense),
            (layer.full_layer_layer_norm, source.output.LayerNorm),
            (albert.pooler, teacher.pooler),
            (model.classifier, teacher.classifier),
        ):
            to.load_state_dict(origin.state_dict())
        layer.activation = nn.GELU()  # five times as fast as gelu_new on a processor, and at most 0.0005 apart from it
    return model


def every_depth(
    model: AlbertForSequenceClassification, ids: Tensor, mask: Tensor, types: Tensor | None = None
) -> list[Tensor]:
    """Hidden rows ``[rows, tokens, width]`` after the embedding and after each depth."""
    encoder = model.albert.encoder
    bias = (1.0 - mask[:, None, None, :].float()) * -1e4 if not bool(mask.all()) else None
    hidden = [encoder.embedding_hidden_mapping_in(model.albert.embeddings(ids, types))]
    device = ids.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden[0].dtype
    attention = None if bias is None else bias.to(dtype)
    for _ in range(DEPTHS):
        # Converted once: else autocast converts it for each of three products.
        hidden.append(encoder.albert_layer_groups[0](hidden[-1].to(dtype), attention))
    return hidden


def apart(student: Tensor, target: Tensor) -> Tensor:
    """Squared error over the target's variance; both ``[..., width]``."""
    student, target = student.float().flatten(0, -2), target.float().flatten(0, -2)
    # Var(X) = E[X²] − E[X]²: two plain means take a tenth of the time of `var`, and the values are near 1.
    variance = (target**2).mean() - (target.mean(0) ** 2).mean()
    return nn.functional.mse_loss(student, target) / variance


def save(model: PreTrainedModel, output: Path, tokenizer: Path | None = None, *, shard: str = "5GB") -> None:
    """Write the model, in files of at most ``shard``, with the tokenizer of a folder, by default MiniLM's package."""
    model.save_pretrained(output, max_shard_size=shard)
    copy_tokenizer(output, tokenizer)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    tokens = {f"{k}_token": f"[{k.upper()}]" for k in ("cls", "sep", "pad", "unk", "mask")}
    (output / "tokenizer_config.json").write_text(json.dumps(settings | tokens, indent=1))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a model's folder, in one file or several; empty where there are none."""
    return {name: value for file in sorted(folder.glob(WEIGHTS[0])) for name, value in load_file(file).items()}


def copy_with_weights(folder: Path, weights: dict[str, Tensor], output: Path) -> None:
    """Write other weights, in one file, beside a copy of the folder's other files, without the log of a run."""
    shutil.copytree(folder, output, ignore=shutil.ignore_patterns(*WEIGHTS, LOG))
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
