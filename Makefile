PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed

.PHONY: reproduce test bench lab clean

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[suite,test]"
	touch $(SETUP)

# Run notebooks at smoke scale into build/, then the analysis of the committed results.
reproduce: export FEARLIB_DATA ?= $(CURDIR)/build/data
reproduce: $(SETUP)
	mkdir -p build
	$(BIN)/papermill --cwd notebooks notebooks/rank_architectures.ipynb build/rank_architectures.ipynb
	$(BIN)/papermill --cwd analysis analysis/correlations.ipynb build/correlations.ipynb
	@echo
	@echo "CIFAR-10 (JPEG copy), compact preset, first 100 of the paper's architectures:"
	@echo
	@cat results/tables/cifar10_compact.md
	@echo
	@echo "tables:    results/tables/"
	@echo "figures:   results/figures/"
	@echo "notebooks as executed: build/rank_architectures.ipynb, build/correlations.ipynb"

test: $(SETUP)
	$(BIN)/python -m pytest

bench: $(SETUP)
	$(BIN)/python tests/benchmarks/training_loop.py

lab: $(SETUP)
	$(BIN)/jupyter lab

clean:
	rm -rf build .venv
