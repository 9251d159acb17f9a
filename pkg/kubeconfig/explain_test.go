package kubeconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestTheFilesThatWereLookedAtAreNamed(t *testing.T) {
	folder := t.TempDir()
	one, two, empty := filepath.Join(folder, "one"), filepath.Join(folder, "two"), filepath.Join(folder, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list := one + string(filepath.ListSeparator) + empty
	for name, tc := range map[string]struct {
		environment, flag, want string
	}{
		"nothing":              {"", "", "no cluster is configured: set KUBECONFIG to a file that names a cluster, or use --kubeconfig"},
		"only a separator":     {string(filepath.ListSeparator), "", "no cluster is configured: set KUBECONFIG to a file that names a cluster, or use --kubeconfig"},
		"the variable":         {one, "", `no cluster is configured: KUBECONFIG is "` + one + `", which does not exist: correct it, or use --kubeconfig`},
		"the flag":             {one, two, `no cluster is configured: --kubeconfig is "` + two + `", which does not exist: correct the path`},
		"one of a list exists": {list, "", `no cluster is configured: KUBECONFIG is "` + list + `", where no cluster is named: correct it, or use --kubeconfig`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", tc.environment)
			err := Explain(clientcmd.ErrEmptyConfig, tc.flag)
			if !errors.Is(err, ErrNoCluster) || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestOtherErrorsStayAsTheyAre(t *testing.T) {
	for _, err := range []error{nil, errors.New("no"), fs.ErrNotExist} {
		if got := Explain(err, ""); !errors.Is(got, err) {
			t.Errorf("got %v, want %v", got, err)
		}
	}
}
