package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/deletion"
	"github.com/example/sequential-job-operator/hack/bench/internal/memory"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/recovery"
	"github.com/example/sequential-job-operator/hack/bench/internal/report"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

func measure(ctx context.Context, o *options) (*report.Results, error) {
	if o.from != "" {
		return report.Read(o.from)
	}
	cluster, err := setup.Connect(o.cluster)
	if err != nil {
		return nil, err
	}
	version, err := cluster.Version()
	if err != nil {
		return nil, err
	}
	r := &report.Results{
		Started: time.Now().UTC(), Machine: proc.ThisMachine(), Flags: chosenFlags(),
		Versions: map[string]string{"Kubernetes": version, "Go": runtime.Version()},
	}
	r.Commit = git(ctx, o.source, "rev-parse", "--short", "HEAD")
	r.Modified = git(ctx, o.source, "status", "--porcelain") != ""
	if err := cluster.RemoveLeftovers(ctx); err != nil {
		return nil, err
	}
	bench := &contest.Bench{Cluster: cluster, Options: o.contest}
	for _, mode := range o.modes {
		switch mode {
		case "throughput":
			err = throughput(ctx, bench, o, r)
		case "memory":
			r.Memory, err = memory.Measure(ctx, bench, o.memory)
		case "recovery":
			r.Recovery, err = recovery.Measure(ctx, bench, o.crash, o.crashes)
		case "deletion":
			r.Deletion, err = deletion.Measure(ctx, bench, o.deleted.Sequences, o.deleted.Steps, tell)
		default:
			err = fmt.Errorf("no such mode: %q", mode)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// throughput has both contestants run each shape in turn, so that a disturbance hits both alike.
func throughput(ctx context.Context, bench *contest.Bench, o *options, r *report.Results) error {
	for _, shape := range o.shapes {
		for round := range o.rounds {
			for _, name := range []string{contest.IdealName, contest.ControllerName} {
				run, err := bench.Run(ctx, name, shape, round+1)
				if err != nil {
					return err
				}
				if o.check {
					run.Overspent = run.OverBudget()
				}
				r.Runs = append(r.Runs, run)
				r.Ratios = report.Ratios(r.Runs)
				fmt.Fprintln(os.Stderr, progress(&run))
			}
		}
	}
	return nil
}

func progress(run *contest.Run) string {
	if run.Figures == nil {
		return fmt.Sprintf("%s, round %d, %s: FAILED, %d violations", run.Shape, run.Round, run.Contestant, len(run.Violations))
	}
	return fmt.Sprintf("%s, round %d, %s: %.1f steps/s, Job gap p50 %.1f ms, p99 %.1f ms", run.Shape, run.Round, run.Contestant,
		run.Figures.StepsPerSecond, run.Figures.JobGap.P50, run.Figures.JobGap.P99)
}

// git returns what git says, or "" if this is no repository: the figures are worth as much without.
func git(ctx context.Context, source string, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", source}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func writeAll(o *options, r *report.Results) error {
	if o.from == "" {
		if err := r.Write(filepath.Join(o.contest.Out, "results.json")); err != nil {
			return err
		}
	}
	if o.docs == "" {
		return nil
	}
	return r.WriteDocs(o.docs)
}
