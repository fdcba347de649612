PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CONFIG := configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py
DEMO := work_dirs/demo
OPTIONS := --work-dir $(DEMO) --cfg-options data_root=data/demo max_epochs=14

.PHONY: setup demo test bench stress docs clean

setup: $(INSTALLED)

# Built anew only when a list of packages changes. OpenCV is installed twice because two dependencies
# bring two builds of it that overwrite each other; the headless one, installed last, needs no libGL.
$(INSTALLED): requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps --force-reinstall opencv-python-headless
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Synthetic cells -> training -> scores -> submission -> pictures, on a CPU; then a published model on
# real tissue (a CC0 image of NuCLS).
demo: $(INSTALLED)
	rm -rf data/demo-raw data/demo $(DEMO)
	$(BIN)/python data_prep/synthesize.py data/demo-raw --images 40
	$(BIN)/python data_prep/prepare.py data/demo-raw --out data/demo --val-fraction 0.2
	$(BIN)/python tools/train.py $(CONFIG) $(OPTIONS)
	$(BIN)/python tools/test.py $(CONFIG) $(DEMO)/best_*.pth $(OPTIONS)
	$(BIN)/python tools/test.py $(CONFIG) $(DEMO)/best_*.pth $(OPTIONS) --submission $(DEMO)/submission.zip
	$(BIN)/python tools/validate_submission.py $(DEMO)/submission.zip data/demo-raw/test_image_name_to_ids.json
	$(BIN)/cellseg segment docs/images/nucls.png --mpp 0.25 --out $(DEMO)/segment

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

# Ratios against stock MMDetection, measured in one run.
bench: $(INSTALLED)
	$(BIN)/python benchmarks/run_all.py

# Kills, damaged input and hostile checkpoints, for STRESS_MINUTES; docs/reliability.md.
STRESS_MINUTES ?= 15
stress: $(INSTALLED)
	$(BIN)/python -m stress --minutes $(STRESS_MINUTES)

# The documentation site, without network; docs/CONTRIBUTING.md.
docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) data/demo-raw data/demo $(DEMO) site
