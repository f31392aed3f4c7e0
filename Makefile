PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := gentwin tests recipes examples

.PHONY: setup train test fuzz checkpoints style quality docs

setup: $(STAMP)  ## Make .venv with the package, its tests and its docs

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test,docs]"
	touch $@

LAUNCH := $(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no

train: $(STAMP)  ## Train, evaluate and save a twin of the sliced network on the recorded data set
	$(LAUNCH) recipes/train_twin.py $(ARGS)

# Seeds 1 and 2 give the spread in the cards; seed 0 is shipped.
checkpoints: $(STAMP)  ## Train the shipped checkpoints anew and put them into the package
	for recipe in slice_lstm slice_lstm_zhang2024 policy signaling; do \
		for seed in 1 2; do \
			$(LAUNCH) recipes/train_twin.py --config recipes/$$recipe.yaml --seed $$seed \
				--output_dir outputs/$${recipe}_seed$$seed || exit 1; \
		done; \
		$(LAUNCH) recipes/train_twin.py --config recipes/$$recipe.yaml \
			--sibling_runs outputs/$${recipe}_seed1 outputs/$${recipe}_seed2 || exit 1; \
	done
	$(LAUNCH) recipes/train_twin.py --config recipes/signaling_lstm.yaml
	$(BIN)/python recipes/ship_checkpoint.py outputs/signaling signaling-open5gs
	$(BIN)/python recipes/ship_checkpoint.py outputs/signaling_lstm signaling-open5gs-lstm
	for seed in 1 2; do \
		$(LAUNCH) recipes/train_twin.py --config recipes/signaling_admission.yaml --seed $$seed \
			--output_dir outputs/signaling_admission_seed$$seed || exit 1; \
	done
	$(LAUNCH) recipes/train_twin.py --config recipes/signaling_admission.yaml \
		--sibling_runs outputs/signaling_admission_seed1 outputs/signaling_admission_seed2
	$(BIN)/python recipes/ship_checkpoint.py outputs/signaling_admission signaling-admission
	for recipe in agent_dynamic agent_zhang2024; do \
		for seed in 1 2; do \
			$(LAUNCH) recipes/train_agent.py --config recipes/$$recipe.yaml --seed $$seed \
				--output_dir outputs/$${recipe}_seed$$seed || exit 1; \
		done; \
		$(LAUNCH) recipes/train_agent.py --config recipes/$$recipe.yaml \
			--sibling_runs outputs/$${recipe}_seed1 outputs/$${recipe}_seed2 || exit 1; \
	done
	$(BIN)/python recipes/ship_checkpoint.py outputs/agent_dynamic agent-dynamic
	$(BIN)/python recipes/ship_checkpoint.py outputs/agent_zhang2024 agent-zhang2024
	$(BIN)/python recipes/ship_checkpoint.py outputs/slice_lstm slice-lstm-dynamic
	$(BIN)/python recipes/ship_checkpoint.py outputs/slice_lstm_zhang2024 slice-lstm-zhang2024
	$(BIN)/python recipes/ship_checkpoint.py outputs/policy policy-admission-greedy

# One thread per worker: two workers on two cores.
test: $(STAMP)  ## Run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q $(ARGS)

# Options are those of libFuzzer.
fuzz: $(STAMP)  ## Look for bytes that do harm to the readers of signaling, five minutes for each of them
	$(BIN)/python -m pip install --quiet atheris
	for kind in nas pfcp ngap record capture; do \
		$(BIN)/python tests/fuzz/fuzz_signaling.py $$kind -max_total_time=300 $(ARGS) || exit 1; \
	done

style: $(STAMP)  ## Rewrite the sources in the house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

quality: $(STAMP)  ## Check the house style
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

docs: $(STAMP)  ## Build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
