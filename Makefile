# Everything a fresh machine with Go, git and make needs is set up by the targets themselves.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CYCLONEDX     := go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
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

.PHONY: docs
docs: ## Make docs/commands.md anew from the code
	OFFBOARD_UPDATE_DOCS=1 go test -count=1 -run '^TestCommandReference$$' ./cmd/offboard

.PHONY: man
man: ## The man pages in bin/man
	OFFBOARD_MAN=$(CURDIR)/bin/man go test -count=1 -run '^TestManual$$' ./cmd/offboard

PLATFORMS ?= linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64

.PHONY: release
release: ## Binaries for all platforms with their SBOMs and SHA256SUMS in dist/, the same bytes wherever they are built
	@rm -rf dist && mkdir dist
	@set -e; version=$$(git describe --tags --always --dirty --abbrev=12); \
	time=$$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ); \
	for platform in $(PLATFORMS); do \
		os=$${platform%/*} name=dist/offboard-$$version-$${platform%/*}-$${platform#*/}; file=$$name; [ $$os != windows ] || file=$$name.exe; \
		echo $$file; \
		GOOS=$$os GOARCH=$${platform#*/} CGO_ENABLED=0 GOFLAGS= \
			go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$$version" -o $$file ./cmd/offboard; \
		GOFLAGS=-trimpath $(CYCLONEDX) bin -json -noserial -std -version $$version -output $$name.raw $$file; \
		sed "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$$time\"/" $$name.raw > $$name.cdx.json; rm $$name.raw; \
	done
	@cd dist && { sha256sum offboard-* 2>/dev/null || shasum -a 256 offboard-*; } > SHA256SUMS

.PHONY: verify-reproducible
verify-reproducible: ## Build the release in two clones, from nothing and in different directories, and compare
	@set -e; dir=$$(mktemp -d); trap 'chmod -R u+w "$$dir"; rm -rf "$$dir"' EXIT; for clone in one two/deeper; do \
		git clone --quiet . "$$dir/$$clone"; \
		GOCACHE="$$dir/$$clone/cache" $(MAKE) --no-print-directory -C "$$dir/$$clone" release PLATFORMS="$(PLATFORMS)"; \
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

.PHONY: bench
bench: ## Go benchmarks, in the form that benchstat reads
	go test -run '^$$' -bench . -benchmem ./...
