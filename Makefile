# Every command does its own set-up, once, in .venv. Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
WORKERS ?= 2
OUT ?= build/compare

PY := .venv/bin/python
READY := .venv/.ready
CODE := sklenet tests examples benchmarks

.PHONY: help compare test acceptance lint format clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

compare: $(READY)  ## compare all methods on the embedded digits, into build/compare
	$(PY) benchmarks/compare_methods.py --data digits --out $(OUT)

# One thread in each worker: the workers share the cores.
test: lint  ## lint, then run the fast tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not mnist" -n $(WORKERS) --dist worksteal

# Without the data the tests are skipped, which passes; without any such test this fails.
acceptance: $(READY)  ## train on the real MNIST (skipped without the data)
	$(PY) -m pytest tests -m mnist -rs

lint: $(READY)  ## check format, code, types and docstrings
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m mypy
	$(PY) -m numpydoc lint $$(git ls-files "sklenet/*.py")

format: $(READY)  ## format the code and sort its imports
	$(PY) -m ruff check --select I --fix $(CODE)
	$(PY) -m ruff format $(CODE)

clean:  ## remove .venv and everything that was built
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'sklenet needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@echo 'Setting up .venv (the first time this downloads PyTorch)'
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
