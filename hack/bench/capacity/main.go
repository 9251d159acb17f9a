// Command capacity says what is used up first when there are more sequences a day, and writes it as markdown.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/example/sequential-job-operator/hack/bench/internal/capacity"
	"github.com/example/sequential-job-operator/hack/bench/internal/report"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	assumptions, settings := capacity.DefaultAssumptions(), capacity.DefaultSettings()
	flags := flag.NewFlagSet("capacity", flag.ContinueOnError)
	results := flags.String("results", "", "results.json of sequences.sh (default: provisional figures)")
	flags.DurationVar(&assumptions.StepTime, "step-time", assumptions.StepTime, "how long a step takes in an idle cluster, in whole seconds")
	flags.DurationVar(&assumptions.Kept, "kept", assumptions.Kept, "how long a finished sequence is kept (ttlSecondsAfterFinished)")
	flags.DurationVar(&assumptions.Latency, "latency", assumptions.Latency, "how long a request takes")
	flags.Float64Var(&assumptions.Headroom, "headroom", assumptions.Headroom, "by how much what is advised exceeds what is needed on average")
	flags.Float64Var(&assumptions.JobControllerRequests, "job-controller-requests", assumptions.JobControllerRequests, "requests of the Job controller a step")
	for _, one := range []struct {
		name, usage string
		knob        capacity.Knob
	}{
		{"apiserver-cores", "cores of all API servers together", capacity.APIServerCores},
		{"etcd-cores", "cores of etcd", capacity.EtcdCores},
		{"etcd-writes", "writes a second that etcd takes", capacity.EtcdWrites},
		{"controller-cores", "cores that the controller gets", capacity.ControllerCores},
		{"job-controller-qps", "--kube-api-qps of kube-controller-manager", capacity.JobControllerQPS},
		{"job-syncs", "--concurrent-job-syncs of kube-controller-manager", capacity.JobSyncs},
	} {
		flags.Float64Var(&settings[one.knob], one.name, settings[one.knob], one.usage)
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	costs, err := read(*results)
	if err != nil {
		return err
	}
	model := &capacity.Model{Costs: costs, Assumptions: assumptions}
	model.WriteMarkdown(out, &settings)
	return nil
}

func read(file string) (*capacity.Costs, error) {
	if file == "" {
		return capacity.Provisional(), nil
	}
	results, err := report.Read(file)
	if err != nil {
		return nil, err
	}
	return capacity.FromResults(results)
}
