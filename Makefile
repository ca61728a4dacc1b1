# Everything runs in .venv, made from nothing with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check lint types docs pictures bench install-tcnn clean

.venv/run.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dainr needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) install "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

# A beating phantom: simulated, fitted, exported, scored, reported.
demo: .venv/run.stamp
	@mkdir -p demo
	$(BIN)/dainr simulate demo/scan.h5 --phantom --matrix 96 --frames 16 --spokes 13 --force
	$(BIN)/dainr fit demo/scan.h5 -o demo/run --force
	$(BIN)/dainr export demo/run demo/cine.nii.gz --force
	$(BIN)/dainr export demo/run demo/cine.mp4 --frames 32 --force
	$(BIN)/dainr evaluate demo/run demo/scan.h5
	@echo "Look at demo/run/report.html (the report) and demo/cine.mp4; demo/cine.nii.gz opens in any viewer."

# One worker for each core; each holds a gigabyte, so there are no more than eight.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

# All tests but those marked slow.
test: .venv/dev.stamp
	$(PYTEST) -m "not slow"

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp
	$(BIN)/mypy

# What CI runs.
check: lint types
	$(PYTEST)

# docs/cli.md from the program's own help; a test compares the two.
docs: .venv/run.stamp
	$(BIN)/python docs/cli_reference.py > docs/cli.md

# The films of README, from the demo's run.
pictures: demo
	$(BIN)/dainr fit demo/scan.h5 -o demo/gridded --method gridding --force
	$(BIN)/dainr export demo/run docs/fitted.gif --force
	$(BIN)/dainr export demo/gridded docs/gridded.gif --force

# Every benchmark, into bench/: make bench [DATA=folder of scans with references] [DEVICE=cpu]
bench: .venv/run.stamp
	$(BIN)/python -m benchmarks.all $(if $(DATA),--data $(DATA)) $(if $(DEVICE),--device $(DEVICE))

# tiny-cuda-nn, for CUDA machines with nvcc; nothing needs it.
install-tcnn: .venv/run.stamp
	$(PIP) install --no-build-isolation "git+https://github.com/NVlabs/tiny-cuda-nn/#subdirectory=bindings/torch"

clean:
	rm -rf .venv demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
