PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed

.PHONY: reproduce test bench lab clean

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[suite,test]"
	touch $(SETUP)

# Run notebooks at smoke scale into build/, then the analysis of the committed results.
reproduce: export FEARLIB_DATA := $(CURDIR)/build/data
reproduce: $(SETUP)
	rm -rf build/rank_architectures build/live_search build/degradation && mkdir -p build
	for name in rank_architectures live_search degradation; do \
		$(BIN)/papermill --cwd notebooks notebooks/$$name.ipynb build/$$name.ipynb || exit; done
	for name in correlations fear_against_shortreg search late_bloomers compact_ablation zero_cost degradation \
			claims; do \
		$(BIN)/papermill --cwd analysis analysis/$$name.ipynb build/$${name}_analysis.ipynb || exit; done
	@echo
	@echo "CIFAR-10 (JPEG copy), compact preset, first 100 of the paper's architectures:"
	@echo
	@cat results/tables/cifar10_compact.md
	@echo
	@echo "claims:    results/claims.md"
	@echo "tables:    results/tables/"
	@echo "figures:   results/figures/"
	@echo "notebooks as executed: build/*.ipynb"

test: $(SETUP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

bench: $(SETUP)
	$(BIN)/python tests/benchmarks/training_loop.py
	$(BIN)/python tests/benchmarks/zero_cost.py

lab: $(SETUP)
	$(BIN)/jupyter lab

clean:
	rm -rf build .venv
