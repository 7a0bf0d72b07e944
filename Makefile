# `make run` and `make test` set everything up; nothing else has to be installed by hand but Python, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint lock services bench memory soak soak-modem soak-x rate-x soak-mail drain-mail pairs window many consoles race answer-crash fuzz generate clean

help: ## Show these targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/run: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/dev: requirements-dev.lock $(VENV)/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

run: $(VENV)/run ## Install from the lock and start the demo.
	$(BIN)/lapor-gateway demo

test: $(VENV)/dev services ## Install what the tests need, and pass them.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev ## Ruff, strict types, import rules, generated files, the other file formats.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lint_layout
	$(BIN)/yamllint --strict compose.yaml config/alerts.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck tests/services/install.sh

services:
	sh tests/services/install.sh

lock: ## Resolve the dependencies anew, with hashes and without addresses.
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock --extra build
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

generate: $(VENV)/run ## Write the schemas, examples, sample settings and the settings page anew.
	$(BIN)/lapor-gateway schema --write .

bench: $(VENV)/dev services ## The gateway end to end beside aio-pika alone, on a private RabbitMQ.
	$(BIN)/python -m tests.soak.bench

soak: $(VENV)/dev services ## 5,000 SMS, twenty kills of the gateway, broker killed and frozen; on SQLite and PostgreSQL.
	$(BIN)/python -m tests.soak.dummy_phone --messages 5000 --kills 20 --store sqlite --broker-faults
	$(BIN)/python -m tests.soak.dummy_phone --messages 5000 --kills 20 --store postgresql --broker-faults

soak-modem: $(VENV)/dev services ## 1,000 SMS through libGammu's AT driver, on a modem that hangs, vanishes and lies.
	$(BIN)/python -m tests.soak.at_modem --messages 1000 --kills 10

soak-x: $(VENV)/dev services ## 3,000 posts, twenty kills, every fault of X; on SQLite and PostgreSQL.
	$(BIN)/python -m tests.soak.x --posts 3000 --kills 20 --store sqlite --broker-faults
	$(BIN)/python -m tests.soak.x --posts 3000 --kills 20 --store postgresql --broker-faults

rate-x: $(VENV)/dev services ## 250 posts a second for two minutes: nothing dropped, and how long each takes.
	$(BIN)/python -m tests.soak.x_rate --posts-per-second 250 --seconds 120

soak-mail: $(VENV)/dev services ## 2,000 mails, fifteen kills, Dovecot killed, frozen and renumbered; on SQLite and PostgreSQL.
	$(BIN)/python -m tests.soak.mail --mails 2000 --kills 15 --store sqlite --broker-faults
	$(BIN)/python -m tests.soak.mail --mails 2000 --kills 15 --store postgresql --broker-faults

drain-mail: $(VENV)/dev services ## A mailbox of 20,000 mails: how fast it is drained, and what the limit is.
	$(BIN)/python -m tests.soak.mail_drain --mails 20000

pairs: $(VENV)/dev ## 6,000 invented, labelled pairs: how well repeats and similar reports are recognised.
	$(BIN)/python -m tests.corpus.pairs.generate --pairs 6000 --seed 1 > $(VENV)/pairs.jsonl
	$(BIN)/lapor-gateway evaluate $(VENV)/pairs.jsonl

window: $(VENV)/dev services ## A million reports in the window: speed of PROCESS, memory, start; on SQLite and PostgreSQL.
	$(BIN)/python -m tests.soak.window --reports 1000000 --store sqlite
	$(BIN)/python -m tests.soak.window --reports 1000000 --store postgresql

many: $(VENV)/dev services ## Five million messages in the store: how long what the console shows takes; on both databases.
	$(BIN)/python -m tests.soak.many --messages 5000000 --store sqlite
	$(BIN)/python -m tests.soak.many --messages 5000000 --store postgresql

consoles: $(VENV)/dev services ## 100 open consoles: what they cost at full speed and at 300 messages a second; pages over 5,000,000 messages.
	$(BIN)/python -m tests.soak.consoles --consoles 100 --rounds 5
	$(BIN)/python -m tests.soak.consoles --pages --messages 5000000 --store sqlite
	$(BIN)/python -m tests.soak.consoles --pages --messages 5000000 --store postgresql

race: $(VENV)/dev services ## 1,000 times the same report at two gateways at once: one original, one repeat.
	$(BIN)/python -m tests.soak.race --tries 1000

answer-crash: $(VENV)/dev services ## Killed between sending an answer and committing it: who is told twice?
	$(BIN)/python -m tests.soak.answer_crash --kills 10

fuzz: $(VENV)/dev ## Ten minutes of broken SMS, posts and mails for the parsers; and the largest mails.
	$(BIN)/python -m tests.fuzz.parsers --minutes 10
	$(BIN)/python -m tests.fuzz.large

memory: $(VENV)/dev services ## 200,000 messages while the broker is away: memory stays flat.
	$(BIN)/python -m tests.soak.broker_away --messages 200000

clean: ## Remove what can be made again.
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
