package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/memory"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

type options struct {
	cluster setup.Options
	contest contest.Options
	source  string
	modes   listFlag
	shapes  shapesFlag
	rounds  int
	check   bool
	memory  memory.Options
	crash   contest.Shape
	crashes int
	deleted contest.Shape
	from    string
	docs    string
}

func parseFlags() *options {
	o := &options{
		cluster: setup.Options{PIDs: map[string]int{}},
		modes:   listFlag{"throughput"},
		memory:  memory.Options{Sizes: []int{1000, 10000, 50000}, Report: tell},
		crash:   contest.Shape{Sequences: 50, Steps: 5},
		deleted: contest.Shape{Sequences: 1000, Steps: 10},
		shapes:  shapesFlag{{Sequences: 1, Steps: 20}, {Sequences: 50, Steps: 5}, {Sequences: 200, Steps: 5}},
	}
	flag.StringVar(&o.cluster.Kubeconfig, "kubeconfig", "", "kubeconfig of an administrator (set by sequences.sh)")
	flag.StringVar(&o.cluster.AuditLog, "audit-log", "", "the API server's audit log (set by sequences.sh)")
	flag.StringVar(&o.cluster.Etcd, "etcd", "", "where etcd listens (set by sequences.sh)")
	flag.Var(pidsFlag(o.cluster.PIDs), "pid", "NAME=PID of a process of the cluster; repeat it (set by sequences.sh)")
	flag.StringVar(&o.contest.Controller, "controller", "", "the controller's binary (set by sequences.sh)")
	flag.StringVar(&o.contest.Out, "out", ".", "folder for results and logs (set by sequences.sh)")
	flag.StringVar(&o.source, "source", ".", "folder of the project's source, to name its commit (set by sequences.sh)")
	flag.Var((*listFlag)(&o.contest.ControllerFlags), "controller-flags", "more flags of the controller, separated by spaces")
	flag.StringVar(&o.contest.AdvanceOn, "advance-on", "", "spec.advanceOn of the sequences: PodSucceeded or JobComplete (default: not set)")
	flag.Var(&o.modes, "modes", "what to measure, separated by spaces: throughput memory recovery deletion")
	flag.Var(&o.shapes, "shapes", "SEQUENCESxSTEPS or SEQUENCESxSTEPS@DURATION, separated by commas")
	flag.IntVar(&o.rounds, "rounds", 2, "how often each shape is run by each contestant, in turn")
	flag.BoolVar(&o.check, "check-requests", false, "fail if the controller asks for more than two writes and one read a step, and what each sequence needs in addition")
	flag.Var((*numbersFlag)(&o.memory.Sizes), "memory", "how many finished sequences there are, in ascending order, separated by commas")
	flag.IntVar(&o.memory.Steps, "memory-steps", 3, "of how many steps these are")
	flag.DurationVar(&o.memory.Idle, "memory-idle", 20*time.Second, "for how long the controller is watched doing nothing")
	flag.Var((*shapeFlag)(&o.crash), "recovery", "shape that runs when the controller is killed")
	flag.IntVar(&o.crashes, "crashes", 3, "how often it is killed, each time in another run")
	flag.Var((*shapeFlag)(&o.deleted), "deletion", "shape that is deleted while its first steps run")
	flag.StringVar(&o.from, "from", "", "measure nothing, and tell what was written to this results.json")
	flag.StringVar(&o.docs, "docs", "", "folder to write results.json, tables and plots to, for the documentation")
	flag.Parse()
	return o
}

// chosenFlags are the flags that somebody chose. The rest is set by sequences.sh, and says nothing to another machine.
func chosenFlags() []string {
	var out []string
	flag.Visit(func(f *flag.Flag) {
		if !strings.Contains(f.Usage, "set by sequences.sh") {
			out = append(out, fmt.Sprintf("-%s=%s", f.Name, f.Value))
		}
	})
	return out
}

// listFlag is words separated by spaces. The first time that it is set, it forgets what it was by default.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, " ") }

func (l *listFlag) Set(value string) error {
	*l = strings.Fields(value)
	return nil
}

// tell says how far the benchmark is.
func tell(line string) { fmt.Fprintln(os.Stderr, line) }

type numbersFlag []int

func (n *numbersFlag) String() string { return strings.Trim(fmt.Sprint([]int(*n)), "[]") }

func (n *numbersFlag) Set(value string) error {
	*n = nil
	for text := range strings.SplitSeq(value, ",") {
		number, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		*n = append(*n, number)
	}
	return nil
}

type shapeFlag contest.Shape

func (s *shapeFlag) String() string { return contest.Shape(*s).String() }

func (s *shapeFlag) Set(value string) error {
	shape, err := contest.ParseShape(value)
	*s = shapeFlag(shape)
	return err
}

type shapesFlag []contest.Shape

func (s *shapesFlag) String() string {
	var out []string
	for _, shape := range *s {
		out = append(out, shape.String())
	}
	return strings.Join(out, ",")
}

func (s *shapesFlag) Set(value string) error {
	*s = nil
	for text := range strings.SplitSeq(value, ",") {
		shape, err := contest.ParseShape(text)
		if err != nil {
			return err
		}
		*s = append(*s, shape)
	}
	return nil
}

type pidsFlag map[string]int

func (p pidsFlag) String() string { return "" }

func (p pidsFlag) Set(value string) error {
	name, text, _ := strings.Cut(value, "=")
	pid, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not NAME=PID: %w", value, err)
	}
	p[name] = pid
	return nil
}
