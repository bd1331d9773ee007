SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed
MADE := build/reproduce# of make reproduce alone: the rest of build/ is the user's

# A notebook of analysis/, and what of analysis/comparisons/ it takes where that is not its own.
ANALYSES := combinations zero_cost "fear_against_shortreg cifar10_compact" "correlations cifar10_compact" \
	"fear_against_shortreg cifar10_compact_more_architectures" "correlations cifar10_compact_more_architectures" \
	"fear_against_shortreg cifar10_paper" "fear_against_shortreg cifar100_compact" \
	"correlations cifar100_compact_50_epochs" "fear_against_shortreg tinyimagenet16-120_compact" \
	"correlations tinyimagenet16-120_compact" synthetic search claims \
	"zero_cost zero_cost_whole_space" "zero_cost zero_cost_cifar100" "zero_cost zero_cost_tinyimagenet16-120" \
	late_bloomers compact_ablation fear_ablation "fear_ablation fear_ablation_cifar100" benchmark_12_epochs \
	"cells cifar10_compact_more_architectures" degradation \
	"degradation degradation_variants" "degradation degradation_cifar100_paper" funnel \
	"funnel funnel_cifar100"

.PHONY: reproduce test test-slow test-cuda bench lab clean

$(SETUP): pyproject.toml constraints.txt
	@echo "Installing into .venv, for some minutes:"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[suite,test]"
	$(BIN)/python -m compileall -q -j 0 .venv/lib > /dev/null 2>&1 || true  # pip does so on one core alone
	touch $(SETUP)

# Run notebooks at smoke scale, then the analysis of the committed results.
reproduce: export FEARLIB_DATA := $(CURDIR)/$(MADE)/data
reproduce: $(SETUP)
	rm -rf $(MADE) && mkdir -p $(MADE)
	for smoke in rank_architectures "live_search -p measured ../$(MADE)/rank_architectures" degradation; do \
		set -- $$smoke; echo "notebooks/$$1.ipynb, at smoke scale:"; \
		$(BIN)/papermill --no-progress-bar --stderr-file >(cat >&2) --cwd notebooks -p output ../$(MADE)/$$1 "$${@:2}" \
			notebooks/$$1.ipynb $(MADE)/$$1.ipynb 2> $(MADE)/$$1.log || { cat $(MADE)/$$1.log; exit 1; }; done
	@echo "The analysis notebooks, two at a time, for some minutes:"
	@printf '%s\n' $(ANALYSES) | xargs -P 2 -L 1 sh -c 'name=$$0$${1:+_$$1}; \
		$(BIN)/papermill --no-progress-bar --cwd analysis $${1:+-f analysis/comparisons/$$1.yaml} \
		analysis/$$0.ipynb $(MADE)/$${name}_analysis.ipynb 2> $(MADE)/$$name.log && echo "$$0 $$1 is done" \
		|| { cat $(MADE)/$$name.log; exit 255; }'
	$(BIN)/python -c "from fearlib.report.pages import write_pages; write_pages()"
	@echo
	@echo "CIFAR-10 (JPEG copy), compact preset, first 100 of the paper's architectures:"
	@echo
	@cat results/tables/cifar10_compact.md
	@echo
	@echo "claims:    results/claims.md"
	@echo "tables:    results/tables/"
	@echo "figures:   results/figures/"
	@echo "notebooks as executed: $(MADE)/*.ipynb"

test: $(SETUP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-slow: $(SETUP)
	$(BIN)/python -m pytest -m slow --numprocesses auto --dist worksteal

test-cuda: export FEARLIB_TEST_CUDA := 1
test-cuda: $(SETUP)
	$(BIN)/python -m pytest tests/test_cuda.py

bench: $(SETUP)
	$(BIN)/python tests/benchmarks/training_loop.py
	$(BIN)/python tests/benchmarks/zero_cost.py
	$(BIN)/python tests/benchmarks/sweeps.py
	$(BIN)/python tests/benchmarks/command_line.py
	$(BIN)/python tests/benchmarks/explorer.py

lab: $(SETUP)
	$(BIN)/jupyter lab

clean:
	rm -rf $(MADE) .venv
