# Every chore is one word. A fresh machine needs Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test check packages docs slow bench bench-quick gpu gpu-base experiments wheels clean

help:  ## list these words
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/installed  ## classify real sentences with the bundled model
	@$(BIN)/elbert predict --input examples/reviews.txt --table

# Four processes of one thread each on two cores: tests wait for servers, browsers and Ray a third of their time.
test: .venv/developed packages  ## run all tests (minutes)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: .venv/developed packages  ## style, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@if [ -e node_modules/installed ]; then set -x; PATH="$(CURDIR)/$(BIN):$$PATH"; node_modules/.bin/biome ci && node_modules/.bin/tsc --project .; \
	else echo "JavaScript is not checked: its tools are not installed (make node_modules/installed)"; fi

docs: .venv/developed  ## generate the reference pages, build the site into build/site
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Episodes of the simulation share nothing, so any process may run any of them; the other tests stay together by file.
SLOW := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -m slow -n 2

slow: .venv/developed .venv/wheeled  ## the tests that take longer (hours)
	$(SLOW) --dist loadfile --ignore tests/simulation
	$(SLOW) --dist worksteal tests/simulation

bench: .venv/benched  ## benchmarks, some hours; results go to benchmarks/results/ (DATA=FILE: labelled texts)
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/throughput.py $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/throughput.py --shape albert-base --texts 128
	$(BIN)/python benchmarks/throughput.py --shape albert-large --texts 32 --rounds 3 --peers transformers openvino
	$(BIN)/python benchmarks/realised.py
	$(BIN)/python benchmarks/limits.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/latency.py --texts 64 --rounds 3
	$(BIN)/python benchmarks/latency.py --shape albert-base
	$(BIN)/python benchmarks/latency.py --shape albert-base --texts 32 --rounds 3
	$(BIN)/python benchmarks/onnx_loop.py $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/onnx_loop.py --shape albert-base --texts 64
	$(BIN)/python benchmarks/serving.py $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/contention.py
	$(BIN)/python benchmarks/encoders.py
	$(BIN)/python benchmarks/simulated.py --threads 1
	$(BIN)/python benchmarks/scaling.py

# Without .venv/benched onnxruntime is there and OpenVINO is skipped.
bench-quick: .venv/developed  ## ten ratios in 4 minutes; fails when one falls by more than 15 % (KEEP=1: keep them for this machine)
	$(BIN)/python benchmarks/quick.py $(if $(KEEP),--keep)

# Nothing is installed: the machine's own torch and transformers are used.
gpu:  ## correctness and speed on a CUDA device, at most eight minutes; the result goes to $$OUT or build/gpu
	PYTHONPATH=src $(PYTHON) benchmarks/gpu.py --output $${OUT:-build/gpu}

# BASE is what `recipes/pack.py --teacher` wrote. RESUME=DIR continues from an earlier state.
gpu-base:  ## train a base on a CUDA device, at most nine minutes; the result goes to $$OUT or build/gpu-base
	PYTHONPATH=src $(PYTHON) recipes/carry_general.py --packed $(or $(BASE),build/base) --device cuda --minutes 8 \
		--tokens 16384 --batches 4 --workers 8 --rate 1.5e-3 $(if $(RESUME),--resume $(RESUME)) --output $${OUT:-build/gpu-base}

experiments:  ## list the published tables: what each says, its command, its time
	@sed -n 's/^| \(.*\) |$$/\1/p' experiments/README.md | tr -d '`' | awk -F ' [|] ' '{ printf "%-66s %-64s %s\n", $$2, $$1, $$3 }'

WHEEL := $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

wheels: .venv/wheeled  ## a wheel with native code for every platform, and a pure one, checked, into dist/ (minutes)
	rm -rf dist
	for target in $$($(BIN)/python hatch_build.py --targets); do ELBERT_TARGET=$$target ELBERT_BUILD=native $(WHEEL) || exit 1; done
	ELBERT_BUILD=pure $(WHEEL)
	$(BIN)/python deploy/check_wheels.py dist

clean:  ## remove what these words made
	rm -rf .venv node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv

# The native code is compiled by the installation; without a compiler the last line says so.
NATIVE := hatch_build.py $(wildcard src/elbert/model/native/*.[ch])

# Where no NVIDIA device is seen, PyTorch comes from its index of builds without CUDA: 0.2 GB instead of 5. TORCH=cuda
# takes pip's own index. Elsewhere than on Linux that has no CUDA either. Without the CPU index the work goes on.
TORCH ?= $(if $(or $(wildcard /dev/nvidiactl),$(filter-out Linux,$(shell uname -s))),cuda,cpu)

.venv/torch: .venv/bin/python constraints.txt
	@echo "installing PyTorch ($(TORCH); make TORCH=cuda or TORCH=cpu chooses), then elbert, into .venv: some minutes"
	@if [ "$(TORCH)" = cpu ]; then \
	$(PIP) --no-deps --retries 1 --timeout 20 --index-url https://download.pytorch.org/whl/cpu torch || \
	echo "PyTorch's CPU index cannot be used: its build with CUDA (5 GB) is installed"; fi
	@touch $@

.venv/installed: .venv/torch pyproject.toml constraints.txt $(NATIVE)
	$(PIP) --editable .
	@$(BIN)/elbert env | grep "native code"
	@touch $@

.venv/developed: .venv/torch pyproject.toml constraints.txt $(NATIVE)
	@echo "installing the tools of development into .venv: some minutes"
	$(PIP) --editable '.[dev]'
	@$(BIN)/elbert env | grep "native code"
	@touch $@ .venv/installed

# Node comes with .venv. Without the npm registry the work goes on, and says what it does not check.
packages: .venv/developed
	@$(MAKE) --no-print-directory node_modules/installed || echo "npm packages cannot be installed: JavaScript is not checked, tests that need them are skipped"

node_modules/installed: package.json package-lock.json | .venv/developed
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.venv/benched: .venv/developed
	$(PIP) --editable '.[dev,bench]'
	@touch $@

# What builds and checks wheels: the build system, a compiler for every platform, a reader of libraries.
.venv/wheeled: .venv/bin/python constraints.txt
	$(PIP) 'hatchling>=1.25' lief 'ziglang>=0.15'
	@touch $@
