"""Pretrain a small ALBERT with exits in mind: masked words are predicted at several depths, not at the last only.

One shared layer, ALBERT's vocabulary, n-gram masking and sentence order (Lan et al. 2020); the objective at several
depths is ElasticBERT's idea (Liu et al. 2022), so that shallow depths are good from the start. Runs in pieces of
``--minutes``; run it again with the same ``--output`` and it goes on, until ``--tokens`` have been seen.

    python recipes/pack.py --corpus CORPUS/*.parquet --tokenizer ALBERT_SPIECE/hf-tokenizer --output WORK/packed
    python recipes/pretrain.py --packed WORK/packed --tokenizer ALBERT_SPIECE/hf-tokenizer --output WORK/base
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AlbertConfig, AlbertForPreTraining, AutoTokenizer

from masked import IGNORED, Batch, Corpus, Specials

WARM_UP, CLIP, DECAY = 0.02, 1.0, 0.01
STATE = "pretrain.pt"  # the optimizer's; the model itself is safetensors


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8, help="of this piece")
    parser.add_argument("--tokens", type=float, default=1e9, help="of the whole run; the schedule ends there")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--depths", type=int, default=12)
    parser.add_argument(
        "--loss-depths", type=int, nargs="+", default=[3, 6, 9, 12], help="depths that predict the masked words"
    )
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def losses(model: AlbertForPreTraining, batch: Batch, depths: list[int], device: str) -> tuple[Tensor, list[float]]:
    """``(loss, the masked words' loss at each of those depths)``."""
    ids, types, labels, swapped = (torch.from_numpy(part).to(device) for part in vars(batch).values())
    pad = model.config.pad_token_id
    with torch.autocast(device, torch.bfloat16):
        out = model.albert(ids, attention_mask=(ids != pad).long(), token_type_ids=types, output_hidden_states=True)
        is_masked = labels != IGNORED
        words = [
            cross_entropy(model.predictions(out.hidden_states[d][is_masked]).float(), labels[is_masked]) for d in depths
        ]
        order = cross_entropy(model.sop_classifier(out.pooler_output).float(), swapped)
    return torch.stack(words).mean() + order, [loss.item() for loss in words]


def started(args: argparse.Namespace, tokenizer: AutoTokenizer) -> AlbertForPreTraining:
    """A model with random weights, or the one that an earlier piece saved."""
    torch.manual_seed(args.seed)
    model = AlbertForPreTraining(
        AlbertConfig(
            vocab_size=len(tokenizer),
            embedding_size=args.embedding,
            hidden_size=args.width,
            num_hidden_layers=args.depths,
            num_attention_heads=args.width // 64 if args.width % 64 == 0 else 4,
            intermediate_size=4 * args.width,
            max_position_embeddings=512,
            hidden_act="gelu_new",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
        )
    )
    weights = args.output / "model.safetensors"
    if weights.exists():
        missing, unexpected = model.load_state_dict(load_file(weights), strict=False)
        if unexpected or any("decoder" not in name for name in missing):  # the decoder is tied to the embedding
            raise SystemExit(f"{weights} is of another model ({missing}, {unexpected}); name another --output")
        model.tie_weights()
    return model.to(args.device).train()


def rate(args: argparse.Namespace, step: int) -> float:
    """Linear warm-up, then a cosine to a tenth."""
    last = max(1, round(args.tokens / (args.rows * args.length)))
    done = step / last
    return args.rate * min(1, done / WARM_UP) * (0.55 + 0.45 * math.cos(math.pi * min(done, 1)))


def save(model: AlbertForPreTraining, optimizer: torch.optim.Optimizer, step: int, log: list[dict], out: Path) -> None:
    """Model, optimizer and log of one moment, or those of the moment before."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    torch.save({"optimizer": optimizer.state_dict(), "step": step}, partial / STATE)
    (partial / "pretrain.json").write_text(json.dumps(log, indent=1))
    before = out.with_name(f".{out.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if out.exists():
        out.rename(before)
    partial.rename(out)
    shutil.rmtree(before, ignore_errors=True)


def main() -> None:
    args = parser().parse_args()
    if max(args.loss_depths) > args.depths or min(args.loss_depths) < 1:
        raise SystemExit(f"--loss-depths {args.loss_depths}: this model has depths 1 to {args.depths}")
    before = args.output.with_name(f".{args.output.name}.before")
    if before.exists() and not args.output.exists():  # killed between two renames
        before.rename(args.output)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    specials = Specials(*(getattr(tokenizer, f"{n}_token_id") for n in ("cls", "sep", "mask", "pad")))
    model = started(args, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=DECAY)
    step, log = 0, []
    if (args.output / STATE).exists():
        state = torch.load(args.output / STATE, weights_only=True, map_location=args.device)
        optimizer.load_state_dict(state["optimizer"])
        step, log = state["step"], json.loads((args.output / "pretrain.json").read_text())
    corpus = Corpus(args.packed, specials, args.length, seed=args.seed + step)  # a later piece draws other texts
    began, first, per_step = time.monotonic(), step, args.rows * args.length
    while time.monotonic() - began < args.minutes * 60 and step * per_step < args.tokens:
        for group in optimizer.param_groups:
            group["lr"] = rate(args, step + 1)
        loss, words = losses(model, corpus.batch(args.rows), args.loss_depths, args.device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % 50 == 0 or step == first + 1:
            speed = (step - first) * per_step / (time.monotonic() - began)
            log.append(
                {"tokens": step * per_step, "words": [round(w, 4) for w in words], "tokens_per_second": round(speed)}
            )
            print(log[-1], flush=True)
    save(model, optimizer, step, log, args.output)
    tokenizer.save_pretrained(args.output)
    for file in args.tokenizer.iterdir():  # as they are: saving rewrites what it does not know
        shutil.copy(file, args.output / file.name)
    print(f"{step * per_step:,} tokens seen, {args.output}")


if __name__ == "__main__":
    main()
