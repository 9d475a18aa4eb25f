# Everything a person or a machine does with this tree. Each target installs what it needs (Debian/Ubuntu, apt/npm/pip).
# See scripts/ for the steps; each is readable on its own.

CARGO ?= cargo
BIN := target/release/capstan
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -print 2>/dev/null)

.PHONY: run build ui test soak bench bench-ui bench-eyes lint fuzz install clean-demo help

help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */	/' | expand -t 16

run:            ## build everything and start the demo on http://127.0.0.1:8080
	@scripts/setup.sh run
	@$(MAKE) --no-print-directory build
	@exec scripts/demo.sh $(BIN)

build: ui       ## the release binary with the web page inside
	$(CARGO) build --release --locked

ui: ui/dist/.built

ui/dist/.built: $(UI_SOURCES) scripts/ui.sh
	@scripts/ui.sh

test: export CAPSTAN_KIND = test
test:           ## all tests, short rounds
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory ui
	@scripts/test.sh

soak: export CAPSTAN_KIND = soak
soak:           ## the long rounds: hours
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory ui
	@scripts/test.sh

bench:          ## benches; writes docs/claims.md
	@scripts/setup.sh bench
	@$(MAKE) --no-print-directory ui
	@scripts/bench.sh

bench-ui:       ## what the pages cost a browser: loading, Lighthouse, a hundred tiles, hours of it
	@scripts/setup.sh bench
	@$(MAKE) --no-print-directory ui
	@scripts/bench_ui.sh

bench-eyes:     ## the whole labelled corpus of black, freeze and silence, ten minutes of each clip without trouble
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory ui
	@scripts/bench_eyes.sh

lint:           ## formatting, clippy, house rules, units, spelling
	@scripts/setup.sh lint
	@$(MAKE) --no-print-directory ui
	@scripts/lint.sh

fuzz:           ## every fuzz target for CAPSTAN_FUZZ_SECONDS (60) each; needs nightly and cargo-fuzz
	@scripts/fuzz.sh

install:        ## binary, units and settings into $(DESTDIR)/
	@scripts/install.sh "$(DESTDIR)"

clean-demo:     ## forget what the demo recorded
	rm -rf data /dev/shm/capstan-demo
