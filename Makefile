# Everything a fresh machine with Go, git and make needs is set up by the targets themselves.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

BIN := bin/offboard
# The race detector needs a C compiler; where there is none the tests run without it. CI always has it.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)
ifdef CI
RACE := -race
endif

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/offboard
	go build -trimpath -ldflags "-s -w -X main.version=$(shell git describe --tags --always --dirty 2>/dev/null)" -o $(BIN) ./cmd/offboard

.PHONY: demo
demo: build ## The main job against an embedded tenant: a campaign, a kill -9, the resume (under two minutes)
	$(BIN) demo

.PHONY: test
test: ## All tests, with the race detector where there is a C compiler
	go test $(RACE) -timeout 30m ./...

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
	GOOS=windows go build ./... && GOOS=windows go vet ./...
	GOOS=darwin go build ./... && GOOS=darwin go vet ./...

.PHONY: vuln
vuln: ## govulncheck (apart from lint: its database is not reachable everywhere)
	$(GOVULNCHECK) ./...

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (30s)
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: bench
bench: ## Go benchmarks, in the form that benchstat reads
	go test -run '^$$' -bench . -benchmem ./...
