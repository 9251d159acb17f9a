// Package capacity says what is used up first when there are more sequences than today: it sets the costs that the benchmark measured
// against what a cluster gives by default, on paper and in a simulation of a day.
package capacity

import (
	"fmt"
	"math"
)

// Knob is something that an operator can raise.
type Knob int

// The knobs, in the order in which they are told.
const (
	JobControllerQPS Knob = iota
	JobSyncs
	SchedulerQPS
	ControllerQPS
	Workers
	ControllerCores
	ControllerMemory
	ManagerCores
	SchedulerCores
	APIServerCores
	EtcdCores
	EtcdWrites
	EtcdQuota
	knobs
)

// Settings are what each knob is set to.
type Settings [knobs]float64

// knob is where it stands by default, in which steps it is raised, and how that is written.
type knob struct {
	value, step float64
	format      string
	// burst is what the burst is by default, in parts of the rate: the format has a second %.0f for it. unit is what the value is
	// multiplied with to be written, unless it is 0.
	burst, unit float64
	source      string
}

var table = [knobs]knob{
	JobControllerQPS: {value: 20, step: 10, format: "kube-controller-manager `--kube-api-qps=%.0f --kube-api-burst=%.0f`", burst: 1.5,
		source: "default; each controller in it has a limit of its own, the garbage collector twice as much"},
	JobSyncs: {value: 5, step: 5, format: "kube-controller-manager `--concurrent-job-syncs=%.0f`", source: "default"},
	SchedulerQPS: {value: 50, step: 10, format: "kube-scheduler `clientConnection: {qps: %.0f, burst: %.0f}`", burst: 2,
		source: "default; events have a limit of their own"},
	ControllerQPS: {value: 500, step: 50, format: "this controller `--kube-api-qps=%.0f --kube-api-burst=%.0f`", burst: 2,
		source: "default; events have a limit of their own, of the same size"},
	Workers:         {value: 50, step: 10, format: "this controller `--workers=%.0f`", source: "default"},
	ControllerCores: {value: 1, step: 1, format: "cores of this controller: %.0f", source: "assumed; the Deployment has no limit"},
	ControllerMemory: {value: 512, step: 256, format: "memory limit of this controller: %.0fMi (and `GOMEMLIMIT`)",
		source: "the Deployment; the alert SequentialJobMemory fires at 70 % of nine tenths of it, and no more is taken for enough"},
	ManagerCores:   {value: 2, step: 1, format: "cores of kube-controller-manager: %.0f", source: "assumed"},
	SchedulerCores: {value: 1, step: 1, format: "cores of kube-scheduler: %.0f", source: "it decides about one pod at a time"},
	APIServerCores: {value: 4, step: 1, format: "cores of all API servers together: %.0f", source: "assumed"},
	EtcdCores:      {value: 4, step: 1, format: "cores of etcd: %.0f", source: "etcd's hardware guide, medium cluster"},
	EtcdWrites: {value: 1000, step: 1000, format: "disks for etcd, for so many writes a second: %.0f",
		source: "etcd's hardware guide: a medium cluster has fewer than 1,000 requests a second, a large one fewer than 10,000"},
	EtcdQuota: {value: 2, step: 1, format: "etcd `--quota-backend-bytes=%.0f`", unit: kibi * kibi * kibi, source: "default; etcd suggests 8 GiB at most"},
}

// mostQuota is what etcd suggests at most, in GiB.
const mostQuota = 8

// DefaultSettings are those of Kubernetes and of this controller, and the assumed hardware.
func DefaultSettings() Settings {
	var out Settings
	for k := range out {
		out[k] = table[k].value
	}
	return out
}

// Raised tells what is higher than in other settings, as it is written.
func (s *Settings) Raised(from *Settings) []string {
	var out []string
	for k, value := range s {
		if value > from[k] {
			out = append(out, table[k].text(value))
		}
	}
	return out
}

func (k *knob) text(value float64) string {
	if k.unit != 0 {
		value *= k.unit
	}
	if k.burst == 0 {
		return fmt.Sprintf(k.format, value)
	}
	return fmt.Sprintf(k.format, value, k.burst*value)
}

// raiseTo raises a knob so that it gives at least so much, in whole steps. It is never turned down.
func (s *Settings) raiseTo(k Knob, value float64) {
	const tolerance = 1e-9 // so that 3.0000000001 steps are 3
	step := table[k].step
	s[k] = max(s[k], math.Ceil(value/step-tolerance)*step)
}
