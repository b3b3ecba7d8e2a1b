# Every chore is one word. A fresh machine needs Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test check slow bench experiments clean

help:  ## list these words
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/installed  ## classify real sentences with the bundled model
	@$(BIN)/elbert predict --input examples/reviews.txt --table

# Two processes of one thread each take half the time of one process with two; a file's tests stay together.
test: .venv/developed  ## run all tests (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/developed  ## style, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

slow: .venv/developed  ## the tests that take longer
	$(BIN)/python -m pytest -m slow

bench: .venv/benched  ## benchmarks, an hour; results go to benchmarks/results/ (DATA=FILE: labelled texts)
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/throughput.py $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/throughput.py --shape albert-base --texts 128
	$(BIN)/python benchmarks/throughput.py --shape albert-large --texts 32 --rounds 3 --peers transformers openvino
	$(BIN)/python benchmarks/realised.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/onnx_loop.py $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/onnx_loop.py --shape albert-base --texts 64
	$(BIN)/python benchmarks/serving.py $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/encoders.py
	$(BIN)/python benchmarks/simulated.py --threads 1
	$(BIN)/python benchmarks/scaling.py

experiments:  ## list the published tables: what each says, its command, its time
	@sed -n 's/^| \(.*\) |$$/\1/p' experiments/README.md | tr -d '`' | awk -F ' [|] ' '{ printf "%-66s %-64s %s\n", $$2, $$1, $$3 }'

clean:  ## remove what these words made
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/developed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ .venv/installed

.venv/benched: .venv/developed
	$(PIP) --editable '.[dev,bench]'
	@touch $@
