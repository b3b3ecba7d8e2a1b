"""Carry a fine-tuned MiniLM (six layers of its own) over into one shared ALBERT layer applied twelve times.

Depth 2k of the student learns to give what layer k of the teacher gives, on every token (squared error over the
target's variance); where the teacher is read by the mean over its tokens, the student's [CLS] learns that mean,
so that ALBERT's own head, which reads [CLS], finds it there at every depth. The exit head learns the teacher's
soft answer at every depth. Start: the teacher's third layer, its word vectors cut to ``WIDTH`` by a
frequency-weighted singular value decomposition.

    python recipes/carry_over.py --teacher DIR --task TRAIN.parquet --corpus TEXTS.parquet --minutes 60 --output DIR
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from teacher import Teacher, batches_by_length, load_tokenizer, mean_over, minilm_folder, padded
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AlbertConfig, AlbertForSequenceClassification

WIDTH = 192  # of the factorised embedding
DEPTHS = 12
MAX_TOKENS = 64
TOKENS = 4096  # a batch


def pieces(text: str, rng: random.Random) -> Iterator[str]:
    """Sentences of a review and, as SST-2 has them, some parts of sentences."""
    for sentence in re.split(r"(?<=[.!?])\s+|<br />|\n", text):
        words = sentence.split()
        if len(words) < 3:
            continue
        if rng.random() < 0.3 and len(words) > 4:
            length = rng.randint(2, len(words))
            first = rng.randint(0, len(words) - length)
            words = words[first : first + length]
        piece = " ".join(words)
        yield re.sub(r"n't\b", " n't", piece) if rng.random() < 0.5 else piece


def text_stream(corpus: list[str], task: list[str], share: float, rng: random.Random) -> Iterator[str]:
    """Without end: pieces of the corpus, and a ``share`` of the task's own texts."""
    while True:
        for text in rng.sample(corpus, len(corpus)):
            for piece in pieces(text, rng):
                while rng.random() < share:
                    yield rng.choice(task)
                yield piece


def batch_stream(texts: Iterator[str], tokenizer: Tokenizer, rng: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
    """``(ids, mask)`` of about ``TOKENS`` tokens, rows of like length together."""
    while True:
        rows = [e.ids for e in tokenizer.encode_batch([next(texts) for _ in range(8192)])]
        for batch in batches_by_length([len(r) for r in rows], TOKENS, rng):
            yield padded([rows[i] for i in batch])


def factorised(table: Tensor, counts: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """``(codes [words, width], basis [width, full], mean [full])`` with ``codes @ basis + mean`` near ``table``."""
    weight = (counts + 1).sqrt()
    mean = (weight[:, None] * table).sum(0) / weight.sum()
    basis = torch.linalg.svd((table - mean) * weight.sqrt()[:, None], full_matrices=False)[2][:width]
    return (table - mean) @ basis.T, basis, mean


def student_from(teacher: Teacher, classes: int, counts: Tensor, labels: list[str]) -> AlbertForSequenceClassification:
    """The shared-layer student in its starting state."""
    bert = teacher.bert.config
    model = AlbertForSequenceClassification._from_config(
        AlbertConfig(
            vocab_size=bert.vocab_size,
            embedding_size=WIDTH,
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
            bos_token_id=101,
            eos_token_id=102,
            num_labels=classes,
            id2label=dict(enumerate(labels)),
            label2id={name: i for i, name in enumerate(labels)},
        ),
        attn_implementation="eager",  # on a CPU the fused kernel's backward is four times slower on short rows
    )
    theirs, albert = teacher.bert.embeddings, model.albert
    with torch.no_grad():
        words = theirs.word_embeddings.weight + theirs.token_type_embeddings.weight[0]
        codes, basis, mean = factorised(words, counts, WIDTH)
        scale = codes.std()  # ALBERT norms the small vectors: keep them near what the norm expects
        ours = albert.embeddings
        ours.word_embeddings.weight.copy_(codes / scale)
        ours.position_embeddings.weight.copy_(theirs.position_embeddings.weight @ basis.T / scale)
        types = theirs.token_type_embeddings.weight
        ours.token_type_embeddings.weight.copy_((types - types[0]) @ basis.T / scale)
        albert.encoder.embedding_hidden_mapping_in.weight.copy_(basis.T * scale)
        albert.encoder.embedding_hidden_mapping_in.bias.copy_(mean)
        source = teacher.bert.encoder.layer[2]
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
        layer.activation = nn.GELU(approximate="tanh")  # gelu_new in one call instead of eight
    return model


def every_depth(model: AlbertForSequenceClassification, ids: Tensor, mask: Tensor) -> list[Tensor]:
    """Hidden rows ``[rows, tokens, width]`` after the embedding and after each depth."""
    encoder = model.albert.encoder
    bias = (1.0 - mask[:, None, None, :].float()) * -1e4 if not bool(mask.all()) else None
    hidden = [encoder.embedding_hidden_mapping_in(model.albert.embeddings(ids))]
    for _ in range(DEPTHS):
        attention = None if bias is None else bias.to(hidden[-1].dtype)
        hidden.append(encoder.albert_layer_groups[0](hidden[-1], attention))
    return hidden


def match(student: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Squared error over real tokens, over the target's variance; the target of [CLS] is the mean of the tokens."""
    target = torch.cat([mean_over(target, mask)[:, None], target[:, 1:]], 1).float()
    real = mask.bool()
    picked = target[real]
    return ((student.float()[real] - picked) ** 2).mean() / picked.var(0).mean()


def soft_answer(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of soft targets ``[rows, classes]``."""
    return -(target * logits.float().log_softmax(-1)).sum(-1).mean()


def losses(
    model: AlbertForSequenceClassification, teacher: Teacher, ids: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """``(hidden loss, answer loss)``, each a mean over depths."""
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            targets, logits = teacher(ids, mask)
        hidden = every_depth(model, ids, mask)
        read = torch.cat(
            [torch.stack([h[:, 0] for h in hidden[1:]]), torch.stack([mean_over(h, mask) for h in hidden[1:]])]
        )
        answers = model.classifier(model.dropout(torch.tanh(model.albert.pooler(read))))
    apart = torch.stack([match(hidden[2 * k], targets[k], mask) for k in range(1, 7)]).mean()
    apart = apart + 0.2 * ((hidden[0] - targets[0]).float()[mask.bool()] ** 2).mean() / targets[0].float().var()
    soft = logits.float().softmax(-1)
    return apart, torch.stack([soft_answer(a, soft) for a in answers]).mean()


@torch.no_grad()
def accuracies(
    model: AlbertForSequenceClassification, rows: list[list[int]], labels: list[int]
) -> tuple[list[float], list[float]]:
    """Accuracy of every depth, read at [CLS] and over the mean."""
    model.eval()
    right = torch.zeros(2, DEPTHS)
    for batch in batches_by_length([len(r) for r in rows], TOKENS, random.Random(0)):
        ids, mask = padded([rows[i] for i in batch])
        gold = torch.tensor([labels[i] for i in batch])
        with torch.autocast("cpu", torch.bfloat16):
            for depth, h in enumerate(every_depth(model, ids, mask)[1:]):
                for how, pooled in enumerate((h[:, 0], mean_over(h, mask))):
                    said = model.classifier(torch.tanh(model.albert.pooler(pooled))).argmax(-1)
                    right[how, depth] += (said == gold).sum()
    model.train()
    cls, mean = (right / len(rows) * 100).tolist()
    return [round(x, 1) for x in cls], [round(x, 1) for x in mean]


def save(model: AlbertForSequenceClassification, output: Path) -> None:
    model.save_pretrained(output)
    for name in ("tokenizer.json", "vocab.txt"):
        shutil.copy(minilm_folder() / name, output / name)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    tokens = {f"{k}_token": f"[{k.upper()}]" for k in ("cls", "sep", "pad", "unk", "mask")}
    (output / "tokenizer_config.json").write_text(json.dumps(settings | tokens, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--task", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="accuracy per depth is printed on this file")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--labels", nargs="+", default=["negative", "positive"])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--share", type=float, default=0.25, help="of the task's own texts in the stream")
    parser.add_argument("--answer", type=float, default=0.5, help="weight of the answer loss")
    args = parser.parse_args()

    torch.manual_seed(0)
    rng = random.Random(0)
    tokenizer = load_tokenizer(MAX_TOKENS)
    corpus = pq.read_table(args.corpus, columns=["text"])["text"].to_pylist()
    task = pq.read_table(args.task, columns=["text"])["text"].to_pylist()
    held = pq.read_table(args.held_out)
    held_rows, held_labels = (
        [e.ids for e in tokenizer.encode_batch(held["text"].to_pylist())],
        held["label"].to_pylist(),
    )

    teacher = Teacher(len(args.labels))
    teacher.load_state_dict(load_file(args.teacher / "teacher.safetensors"))
    teacher.eval().requires_grad_(False)
    counts = torch.zeros(teacher.bert.config.vocab_size)
    for e in tokenizer.encode_batch(rng.sample(corpus, min(4000, len(corpus)))):
        counts += torch.bincount(torch.tensor(e.ids), minlength=len(counts))
    model = student_from(teacher, len(args.labels), counts, args.labels).train()

    optimizer = torch.optim.AdamW(model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    batches = batch_stream(text_stream(corpus, task, args.share, rng), tokenizer, rng)
    start, step, tokens, told = time.time(), 0, 0, 0.0
    while (spent := (time.time() - start) / (60 * args.minutes)) < 1:
        ids, mask = next(batches)
        rate = args.rate * min((step + 1) / 200, 1.0) * max(1 - spent, 0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        apart, answer = losses(model, teacher, ids, mask)
        optimizer.zero_grad()
        (apart + args.answer * answer).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, tokens = step + 1, tokens + int(mask.sum())
        if step % 20 == 0:
            print(
                f"step {step} tokens {tokens / 1e6:.2f} M hidden {apart.item():.4f} answer {answer.item():.4f} {spent:.1%}",
                flush=True,
            )
        if spent - told > 0.08:
            told = spent
            cls, mean = accuracies(model, held_rows, held_labels)
            print(f"held out, [CLS]: {cls}\nheld out, mean:  {mean}", flush=True)
            save(model, args.output)
    cls, mean = accuracies(model, held_rows, held_labels)
    print(
        f"end: {tokens / 1e6:.2f} M tokens, {step} steps\nheld out, [CLS]: {cls}\nheld out, mean:  {mean}", flush=True
    )
    save(model, args.output)


if __name__ == "__main__":
    main()
