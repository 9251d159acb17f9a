// Command kubectl-sequentialjob is the kubectl plugin for SequentialJobs. Under the name kubectl-sj it is `kubectl sj`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that kubectl knows

	"github.com/example/sequential-job-operator/pkg/kubectl"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // whatever does not heed the first Ctrl-C is ended by the second
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := kubectl.NewCommand(calledAs(os.Args[0]), streams).ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		return kubectl.ExitInterrupted
	}
	if err != nil && err.Error() != "" && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
	}
	return kubectl.ExitCode(err)
}

// calledAs is what the user typed: kubectl runs the file kubectl-sj for "kubectl sj".
func calledAs(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		return "kubectl " + plugin
	}
	return name
}
