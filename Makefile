# Two commands do all the set-up: `make demo` and `make test`. PY chooses the Python, VENV where the environment goes.
PY ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: setup demo test quick lint types check docs clean

setup: $(VENV)/.installed
dev: $(VENV)/.dev

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PY) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

# Train a VAE on the digits that ship with scikit-learn and open the report it leaves.
demo: setup
	$(BIN)/seisei train vae digits --prior vamp --components 150 --latent 16 --steps 3000 --output runs/demo --overwrite
	@echo
	@echo "Open runs/demo/report.html"

test: dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup

quick: dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
