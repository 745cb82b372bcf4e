# Every command does its own set-up, once, in .venv. Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
WORKERS ?= 2
OUT ?= build/compare

PY := .venv/bin/python
READY := .venv/.ready
OLDEST := .venv-oldest
CODE := sklenet tests examples benchmarks tools

# One thread in each worker: the workers share the cores.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help compare demo check lint fast test test-oldest test-sdist coverage acceptance gpu \
	format clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

compare: $(READY)  ## compare all methods on the embedded digits, into build/compare
	$(PY) benchmarks/compare_methods.py --data digits --out $(OUT)

demo: $(READY)  ## train on MNIST (else the digits) and serve a page that runs the model
	$(PY) examples/web_page.py --mnist --serve --out build/demo

check: $(READY)  ## check format, code and prose (seconds)
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m codespell_lib
	$(PY) tools/check_prose.py

lint: check  ## check, then types, docstrings, layers and the numbers of the README
	$(PY) -m mypy
	$(PY) -m pytest -q tests/test_docstrings.py
	.venv/bin/lint-imports
	$(PY) -m benchmarks readme --check

fast: $(READY)  ## run the tests that take less than a minute together
	$(PYTEST) -m "not mnist and not slow"

test: lint  ## lint, then run all tests but those on MNIST
	$(PYTEST) -m "not mnist"

# The doctests show the output of the versions in constraints.txt, and old versions warn of new ones.
test-oldest: $(OLDEST)/.ready  ## run the tests with the lower bounds of pyproject.toml
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest tests -m "not mnist" -W default \
	  -n $(WORKERS) --dist worksteal

test-sdist: $(READY)  ## build the sdist and run its fast tests
	rm -rf build/sdist
	$(PY) -m build --outdir build/sdist
	cd build/sdist && tar -xzf *.tar.gz
	cd build/sdist/sklenet-*/ && PYTHONPATH=$$PWD OMP_NUM_THREADS=1 \
	  $(CURDIR)/$(PY) -m pytest -m "not mnist and not slow" -n $(WORKERS) --dist worksteal

coverage: $(READY)  ## measure the coverage of the tests, into htmlcov
	$(PYTEST) -m "not mnist" --cov --cov-report=term --cov-report=html

# Without the data the tests are skipped, which passes; without any such test this fails.
acceptance: $(READY)  ## train on the real MNIST (skipped without the data)
	$(PY) -m pytest tests -m mnist -rs

# The environment needs a build of PyTorch with CUDA, and SKLENET_DATA or the network MNIST.
gpu: $(READY)  ## test and time the training on a CUDA device, into build/gpu
	@if $(PY) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  $(PY) -m pytest tests -m gpu -rs && \
	  $(PY) -m benchmarks run gpu --data mnist --out build/gpu; \
	else echo 'make gpu needs a CUDA device, and PyTorch does not find any.'; fi

format: $(READY)  ## format the code and sort its imports
	$(PY) -m ruff check --select I --fix $(CODE)
	$(PY) -m ruff format $(CODE)

clean:  ## remove the environments and everything that was built
	rm -rf .venv $(OLDEST) build dist htmlcov .coverage
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'sklenet needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@echo 'Setting up .venv (the first time this downloads PyTorch)'
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(OLDEST)/.ready: pyproject.toml tools/lower_bounds.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { \
	  echo 'The oldest versions need Python 3.11 or 3.12: make PYTHON=python3.11 test-oldest' >&2; \
	  exit 1; }
	@echo 'Setting up $(OLDEST)'
	@$(PYTHON) -m venv $(OLDEST)
	@$(PYTHON) tools/lower_bounds.py images onnx plots tests > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c $(OLDEST)/constraints.txt -e '.[tests]'
	@touch $@
