# What a person runs here: `make run` puts the default show on air, on this machine alone; `make test` is the gate.
# Each target is a script under config/run, so that it can be read, linted and run without make.

.DEFAULT_GOAL := help
.PHONY: help run test bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  RTMP_URL=rtmp://…        publish there; no local RTMP server is started'
	@echo '  ARGS="--scene FILE"      further arguments to `stream-manager serve`'

run: ## install what is missing, build, put the show on air; Ctrl-C stops it
	@config/run/run.sh $(ARGS)

test: ## install what is missing; format, lints, docs, tests, scripts
	@config/run/test.sh

bench: ## install what is missing; what a picture and the default show on air cost, as tables
	@config/run/bench.sh

clean: ## delete what was built
	cargo clean
