"""Classify with onnxruntime and tokenizers only: elbert export --extra-outputs --output model.onnx, then

python examples/onnx_classify.py model.onnx tokenizer.json "A charming and often affecting journey."
"""

import json
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

if len(sys.argv) < 4:
    sys.exit("usage: onnx_classify.py MODEL.onnx TOKENIZER.json TEXT [TEXT …]")
model, tokens, *texts = sys.argv[1:]
try:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
except Exception as error:
    sys.exit(f"{model}: not readable as an ONNX file ({str(error).splitlines()[0]}); write one with elbert export")
try:
    tokenizer = Tokenizer.from_file(tokens)
except Exception as error:
    sys.exit(f"{tokens}: not readable as a tokenizer ({error}); name tokenizer.json in the model's folder")
about = session.get_modelmeta().custom_metadata_map
if "labels" not in about or [output.name for output in session.get_outputs()] != ["logits", "depth", "reason"]:
    sys.exit(f"{model}: expected the outputs logits, depth and reason; export it with elbert export --extra-outputs")
columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
if more := {one.name for one in session.get_inputs()} - set(columns):
    sys.exit(f"{model}: has further inputs ({', '.join(sorted(more))}); export a classifier of texts without --dials")
labels, reasons = json.loads(about["labels"]), json.loads(about["reasons"])
tokenizer.enable_truncation(int(about["max_length"]))
tokenizer.enable_padding()
rows = tokenizer.encode_batch(texts)
logits, depth, reason = session.run(None, {k: np.array([getattr(r, v) for r in rows]) for k, v in columns.items()})
for text, row, d, r in zip(texts, logits, depth, reason, strict=True):
    sys.stdout.write(f"{labels[row.argmax()]}\tdepth {d} of {about['depths']} ({reasons[r]})\t{text}\n")
