"""Classify with onnxruntime and tokenizers only: elbert export --extra-outputs --output model.onnx, then

python examples/onnx_classify.py model.onnx tokenizer.json "A charming and often affecting journey."
"""

import json
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
labels, reasons = json.loads(about["labels"]), json.loads(about["reasons"])
tokenizer = Tokenizer.from_file(sys.argv[2])
tokenizer.enable_truncation(int(about["max_length"]))
tokenizer.enable_padding()
rows = tokenizer.encode_batch(sys.argv[3:])
columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
logits, depth, reason = session.run(None, {k: np.array([getattr(r, v) for r in rows]) for k, v in columns.items()})
for text, row, d, r in zip(sys.argv[3:], logits, depth, reason, strict=True):
    sys.stdout.write(f"{labels[row.argmax()]}\tdepth {d} of {about['depths']} ({reasons[r]})\t{text}\n")
