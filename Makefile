# `make` alone lists the targets.
SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help
.SUFFIXES:

# Image of the controller, and the tool that builds and pushes it: docker, podman or buildah.
IMG ?= sequential-job-operator:latest
# IMG if somebody has set it. The default is an image of this machine, which no other cluster has.
GIVEN_IMG = $(if $(filter file,$(origin IMG)),,$(IMG))
CONTAINER_TOOL ?= docker
# Versions of Kubernetes for test-versions. The last one is what everything else uses.
K8S_VERSIONS ?= 1.34.4 1.35.4 1.36.3 1.37.2
# Set to 1 to let undeploy and uninstall stop SequentialJobs that have not ended.
FORCE ?=
# For bench: set FULL to 1 for everything, and DOCS to the folder that tables and plots are written to.
FULL ?=
DOCS ?=
# Platforms of docker-buildx.
PLATFORMS ?= linux/amd64,linux/arm64
# Version that the controller reports; it has to look like v1.2.3.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || echo v0.0.0-$$(git rev-parse --short HEAD 2>/dev/null || echo dev))
# Commit that the controller and the kubectl plugin report.
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
# Directory on your PATH for install-plugin. Default: /usr/local/bin if you may write to it, otherwise ~/.local/bin.
PLUGIN_DIR ?=
# Set to "current" to use the cluster of the current kubectl context instead of one made here.
export CLUSTER ?=
export CLUSTER_NAME ?= demo
export CONTAINER_TOOL

BIN := $(CURDIR)/bin
VERSION_PACKAGE := k8s.io/component-base/version
# The same sources give the same bits: no paths, and no time of the build.
GO_BUILD = CGO_ENABLED=0 hack/go.sh build -trimpath -ldflags "-s -w -X $(VERSION_PACKAGE).gitVersion=$(VERSION) -X $(VERSION_PACKAGE).gitCommit=$(COMMIT)"
ARCH ?= $(shell go env GOARCH)
KUBECTL ?= $(shell command -v kubectl 2>/dev/null || echo $(BIN)/cluster/kubectl)
CLUSTER_SH := hack/cluster/cluster.sh
# The cluster that was made here, with the kubectl that belongs to it.
CLUSTER_KUBECTL := $(if $(filter current,$(CLUSTER)),$(KUBECTL),$(BIN)/cluster/kubectl)
# The image that was loaded into it. Into somebody's own cluster nothing is loaded.
LOADED_IMG = $(if $(filter current,$(CLUSTER)),,IMG=$(IMG))
ON_CLUSTER = export KUBECONFIG="$$($(CLUSTER_SH) kubeconfig)" KUBECTL="$(CLUSTER_KUBECTL)";

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; print "\nUsage: make TARGET [VARIABLE=value ...]"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-zA-Z_0-9-]+:.*##/ {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: cluster-ready ## Run a pipeline on a real Kubernetes, from a bare machine, and show what happens.
	@$(MAKE) --no-print-directory install-plugin PLUGIN_DIR=$(BIN)/plugin
	@$(ON_CLUSTER) hack/demo/demo.sh

.PHONY: cluster-ready
cluster-ready: ## Start that Kubernetes with the controller deployed and the images of the demo.
	@$(MAKE) --no-print-directory cluster-up
	@$(MAKE) --no-print-directory cluster-images
	@$(MAKE) --no-print-directory cluster-deploy

.PHONY: cluster-up
cluster-up: ## Start a Kubernetes on this machine, with a real node where that is possible.
	@$(CLUSTER_SH) up

.PHONY: cluster-down
cluster-down: ## Stop that Kubernetes and remove all of it.
	@$(CLUSTER_SH) down

.PHONY: cluster-images
cluster-images: ## Build the images of controller and demo and load them into that Kubernetes.
	@hack/demo/images.sh
	@$(MAKE) --no-print-directory cluster-image

.PHONY: cluster-image
cluster-image: docker-build
	@$(CLUSTER_SH) load bin/images/controller.tar

.PHONY: cluster-deploy
cluster-deploy: ## Deploy the controller to that Kubernetes and wait until it runs.
	@$(ON_CLUSTER) export IMAGE_SUM=$$(cat bin/images/controller.tar.sum 2>/dev/null); \
		$(MAKE) --no-print-directory deploy KUBECTL="$$KUBECTL" $(LOADED_IMG) && hack/demo/volumes.sh

##@ Use it

.PHONY: install
install: ## Install the CRD into the cluster of the current kubectl context.
	$(KUBECTL) apply -f manifests/crd.yaml
	@KUBECTL="$(KUBECTL)" hack/wait-for-crd.sh

.PHONY: uninstall
uninstall: ## Remove the CRD and with it every SequentialJob. FORCE=1: also those that have not ended.
	@KUBECTL="$(KUBECTL)" FORCE="$(FORCE)" hack/undeploy.sh crd

.PHONY: deploy
deploy: ## Deploy CRD and controller (IMG=...) to the cluster of the current kubectl context. Without IMG: keep the image.
	@KUBECTL="$(KUBECTL)" hack/deploy.sh "$(GIVEN_IMG)"

.PHONY: undeploy
undeploy: ## Remove everything that deploy made, and every SequentialJob. FORCE=1: also those that have not ended.
	@KUBECTL="$(KUBECTL)" FORCE="$(FORCE)" hack/undeploy.sh

.PHONY: run
run: build ## Run the controller here, against the cluster of the current kubectl context.
	$(BIN)/sequentialjob-controller --v=2

##@ Build

.PHONY: build
build: build-plugin ## Build the controller and the kubectl plugin for this machine.
	$(GO_BUILD) -o $(BIN)/sequentialjob-controller ./cmd/sequentialjob-controller

.PHONY: build-plugin
build-plugin:
	$(GO_BUILD) -o $(BIN)/kubectl-sequentialjob ./cmd/kubectl-sequentialjob

.PHONY: install-plugin
install-plugin: build-plugin ## Install the kubectl plugin, as "kubectl sj" and "kubectl sequentialjob", into PLUGIN_DIR.
	@hack/plugin/install.sh $(BIN)/kubectl-sequentialjob $(PLUGIN_DIR)

.PHONY: plugin-release
plugin-release: ## Build the archives of the kubectl plugin for all platforms, with checksums and a krew manifest, into bin/release.
	@VERSION="$(VERSION)" COMMIT="$(COMMIT)" hack/plugin/release.sh $(BIN)/release

.PHONY: release
release: ## Make all that the release VERSION=v1.2.3 has, in bin/release: image, manifests, chart, plugin, SBOMs, checksums.
	@VERSION="$(if $(filter command line environment,$(origin VERSION)),$(VERSION))" hack/release.sh $(BIN)/release

.PHONY: build-linux
build-linux:
	@GOOS=linux GOARCH=$(ARCH) $(GO_BUILD) \
		-o $(BIN)/linux-$(ARCH)/sequentialjob-controller ./cmd/sequentialjob-controller

.PHONY: sbom
sbom: build-linux ## Write what the binary of the image is made of to bin/sbom.spdx.json (SPDX).
	@hack/go.sh -C hack/sbom run . -binary $(BIN)/linux-$(ARCH)/sequentialjob-controller >$(BIN)/sbom.spdx.json
	@echo "Wrote bin/sbom.spdx.json: $$(grep -c '"SPDXID": "SPDXRef-module-' $(BIN)/sbom.spdx.json) modules"

.PHONY: verify-reproducible
verify-reproducible: ## Make a release of one architecture twice, in different places, and compare the bits.
	@hack/reproducible.sh

.PHONY: docker-build
docker-build: build-linux ## Build the image IMG of the controller with CONTAINER_TOOL.
	@CONTAINER_TOOL="$(CONTAINER_TOOL)" ARCH=$(ARCH) hack/images.sh build . Dockerfile $(IMG) bin/images/controller.tar

.PHONY: docker-push
docker-push: ## Push the image IMG.
	@CONTAINER_TOOL="$(CONTAINER_TOOL)" hack/images.sh push $(IMG)

.PHONY: docker-buildx
docker-buildx: ## Build and push IMG for all PLATFORMS (docker with buildx).
	$(foreach platform,$(subst $(comma), ,$(PLATFORMS)),$(MAKE) build-linux ARCH=$(notdir $(platform)) &&) true
	docker buildx build --platform $(PLATFORMS) --push -t $(IMG) .

comma := ,

##@ Develop

.PHONY: generate
generate: ## Generate deepcopy, clients, the CRD, install.yaml, the chart and docs/cli.md.
	@hack/generate.sh

.PHONY: verify
verify: ## Check generated files, format, vet, lint, module files and scripts (6 minutes the first time).
	@hack/verify.sh

.PHONY: test
test: ## Run all tests: unit, integration, faults (a part of them), e2e. Does all the set-up.
	@hack/test.sh all

.PHONY: test-unit
test-unit: ## Run the unit tests.
	@hack/test.sh unit

.PHONY: test-integration
test-integration: ## Run the tests that need a real API server (simulated nodes).
	@hack/test.sh integration

.PHONY: test-versions
test-versions: ## Run the integration tests against each of K8S_VERSIONS, which are built first (an hour the first time).
	@hack/test-versions.sh $(K8S_VERSIONS)

.PHONY: test-faults
test-faults: ## Break every call of the controller, and the cluster, in every way, and count broken promises (half an hour).
	@hack/test.sh faults-full

.PHONY: test-e2e
test-e2e: ## Run the tests that need a real node and the deployed image.
	@hack/test.sh e2e

# A cluster of its own, whatever CLUSTER_NAME says: it is not like the one of "make cluster-up".
BENCH = CLUSTER_NAME=bench hack/bench/sequences.sh $(if $(DOCS),-docs $(abspath $(DOCS)))
BENCH_SHORT := -modes "throughput memory" -shapes 1x20,50x5,200x5 -rounds 1 -memory 1000
BENCH_FULL := -modes "throughput recovery deletion memory" -shapes 1x20,50x5,200x5,2000x3,50x5@15s,200x5@15s -rounds 3

.PHONY: bench
bench: ## Measure the controller beside a bare loop over Jobs, in 5 minutes. FULL=1: all of it. DOCS=FOLDER: write tables and plots there.
	@$(BENCH) $(if $(FULL),$(BENCH_FULL),$(BENCH_SHORT))

.PHONY: bench-full
bench-full: ## The same with all shapes and modes, in an hour: crashes, deletions, memory with 50,000 sequences.
	@$(MAKE) --no-print-directory bench FULL=1

.PHONY: bench-smoke
bench-smoke: ## Run the smallest shape once, and check how much is asked of the API server: counts, not times.
	@$(BENCH) -shapes 1x20 -rounds 1 -check-requests

.PHONY: bench-capacity
bench-capacity: ## Compute what is used up first with more sequences a day, from what was measured, into docs/performance/capacity.md.
	@mkdir -p $(BIN) docs/performance
	@hack/go.sh -C hack/bench run ./capacity $(addprefix -results ,$(wildcard $(CURDIR)/docs/performance/results.json)) >$(BIN)/capacity.md
	@mv $(BIN)/capacity.md docs/performance/capacity.md

.PHONY: bench-crd
bench-crd: ## Measure what the CRD costs per status write.
	@hack/bench/crd-cost.sh

.PHONY: clean
clean: ## Remove what was built, unless a cluster runs that needs it.
	@for cluster in $$(ls $(BIN)/run 2>/dev/null); do \
		echo "The cluster $$cluster still runs from $(notdir $(BIN))/: run \"make cluster-down CLUSTER_NAME=$$cluster\" first." >&2; exit 1; done
	rm -rf $(BIN)
