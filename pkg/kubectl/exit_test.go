package kubectl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"
)

func TestExitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"success":                    {nil, 0},
		"failed":                     {exitWith(ExitFailed), ExitFailed},
		"wrapped":                    {fmt.Errorf("etl: %w", exitWith(ExitFailed)), ExitFailed},
		"timeout of the wait":        {exitError{code: ExitTimeout, err: errTimeout}, ExitTimeout},
		"timeout of a request":       {fmt.Errorf("the API server cannot be reached: %w", context.DeadlineExceeded), ExitError},
		"timeout of a connection":    {os.ErrDeadlineExceeded, ExitError},
		"interrupted":                {context.Canceled, ExitInterrupted},
		"anything of the API server": {errors.New("no"), ExitError},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ExitCode(test.err); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestSuggestedCommandsReachTheSameCluster(t *testing.T) {
	flags := genericclioptions.NewConfigFlags(true)
	*flags.KubeConfig, *flags.Context, *flags.Namespace, *flags.BearerToken = "/tmp/config", "prod", "batch", "secret"
	tool := &Tool{Name: "kubectl sj", flags: flags}
	if got, want := tool.commands().Plugin("retry", "etl"), "kubectl sj retry etl --kubeconfig /tmp/config --context prod -n batch"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOptionalName(t *testing.T) {
	for arg, want := range map[string]string{"etl": "etl", "sj/etl": "etl", "sequentialjob/etl": "etl"} {
		if got, err := optionalName([]string{arg}); got != want || err != nil {
			t.Errorf("%s: got %q and %v, want %q", arg, got, err, want)
		}
	}
	if got, err := optionalName(nil); got != "" || err != nil {
		t.Errorf("without an argument: got %q and %v", got, err)
	}
	if _, err := optionalName([]string{"job/etl"}); ExitCode(err) != ExitError {
		t.Errorf("a Job is taken for a SequentialJob: %v", err)
	}
}
