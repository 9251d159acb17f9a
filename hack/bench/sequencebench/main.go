// Command sequencebench measures the controller beside a bare loop over Jobs. hack/bench/sequences.sh makes a cluster and runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
)

var errFailed = errors.New("there are violations: see above")

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sequencebench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 2 && os.Args[1] == contest.IdealCommand {
		return contest.ServeIdeal(ctx, os.Stdin, os.Stdout)
	}
	o := parseFlags()
	results, err := measure(ctx, o)
	if results == nil {
		return err
	}
	// What was measured before something went wrong is still reported.
	results.WriteMarkdown(os.Stdout)
	if err := errors.Join(err, writeAll(o, results)); err != nil {
		return err
	}
	if len(results.Violations()) > 0 {
		return errFailed
	}
	return nil
}
