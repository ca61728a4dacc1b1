# Everything runs in .venv, made from nothing with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal  # each worker holds a gigabyte
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types docs pictures gallery motion tutorial notebooks site bench gpu-check install-tcnn clean

help:  ## List what can be made (what plain `make` does)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/run.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dainr needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) install "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

.venv/docs.stamp: .venv/run.stamp
	$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@

demo: .venv/run.stamp  ## Simulate a beating phantom, fit it, export, score, report: demo/
	@mkdir -p demo
	$(BIN)/dainr simulate demo/scan.h5 --phantom --matrix 96 --frames 16 --spokes 13 --force
	$(BIN)/dainr fit demo/scan.h5 -o demo/run --force
	$(BIN)/dainr export demo/run demo/cine.nii.gz --force
	$(BIN)/dainr export demo/run demo/cine.mp4 --frames 32 --force
	$(BIN)/dainr evaluate demo/run demo/scan.h5
	@echo "Look at demo/run/report.html (the report) and demo/cine.mp4; demo/cine.nii.gz opens in any viewer."

test: .venv/dev.stamp  ## Run the tests, but those marked slow, with a worker for each core
	$(PYTEST) -m "not slow"

lint: .venv/dev.stamp  ## Check style and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp  ## Check types (mypy)
	$(BIN)/mypy

check: lint types  ## Run lint, types and all tests, the slow ones too: what CI runs
	$(PYTEST)

docs: .venv/run.stamp  ## Write docs/cli.md from the program's own help
	$(BIN)/python docs/cli_reference.py > docs/cli.md

pictures: demo  ## Make README's films from the demo's run
	$(BIN)/dainr fit demo/scan.h5 -o demo/gridded --method gridding --force
	$(BIN)/dainr export demo/run docs/fitted.gif --force
	$(BIN)/dainr export demo/gridded docs/gridded.gif --force

gallery: .venv/run.stamp  ## Make docs/gallery.md and its films, from phantoms: two minutes
	$(BIN)/python docs/gallery.py

motion: .venv/run.stamp  ## Make the pictures of docs/motion.md, from a phantom: a minute
	$(BIN)/python docs/motion_pictures.py

tutorial: .venv/run.stamp  ## Write what the commands of docs/tutorial.md print below them: two minutes
	$(BIN)/python docs/consoles.py

notebooks: build/notebooks.stamp  ## Make the examples notebooks, with what they print and draw

build/notebooks.stamp: .venv/docs.stamp docs/notebooks.py $(wildcard examples/*.py)
	$(BIN)/python docs/notebooks.py build/notebooks
	@touch $@

site: notebooks  ## Build all pages as a site that loads nothing from other hosts; a dead link stops it
	$(BIN)/python docs/pages.py build/pages
	$(BIN)/zensical build --clean --strict
	@echo "Look at build/site/index.html; its search needs a server: python3 -m http.server -d build/site"

bench: .venv/run.stamp  ## Run every benchmark into bench/: make bench [DATA=folder of scans with references] [DEVICE=cpu]
	$(BIN)/python -m benchmarks.all $(if $(DATA),--data $(DATA)) $(if $(DEVICE),--device $(DEVICE))

gpu-check: .venv/dev.stamp  ## Check a GPU and measure dainr on it: make gpu-check [DEVICE=cuda] [OUT=gpu-check] [DATA=folder]
	$(BIN)/python -m benchmarks.gpu --device $(or $(DEVICE),cuda) --out $(or $(OUT),gpu-check) $(if $(DATA),--data $(DATA))

install-tcnn: .venv/run.stamp  ## Build tiny-cuda-nn, on CUDA machines with nvcc; nothing needs it
	$(PIP) install --no-build-isolation "git+https://github.com/NVlabs/tiny-cuda-nn/#subdirectory=bindings/torch"

clean:  ## Remove the environment and everything that was made
	rm -rf .venv demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
