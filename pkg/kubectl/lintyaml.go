package kubectl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// ambiguity is what is wrong with a SequentialJob of which a file gives keys twice.
type ambiguity struct {
	name     string
	problems []string
}

// ambiguities says which keys are given twice in the SequentialJobs of a file, document by document. kubectl takes one of them without
// a word, so the API server cannot tell.
func ambiguities(file io.Reader) ([]ambiguity, error) {
	var found []ambiguity
	reader := utilyaml.NewYAMLReader(bufio.NewReader(file))
	for {
		document, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return found, fmt.Errorf("read: %w", err)
		}
		var o unstructured.Unstructured
		if err := yaml.Unmarshal(document, &o.Object); err != nil || !isSequentialJob(&o) {
			continue
		}
		if problems := givenTwice(document); len(problems) > 0 {
			found = append(found, ambiguity{nameOf(&o), problems})
		}
	}
}

var duplicateKey = regexp.MustCompile(`line \d+: key ".*" already set`)

// givenTwice returns the keys that a document gives twice, with the lines, counted from where it begins.
func givenTwice(document []byte) []string {
	if _, err := yaml.YAMLToJSONStrict(document); err != nil {
		return duplicateKey.FindAllString(err.Error(), -1)
	}
	return nil
}
