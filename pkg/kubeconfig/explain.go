// Package kubeconfig says why a kubeconfig cannot be used, and what to do about it.
package kubeconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
)

// ErrNoCluster is for a kubeconfig that is missing or names no cluster.
var ErrNoCluster = errors.New("no cluster is configured")

// Explain says in other words what client-go means with an error of a kubeconfig. The path is what --kubeconfig is set to.
func Explain(err error, path string) error {
	isMissing := path != "" && errors.Is(err, fs.ErrNotExist)
	if isMissing || clientcmd.IsEmptyConfig(err) {
		return NoCluster(path)
	}
	return err
}

// NoCluster names the files that were looked at, and what to do. The path is what --kubeconfig is set to.
func NoCluster(path string) error {
	source, files, remedy := "--kubeconfig", []string{path}, "correct the path"
	if path == "" {
		source, files, remedy = "KUBECONFIG", fromEnvironment(), "correct it, or use --kubeconfig"
	}
	switch {
	case len(files) == 0:
		return fmt.Errorf("%w: set KUBECONFIG to a file that names a cluster, or use --kubeconfig", ErrNoCluster)
	case slices.ContainsFunc(files, exists):
		return fmt.Errorf("%w: %s is %q, where no cluster is named: %s", ErrNoCluster, source, joined(files), remedy)
	}
	return fmt.Errorf("%w: %s is %q, which does not exist: %s", ErrNoCluster, source, joined(files), remedy)
}

// fromEnvironment returns the files that KUBECONFIG names.
func fromEnvironment() []string {
	value := os.Getenv(clientcmd.RecommendedConfigPathEnvVar)
	return slices.DeleteFunc(filepath.SplitList(value), func(file string) bool { return file == "" })
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

func joined(files []string) string { return strings.Join(files, string(filepath.ListSeparator)) }
