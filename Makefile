# Every target does what it needs of the others by itself, and nothing twice.
# `.venv/bin` goes first on PATH for what runs programs: there stand Python, `pal` and, where the machine has none, the
# engine.
python := .venv/bin/python
in_venv := PATH="$(CURDIR)/.venv/bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup engine demo test lint lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv, with everything from requirements.lock in it

.venv/.installed: requirements.lock pyproject.toml tools/setup
	tools/setup

engine: setup ## find, download or build a Pulumi engine, once for this machine
	@$(python) tools/engine/engine.py .venv/bin

demo: engine ## onboard a customer and offboard it again, on the real engine and a local Azure
	@$(in_venv) $(python) tools/demo.py

test: engine ## run all tests
	$(in_venv) $(python) -m pytest -n 2 --dist worksteal

lint: setup ## check style and types
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

lock: setup ## bring requirements.lock to the newest versions that pyproject.toml allows
	UV_SYSTEM_CERTS=true .venv/bin/uv pip compile pyproject.toml --extra sandbox --group dev --output-file requirements.lock \
	    --universal --python-version 3.10 --generate-hashes --no-annotate --upgrade --quiet \
	    --custom-compile-command "make lock"

clean: ## remove what these commands made in this checkout (the cached engine stays)
	rm -rf .venv .sandbox dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
