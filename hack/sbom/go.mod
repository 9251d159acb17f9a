// Writes the list of what a binary is made of.
module github.com/example/sequential-job-operator/hack/sbom

go 1.26.0

require github.com/spdx/tools-golang v0.5.7

require github.com/anchore/go-struct-converter v0.1.0 // indirect
