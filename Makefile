# Everything is built with the Go that go.mod pins; any Go from 1.21 fetches it.
export GOTOOLCHAIN := auto
export GOFLAGS := -buildvcs=auto
export CGO_ENABLED := 0

TOOLS := $(CURDIR)/.tools
LINT  := $(CURDIR)/tools/lint/go.mod

.PHONY: help build run test cover check fuzz bench gen fmt

help: ## Show this help.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

build: ## Build bin/latchwork.
	go build -trimpath -o bin/latchwork ./cmd/latchwork

run: build ## Build, and run the server with a demonstration.
	bin/latchwork dev

test: check cover tools/clients/.installed ## Install the real clients, check the code and run all tests.
	go test ./...
	go test ./internal/policy ./internal/authz -run '^TestDifferential$$' -v -differential.time=2m
	LATCHWORK_CLIENTS=$(TOOLS) go test -count=1 -timeout 30m -tags conformance ./conformance/...

cover: ## Check that every statement of packages policy and authz is run by their tests.
	./tools/cover.sh

check: ## Vet, lint, formatting, layers, generated files.
	go vet ./...
	go vet -tags conformance ./conformance/...
	go tool -modfile=$(LINT) staticcheck ./...
	@unformatted=$$(go tool -modfile=$(LINT) gofumpt -l $$(git ls-files -co --exclude-standard '*.go' | grep -v '\.gen\.go$$')); \
	 if [ -n "$$unformatted" ]; then echo "run make fmt:"; echo "$$unformatted"; exit 1; fi
	@for module in . bench/xds bench/policy; do \
	 (cd $$module && go mod tidy -diff >/dev/null) || { echo "run go mod tidy in $$module"; exit 1; }; done

fuzz: ## Fuzz every target for half a minute.
	./tools/fuzz.sh 30s

bench: build ## Measure against the backend alone and behind nginx; see docs/performance.md.
	./tools/bench.sh

gen: ## Generate the wire packages and the support matrix.
	go generate ./internal/wire/... ./tools/awsgen

fmt: ## Format.
	go tool -modfile=$(LINT) gofumpt -w $$(git ls-files '*.go' | grep -v '\.gen\.go$$')

# The clients that the black-box tests drive: a marker file for the set of pins.
tools/clients/.installed: tools/clients/install.sh tools/clients/package-lock.json
	./tools/clients/install.sh $(TOOLS)
	@touch $@
