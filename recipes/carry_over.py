"""Carry a fine-tuned MiniLM (six layers of its own) over into one shared ALBERT layer applied twelve times.

Depth 2k of the student learns to give what layer k of the teacher gives, on every token (squared error over the
target's variance); where the teacher is read by the mean over its tokens, the student's [CLS] learns that mean,
so that ALBERT's own head, which reads [CLS], finds it there at every depth. The exit head learns the teacher's
soft answer at every depth. Start: the teacher's third layer, its word vectors cut to ``student.WIDTH`` by a
frequency-weighted singular value decomposition.

    python recipes/carry_over.py --teacher DIR --task TRAIN.parquet --corpus TEXTS.parquet --minutes 60 --output DIR
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AlbertForSequenceClassification

from stream import TOKENS, batch_stream, text_stream
from student import DEPTHS, apart, every_depth, save, student_from
from teacher import Teacher, batches_by_length, load_tokenizer, mean_over, padded

MAX_TOKENS = 64


def match(student: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """:func:`apart` over real tokens; the target of [CLS] is the mean of the tokens."""
    target, real = torch.cat([mean_over(target, mask)[:, None], target[:, 1:]], 1), mask.bool()
    return apart(student[real], target[real])


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
    off = torch.stack([match(hidden[2 * k], targets[k], mask) for k in range(1, 7)]).mean()
    off = off + 0.2 * ((hidden[0] - targets[0]).float()[mask.bool()] ** 2).mean() / targets[0].float().var()
    soft = logits.float().softmax(-1)
    return off, torch.stack([soft_answer(a, soft) for a in answers]).mean()


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
                    predicted = model.classifier(torch.tanh(model.albert.pooler(pooled))).argmax(-1)
                    right[how, depth] += (predicted == gold).sum()
    model.train()
    cls, mean = (right / len(rows) * 100).tolist()
    return [round(x, 1) for x in cls], [round(x, 1) for x in mean]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--task", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="accuracy per depth is printed on this file")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--labels", nargs="+", default=["negative", "positive"])
    parser.add_argument("--start", type=Path, help="go on from this earlier output")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--share", type=float, default=0.25, help="of the task's own texts in the stream")
    parser.add_argument("--answer", type=float, default=0.5, help="weight of the answer loss")
    return parser.parse_args()


def main() -> None:
    args = arguments()

    torch.manual_seed(0)
    rng = random.Random(1 if args.start else 0)  # going on, other texts
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
    if args.start:
        model.load_state_dict(load_file(args.start / "model.safetensors"))

    optimizer = torch.optim.AdamW(model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    batches = batch_stream(text_stream(corpus, task, args.share, rng), tokenizer, rng)
    start, step, tokens, reported = time.time(), 0, 0, 0.0
    while (spent := (time.time() - start) / (60 * args.minutes)) < 1:
        ids, mask = next(batches)
        rate = args.rate * min((step + 1) / 200, 1.0) * max(1 - spent, 0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        off, answer = losses(model, teacher, ids, mask)
        optimizer.zero_grad()
        (off + args.answer * answer).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, tokens = step + 1, tokens + int(mask.sum())
        if step % 20 == 0:
            loss_text = f"hidden {off.item():.4f} answer {answer.item():.4f}"
            print(f"step {step} tokens {tokens / 1e6:.2f} M {loss_text} {spent:.1%}", flush=True)
        if spent - reported > 0.08:
            reported = spent
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
