package main

import (
	"bytes"
	"os"
	"testing"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

// The binary of this test is made of modules, too.
func TestTheDocumentIsValidAndNamesEveryModule(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := write(&first, self); err != nil {
		t.Fatal(err)
	}
	if err := write(&second, self); err != nil || first.String() != second.String() {
		t.Errorf("the same binary gives two documents (%v)", err)
	}
	doc, err := spdxjson.Read(&first)
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	names := map[string]string{}
	for _, p := range doc.Packages {
		names[p.PackageName] = p.PackageVersion
	}
	for _, name := range []string{"stdlib", "github.com/spdx/tools-golang"} {
		if names[name] == "" {
			t.Errorf("%s is not listed: %v", name, names)
		}
	}
	if len(doc.Relationships) != len(doc.Packages) {
		t.Errorf("%d relationships for %d packages", len(doc.Relationships), len(doc.Packages))
	}
}

func TestWhatIsNoGoBinaryIsRefused(t *testing.T) {
	if err := write(&bytes.Buffer{}, "go.mod"); err == nil {
		t.Error("a text was taken for a binary")
	}
}
