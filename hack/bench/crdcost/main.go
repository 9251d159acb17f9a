// Command crdcost measures the CPU time that an API server spends on each status write of a SequentialJob.
// hack/bench/crd-cost.sh starts a server and runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

var stepCounts = []int{5, 20, 100}

type bench struct {
	client dynamic.Interface
	pid    int
	// idle is the share of a CPU that the server uses when nobody asks it anything.
	idle   float64
	writes int
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the API server to measure; it must serve nobody else")
	pid := flag.Int("pid", 0, "its process ID")
	crdFile := flag.String("crd", "", "the file of the CRD")
	beforeFile := flag.String("before", "", "the file of another version of it, to be measured beside it")
	rounds := flag.Int("rounds", 15, "how often each measurement is repeated; the mean counts")
	writes := flag.Int("writes", 30, "status writes of a 100-step object in each round; smaller objects get more")
	flag.Parse()
	if err := run(*kubeconfig, *pid, []string{*crdFile, *beforeFile}, *rounds, *writes); err != nil {
		fmt.Fprintln(os.Stderr, "crdcost:", err)
		os.Exit(1)
	}
}

func run(kubeconfig string, pid int, crdFiles []string, rounds, writes int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	b := &bench{client: client, pid: pid, writes: writes}
	variants, err := variantsOf(crdFiles[0], crdFiles[1])
	if err != nil {
		return err
	}
	for _, v := range variants {
		if err := b.install(ctx, v); err != nil {
			return err
		}
	}
	if err := b.settle(); err != nil {
		return err
	}
	results, err := b.measureAll(ctx, variants, rounds)
	if err != nil {
		return err
	}
	printTable(variants, results)
	return nil
}

// samples are milliseconds by variant and number of steps, one for each round.
type samples map[string]map[int][]float64

// measureAll takes the variants in turn within each round, so that a disturbance hits all of them alike, and the other way round in
// every second one: the first of a round was dearer than the last by a tenth, whichever it was.
func (b *bench) measureAll(ctx context.Context, variants []variant, rounds int) (samples, error) {
	out := samples{}
	for _, v := range variants {
		out[v.name] = map[int][]float64{}
	}
	variants = slices.Clone(variants)
	for round := range rounds {
		slices.Reverse(variants)
		for _, steps := range stepCounts {
			for _, v := range variants {
				ms, err := b.measure(ctx, v, steps)
				if err != nil {
					return nil, fmt.Errorf("%s, %d steps: %w", v.name, steps, err)
				}
				out[v.name][steps] = append(out[v.name][steps], ms)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done\n", round+1, rounds)
	}
	return out, nil
}

// measure returns the CPU milliseconds of one status write.
func (b *bench) measure(ctx context.Context, v variant, steps int) (float64, error) {
	client := b.client.Resource(v.resource()).Namespace("default")
	object, err := client.Create(ctx, sequentialJob(v, steps), metav1.CreateOptions{FieldManager: "kubectl-create"})
	if err != nil {
		return 0, err
	}
	writes := b.writes * 120 / (steps + 20)
	// The first writes fill caches.
	for i := range 5 {
		if object, err = b.writeStatus(ctx, client, object, i); err != nil {
			return 0, err
		}
	}
	cpu, begin, err := b.cpu()
	if err != nil {
		return 0, err
	}
	for i := range writes {
		// Over the whole sequence, as the controller writes, and never the same status twice.
		if object, err = b.writeStatus(ctx, client, object, 5+i*max(1, steps/writes)); err != nil {
			return 0, err
		}
	}
	after, end, err := b.cpu()
	if err != nil {
		return 0, err
	}
	used := (after - cpu) - time.Duration(b.idle*float64(end.Sub(begin)))
	return used.Seconds() * 1000 / float64(writes), client.Delete(ctx, object.GetName(), metav1.DeleteOptions{})
}

func (b *bench) writeStatus(ctx context.Context, client dynamic.ResourceInterface, object *unstructured.Unstructured, write int) (*unstructured.Unstructured, error) {
	setStatus(object, write)
	return client.UpdateStatus(ctx, object, metav1.UpdateOptions{FieldManager: "sequentialjob-controller"})
}

func printTable(variants []variant, results samples) {
	fmt.Println("| CRD | 5 steps | 20 steps | 100 steps |")
	fmt.Println("| --- | --- | --- | --- |")
	for _, v := range variants {
		fmt.Printf("| %s |", v.name)
		for _, steps := range stepCounts {
			fmt.Printf(" %.1f ms |", mean(results[v.name][steps]))
		}
		fmt.Println()
	}
	ours := variants[0]
	for _, v := range variants[1:] {
		fmt.Printf("| ratio: %s to %s |", ours.name, v.name)
		for _, steps := range stepCounts {
			fmt.Printf(" %.2f |", mean(results[ours.name][steps])/mean(results[v.name][steps]))
		}
		fmt.Println()
	}
}

// mean, not median: garbage is collected in some rounds for all, and is part of the price.
func mean(values []float64) (sum float64) {
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}
