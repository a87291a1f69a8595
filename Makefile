# Everything a fresh machine with Go, git and make needs is set up by the targets themselves.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
GORELEASER    := go run github.com/goreleaser/goreleaser/v2@v2.16.0
GOVULNCHECK   := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

BIN := bin/offboard
# The race detector needs a C compiler; where there is none the tests run without it. CI always has it.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)
ifdef CI
RACE := -race
endif

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  %-19s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/offboard
	go build -trimpath -ldflags "-s -w -X main.version=$(shell git describe --tags --always --dirty 2>/dev/null)" -o $(BIN) ./cmd/offboard

.PHONY: demo
demo: build ## The main job against an embedded tenant: a campaign, a kill -9, the resume (under two minutes)
	$(BIN) demo

.PHONY: test
test: ## All tests, with the race detector where there is a C compiler
	go test $(RACE) -timeout 30m ./...
	cd deploy && go test ./...
	go test -count=1 -run '^TestRatio' ./input # ratios mean nothing under the race detector

PROOF := $(CURDIR)/bin/torture.md
.PHONY: torture
torture: ## The fault harnesses in their long form, ending in one table
	@mkdir -p $(dir $(PROOF)) && rm -f $(PROOF).rows
	OFFBOARD_TORTURE=1 OFFBOARD_PROOF=$(PROOF).rows go test $(RACE) -count=1 -timeout 120m ./...
	@{ echo '| promise | harness | cases | faults | violations | controls caught |'; \
	   echo '| --- | --- | --- | --- | --- | --- |'; sort $(PROOF).rows; } > $(PROOF) && rm $(PROOF).rows
	@cat $(PROOF)

.PHONY: lint
lint: ## golangci-lint, go.mod tidy, builds and vets for windows and darwin
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) run --build-tags failpoint ./internal/failpoint/
	go mod tidy -diff
	go mod verify
	go vet -tags failpoint ./...
	cd deploy && go vet ./... && go mod tidy -diff && go mod verify
	cd internal/dashboard/browsertest && go vet ./... && go mod tidy -diff # go mod verify knows no replaced module
	GOOS=windows go build ./... && GOOS=windows go vet ./...
	GOOS=darwin go build ./... && GOOS=darwin go vet ./...

.PHONY: docs
docs: ## Make docs/commands.md anew from the code
	OFFBOARD_UPDATE_DOCS=1 go test -count=1 -run '^TestCommandReference$$' ./cmd/offboard

.PHONY: man
man: ## The man pages in bin/man
	@rm -rf bin/man
	OFFBOARD_MAN=$(CURDIR)/bin/man go test -count=1 -run '^TestManual$$' ./cmd/offboard

.PHONY: completions
completions: ## The completion scripts of four shells in bin/completions
	@mkdir -p bin/completions
	@set -e; for shell in bash zsh fish powershell; do \
		go run ./cmd/offboard completion $$shell > bin/completions/offboard.$$(echo $$shell | sed s/powershell/ps1/); \
	done

bin/cyclonedx-gomod: Makefile
	GOBIN=$(CURDIR)/bin go install $(CYCLONEDX)

# goreleaser knows no commit in a repository without a remote.
WITHOUT_REMOTE := GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=.

.PHONY: snapshot
snapshot: ## Archives, deb, rpm, SBOMs and SHA256SUMS of this commit in dist/, the same bytes wherever they are built
	$(GORELEASER) check
	$(WITHOUT_REMOTE) DIRTY=$$(git diff --quiet HEAD || echo -dirty) $(GORELEASER) release --snapshot --clean

.PHONY: release
release: ## The same of a tagged commit; publishes nothing. OFFBOARD_SIGN names a program that signs the Windows binaries
	$(WITHOUT_REMOTE) $(GORELEASER) release --clean --skip=publish,announce

.PHONY: verify-reproducible
verify-reproducible: ## Build a snapshot in two clones, from nothing and in different directories, and compare
	@set -e; commit=$$(git rev-parse HEAD); dir=$$(mktemp -d); trap 'chmod -R u+w "$$dir"; rm -rf "$$dir"' EXIT; \
	GOBIN="$$dir/bin" go install $(subst go run ,,$(GORELEASER)); \
	for clone in one two/deeper; do \
		git clone --quiet . "$$dir/$$clone"; git -C "$$dir/$$clone" checkout --quiet --detach "$$commit"; \
		GOCACHE="$$dir/$$clone/cache" $(MAKE) --no-print-directory -C "$$dir/$$clone" snapshot GORELEASER="$$dir/bin/goreleaser"; \
	done; cmp "$$dir/one/dist/SHA256SUMS" "$$dir/two/deeper/dist/SHA256SUMS"; cat "$$dir/one/dist/SHA256SUMS"

.PHONY: vuln
vuln: ## govulncheck (apart from lint: its database is not reachable everywhere)
	$(GOVULNCHECK) ./...

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (30s)
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; \
	done

# The scratch directory has to be on a real disk: what a sync costs is measured.
BENCHDIR ?= $(CURDIR)/bin
MACHINES ?= 1000000
.PHONY: bench
bench: ## Everything against what one would use instead: the table of docs/performance.md
	go run ./internal/bench -dir "$(BENCHDIR)" -machines $(MACHINES)

.PHONY: benchmarks
benchmarks: ## Go benchmarks, in the form that benchstat reads
	go test -run '^$$' -bench . -benchmem ./...

BROWSERTEST := internal/dashboard/browsertest
AXE := $(CURDIR)/bin/axe.min.js

$(AXE): $(BROWSERTEST)/fetchaxe/main.go
	cd $(BROWSERTEST) && go run ./fetchaxe $@
	@touch $@

.PHONY: chromium
chromium:
	@for browser in "$$OFFBOARD_TEST_BROWSER" chromium chromium-browser google-chrome chrome; do \
		command -v "$$browser" >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; \
	else \
		echo "no Chromium was found: install it, or name one in OFFBOARD_TEST_BROWSER" >&2; exit 1; \
	fi

.PHONY: browser
browser: $(AXE) chromium

.PHONY: test-browser
test-browser: browser ## The live page in a headless Chromium
	cd $(BROWSERTEST) && OFFBOARD_AXE=$(AXE) go test -count=1 -timeout 15m -v ./...

.PHONY: screenshots
screenshots: browser ## Make the pictures in docs/images anew
	@mkdir -p docs/images
	cd $(BROWSERTEST) && OFFBOARD_AXE=$(AXE) OFFBOARD_SCREENSHOTS=$(CURDIR)/docs/images go test -count=1 -timeout 15m -v -run '^TestScreenshots$$' .

# Prometheus's own tool, out of Debian's package.
bin/promtool:
	@mkdir -p bin; set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cd "$$dir"; \
	apt-get download prometheus || { apt-get update; apt-get download prometheus; }; \
	dpkg -x prometheus_*.deb .; mv usr/bin/promtool $(CURDIR)/bin/

.PHONY: check-alerts
check-alerts: ## The alert rules and what the dashboard asks, by promtool
	@command -v promtool >/dev/null || $(MAKE) --no-print-directory bin/promtool
	cd deploy && go test -count=1 -v -run '^Test(Rules|Dashboard)$$' .
