PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := gentwin tests recipes

.PHONY: setup train test style quality docs

setup: $(STAMP)  ## Make .venv with the package, its tests and its docs

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test,docs]"
	touch $@

train: $(STAMP)  ## Train, evaluate and save a twin of the sliced network on the recorded data set
	$(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
		recipes/train_twin.py $(ARGS)

# One thread per worker: two workers on two cores.
test: $(STAMP)  ## Run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q $(ARGS)

style: $(STAMP)  ## Rewrite the sources in the house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

quality: $(STAMP)  ## Check the house style
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

docs: $(STAMP)  ## Build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
