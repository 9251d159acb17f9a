// Command sbom writes what a Go binary is made of as an SPDX document (JSON). It takes that from the binary itself, where the Go
// linker has put it, so that nothing is listed that is not in it. The same binary always gives the same document.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

func main() {
	binary := flag.String("binary", "", "the binary")
	flag.Parse()
	if err := write(os.Stdout, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(w io.Writer, binary string) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	return spdxjson.Write(document(info, sha256.Sum256(content)), w, spdxjson.Indent("  "))
}

// document describes the binary, whose SHA-256 is given.
func document(info *buildinfo.BuildInfo, sum [sha256.Size]byte) *v2_3.Document {
	digest := hex.EncodeToString(sum[:])
	name := path.Base(info.Path)
	main := &v2_3.Package{
		PackageName:             name,
		PackageSPDXIdentifier:   "binary",
		PackageDownloadLocation: "NOASSERTION",
		PrimaryPackagePurpose:   "APPLICATION",
		PackageLicenseConcluded: "Apache-2.0",
		PackageLicenseDeclared:  "Apache-2.0",
		PackageCopyrightText:    "NOASSERTION",
		PackageChecksums:        []common.Checksum{{Algorithm: common.SHA256, Value: digest}},
	}
	doc := &v2_3.Document{
		SPDXVersion:       v2_3.Version,
		DataLicense:       v2_3.DataLicense,
		SPDXIdentifier:    "DOCUMENT",
		DocumentName:      name,
		DocumentNamespace: "https://github.com/example/sequential-job-operator/sbom/" + digest,
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "sequential-job-operator/hack/sbom"}},
			Created:  created(info),
		},
		Packages:      []*v2_3.Package{main},
		Relationships: []*v2_3.Relationship{relationship("DOCUMENT", common.TypeRelationshipDescribe, main.PackageSPDXIdentifier)},
	}
	modules := append([]*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}, info.Deps...)
	for i, module := range modules {
		p := modulePackage(module, i)
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships,
			relationship(main.PackageSPDXIdentifier, common.TypeRelationshipDependsOn, p.PackageSPDXIdentifier))
	}
	return doc
}

func modulePackage(module *debug.Module, index int) *v2_3.Package {
	p := &v2_3.Package{
		PackageName:             module.Path,
		PackageSPDXIdentifier:   common.ElementID(fmt.Sprintf("module-%d", index)),
		PackageVersion:          module.Version,
		PackageDownloadLocation: "NOASSERTION",
		PrimaryPackagePurpose:   "LIBRARY",
		PackageLicenseConcluded: "NOASSERTION",
		PackageLicenseDeclared:  "NOASSERTION",
		PackageCopyrightText:    "NOASSERTION",
		PackageExternalReferences: []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL,
			Locator: "pkg:golang/" + module.Path + "@" + module.Version,
		}},
	}
	// Go's own sum (h1:) is over the files of the module, not over an archive: it is told as a comment, not as a checksum.
	if hash, ok := strings.CutPrefix(module.Sum, "h1:"); ok {
		if raw, err := base64.StdEncoding.DecodeString(hash); err == nil {
			p.PackageComment = "go.sum h1 (SHA-256 of the list of files): " + hex.EncodeToString(raw)
		}
	}
	return p
}

func relationship(from common.ElementID, kind string, to common.ElementID) *v2_3.Relationship {
	return &v2_3.Relationship{RefA: common.MakeDocElementID("", string(from)), RefB: common.MakeDocElementID("", string(to)), Relationship: kind}
}

// created is the time of the commit that the binary was built from, if the binary tells, so that the document does not depend on
// when it is written.
func created(info *buildinfo.BuildInfo) string {
	for _, setting := range info.Settings {
		if setting.Key == "vcs.time" {
			return setting.Value
		}
	}
	return time.Unix(0, 0).UTC().Format(time.RFC3339)
}
