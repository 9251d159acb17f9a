#!/usr/bin/env bash
# Generates all that is generated: deepcopy and register functions, the clients, the CRD, install.yaml, the chart's templates and
# docs/cli.md.
#   generate.sh [DIRECTORY]   in another copy of the project than this one
set -euo pipefail
hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "${1:-$hack/..}" && pwd)
module=github.com/example/sequential-job-operator
core=k8s.io/client-go/applyconfigurations/core/v1
batch=k8s.io/client-go/applyconfigurations/batch/v1

# shellcheck source=go.sh
source "$hack/go.sh"
"$hack/tools/build.sh" controller-gen
codegen=$(cd "$hack/tools" && go mod download k8s.io/code-generator && go list -m -f '{{.Dir}}' k8s.io/code-generator)
# kube_codegen.sh installs its generators; not into the user's own GOBIN.
GOBIN=$(cd "$hack/.." && pwd)/bin/tools
export GOBIN GOWORK=off
# shellcheck source=/dev/null
source "$codegen/kube_codegen.sh"

cd "$root"
boilerplate=$root/hack/boilerplate.go.txt
kube::codegen::gen_helpers --boilerplate "$boilerplate" pkg/apis
kube::codegen::gen_register --boilerplate "$boilerplate" pkg/apis

# The schema that the apply configurations and the fake clientset are made from. Its definitions are large and needed
# only here, so they go to bin/; a refused name in Kubernetes' own types is none of our concern.
mkdir -p bin/openapi
kube::codegen::gen_openapi --boilerplate "$boilerplate" --output-dir bin/openapi --output-pkg "$module/bin/openapi" \
  --extra-pkgs k8s.io/api/core/v1 --extra-pkgs k8s.io/api/batch/v1 --extra-pkgs k8s.io/apimachinery/pkg/util/intstr \
  --report-filename bin/openapi/violations.txt --update-report pkg/apis
go run hack/openapi/main.go >bin/openapi/schema.json

kube::codegen::gen_client --boilerplate "$boilerplate" --with-watch --with-applyconfig --applyconfig-openapi-schema bin/openapi/schema.json \
  --applyconfig-externals "k8s.io/api/core/v1.Container:$core,k8s.io/api/core/v1.PodTemplateSpec:$core,k8s.io/api/batch/v1.PodFailurePolicy:$batch" \
  --output-dir pkg/generated --output-pkg "$module/pkg/generated" pkg/apis

# The generated folder is made again each time; its documentation and examples are written by hand.
for name in doc.go example_test.go; do
  cp "$root/hack/clientset/$name.txt" "pkg/generated/clientset/versioned/$name"
done

crd=$(mktemp -d)
trap 'rm -rf "$crd"' EXIT
"$GOBIN/controller-gen" crd paths=./pkg/apis/... "output:crd:dir=$crd"
go -C hack/crd run . -in "$crd/batch.example.com_sequentialjobs.yaml" -out "$root/manifests/crd.yaml"

"$hack/cluster/build.sh" kubectl
{
  echo "# Everything that a cluster needs to run SequentialJobs. Generated from manifests/kustomization.yaml by \"make generate\"."
  "$hack/../bin/cluster/kubectl" kustomize manifests
} >manifests/install.yaml
go run ./hack/chart generate manifests/chart <manifests/install.yaml

go run ./hack/plugin/docs >bin/cli.md
mv bin/cli.md docs/cli.md
