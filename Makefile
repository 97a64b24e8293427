# `make help` lists the targets. Everything that is built or downloaded here lies in .cache and bin,
# or in Go's own caches.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

MODULES   := . tools conformance terraform-provider-oci
# Pinned in tools/go.mod. It is built once for each version of itself and of Go.
LINT      := $(CURDIR)/.cache/bin/golangci-lint-$(shell sed -n 's|.*golangci/golangci-lint/v2 \(v[^ ]*\).*|\1|p' tools/go.mod)-$(shell go env GOVERSION)
TESTSUM   := $(CURDIR)/.cache/bin/testsum
# The cryptographic module that the server is built with, as `go help environment` has it.
FIPS      := v1.26.0
# Where Terraform looks for providers that come from no registry, and as which version of Oracle's:
# the one whose schema it has.
PROVIDER_DIR     := $(HOME)/.terraform.d/plugins
PROVIDER_SOURCE  := oracle/oci
PROVIDER_VERSION := $(shell sed -n 's|.*schemaVersion = "\(.*\)"|\1|p' terraform-provider-oci/main.go)
# Debian packages, each with a file that shows that it is there: the tests of syncing run the
# server under strace; those of algorithms and TLS ask openssl; those of stores run
# PostgreSQL; those of SDKs for TypeScript run in Node.js.
PACKAGES  := strace:/usr/bin/strace openssl:/usr/bin/openssl postgresql:/usr/lib/postgresql/*/bin/postgres \
	nodejs:$(or $(shell command -v node),/usr/bin/node) npm:$(or $(shell command -v npm),/usr/bin/npm)

NOSKIP    :=        # 1: a skipped test fails the run
FUZZTIME  := 10s    # for each fuzz target
KILLS     := 200    # how often make chaos kills the server; a tenth as often on PostgreSQL
BENCH     := .      # which benchmarks
VULN      :=        # 1: lint asks Go's vulnerability database
COUNT     := 1      # how often each benchmark runs
ROWS      :=        # bench-floor: only rows whose names contain one of these words, with commas between
ROUNDS    := 7      # bench-floor: how often each row is measured
SECONDS   := 2      # bench-floor: how long each time
POOL      := 20000  # bench-floor: how many of OCI's requests are signed ahead
PLAIN     :=        # bench-floor: 1: the floor encrypts under its key itself, without one for each message
BASE      :=        # bench-compare: the commit to compare with
HEAD      :=        # bench-compare: the commit that is compared; the tree as it is by default
SOAK      := 1h     # how long make soak takes

# What make test runs was vetted by the linter before.
VETTED    := -vet=off

# SQLite is C in Go's words, with memory that is not Go's: the race detector finds nothing in it, and
# takes most of its time there.
UNRACED   := $(foreach p,modernc.org/sqlite/lib modernc.org/libc modernc.org/memory,-gcflags=$p=-race=false)
# The detector lets every process wait a second before it ends, and scripts run hundreds.
RACE := GORACE=atexit_sleep_ms=20
# Tests that go through tables one row after the other, and scripts of commands that do one thing
# after the other. The race detector finds nothing in them and takes minutes for it; they run
# without it.
TABLES    := ^Test(Each|Every|VerifyFinds|IfMatch|AChangedRowIsRefused|ARestoreThatIsCutShort|BadInput|BannedText|CopyCompares|Wycheproof)|^TestScripts$$/^(cli|seed|bench|copy|fill|verify|version)$$

export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint

define install_packages
@missing=; for p in $(PACKAGES); do ls $${p#*:} >/dev/null 2>&1 || missing="$$missing $${p%%:*}"; done; \
if [ -z "$$missing" ]; then exit 0; fi; \
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	echo "== installing$$missing"; \
	apt-get update -qq </dev/null && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing </dev/null; \
else \
	echo "the tests need$$missing: please install (apt-get install$$missing)" >&2; exit 1; \
fi
endef

define build_testsum
@go build -C tools -o $(TESTSUM) ./testsum
endef

define build_measure
@CGO_ENABLED=0 GOFIPS140=$(FIPS) go build -trimpath -o .cache/bin/floor ./internal/benchtest/floor
@CGO_ENABLED=0 go build -trimpath -o .cache/bin/measure ./internal/benchtest/measure
endef

define find_terraform
@go run -C terraform-provider-oci ./internal/livetest/terraform
endef

.PHONY: help build install-provider test test-short lint fuzz chaos conformance bench bench-floor bench-compare bench-start soak scale generate clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build bin/claviger, static and reproducible
	CGO_ENABLED=0 GOFIPS140=$(FIPS) go build -trimpath -o bin/claviger ./cmd/claviger

install-provider: ## build the Terraform provider and put it where Terraform looks (PROVIDER_DIR, PROVIDER_VERSION)
	CGO_ENABLED=0 go build -C terraform-provider-oci -trimpath -ldflags='-s -w' -o $(CURDIR)/bin/terraform-provider-oci .
	@for host in registry.terraform.io registry.opentofu.org; do \
		to="$(strip $(PROVIDER_DIR))/$$host/$(strip $(PROVIDER_SOURCE))/$(strip $(PROVIDER_VERSION))/$$(go env GOOS)_$$(go env GOARCH)"; \
		install -D bin/terraform-provider-oci "$$to/terraform-provider-oci_v$(strip $(PROVIDER_VERSION))" && echo "== $$to"; \
	done

test: lint ## all tests and checks, as CI runs them (NOSKIP=1: skipped tests fail)
	$(install_packages)
	$(build_testsum)
	$(find_terraform)
	$(TESTSUM) -- $(RACE) go test $(VETTED) -race $(UNRACED) -short -timeout 20m -skip '$(strip $(TABLES))' ./...
	$(TESTSUM) $(if $(strip $(NOSKIP)),-noskip) -fuzz 1s \
		-- go test $(VETTED) -timeout 20m ./... \
		-- go test -C tools $(VETTED) ./... \
		-- GOFIPS140=$(FIPS) go test $(VETTED) ./internal/engine ./internal/seal/... \
		-- GOFIPS140=$(FIPS) go test -C conformance $(VETTED) -count=1 -timeout 20m ./... \
		-- go test -C terraform-provider-oci $(VETTED) -count=1 -timeout 20m ./...

test-short: ## the quick tests of the server, in under 30 seconds
	$(build_testsum)
	$(TESTSUM) -- go test -short ./...

lint: ## formatting and golangci-lint, vet's checks among its own, in all modules (VULN=1: known vulnerabilities too)
	@test -x $(LINT) || { echo "== building $(LINT)"; \
		go build -C tools -o $(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint; }
	@failed=; for m in $(MODULES); do \
		echo "== lint $$m"; (cd $$m && $(LINT) run ./...) || failed=1; \
	done; test -z "$$failed"
	$(if $(strip $(VULN)),go tool -modfile=tools/go.mod govulncheck ./...)

fuzz: ## search with each fuzz target (FUZZTIME=10s) and keep what was found in testdata/fuzz
	$(build_testsum)
	$(TESTSUM) -fuzz $(FUZZTIME) -keep

chaos: ## kill the server under load again and again (KILLS=200) and check what it answered
	$(install_packages)
	$(build_testsum)
	CLAVIGER_CHAOS_KILLS=$(KILLS) $(TESTSUM) -- go test -run '^TestChaos' -count=1 -timeout 2h ./...

conformance: ## the clouds' own SDKs against a live server
	$(build_testsum)
	$(TESTSUM) -- GOFIPS140=$(FIPS) go test -C conformance -count=1 -timeout 20m ./...

bench: ## benchmarks with allocations, into .cache/bench.txt (BENCH=. COUNT=1)
	@mkdir -p .cache
	go test -run '^$$' -bench '$(strip $(BENCH))' -benchmem -count=$(COUNT) ./... | tee .cache/bench.txt

bench-floor: build ## Claviger against the floor, in turn; prints ratios (ROWS= ROUNDS=7 SECONDS=2 POOL=20000 PLAIN=)
	$(build_measure)
	.cache/bin/measure -rows '$(strip $(ROWS))' -rounds $(strip $(ROUNDS)) -seconds $(strip $(SECONDS)) -pool $(strip $(POOL)) $(if $(strip $(PLAIN)),-plain)

scale: ## figures of a large store against a small one (CLAVIGER_SCALE_DIR=… keeps the stores)
	CLAVIGER_SCALE=full GOFIPS140=$(FIPS) go test -run '^TestScale$$' -count=1 -v -timeout 3h ./cmd/claviger

bench-start: build ## start to first answer, memory and size (ROUNDS=7)
	$(build_measure)
	@CGO_ENABLED=0 GOFIPS140=$(FIPS) go build -trimpath -ldflags='-s -w' -o .cache/bin/claviger-stripped ./cmd/claviger
	.cache/bin/measure -start -stripped .cache/bin/claviger-stripped -rounds $(strip $(ROUNDS))

bench-compare: ## benchmarks of the data path and the store at BASE=<commit> and here, in turn, with benchstat (BENCH=. COUNT=10 HEAD=)
	@go build -C tools -o $(CURDIR)/.cache/bin/benchcompare ./benchcompare
	.cache/bin/benchcompare -base '$(strip $(BASE))' -head '$(strip $(HEAD))' -bench '$(strip $(BENCH))' -count $(if $(filter file,$(origin COUNT)),10,$(strip $(COUNT)))

soak: build ## load for an hour; memory, goroutines and files must stay flat, nothing may fail (SOAK=1h)
	$(build_measure)
	.cache/bin/measure -soak $(strip $(SOAK)) -pool $(strip $(POOL))

generate: ## write the documents that are rendered from tables
	go generate ./...
	go generate -C terraform-provider-oci ./...

clean: ## remove what was built here
	rm -rf .cache bin
