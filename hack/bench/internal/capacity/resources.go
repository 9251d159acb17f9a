package capacity

import (
	"cmp"
	"slices"
	"time"
)

// Load is how many sequences there are.
type Load struct {
	SequencesPerDay float64
	Steps           int
}

const day = 24 * time.Hour

// StepsPerSecond is the rate if they come evenly.
func (l Load) StepsPerSecond() float64 { return l.SequencesPerSecond() * float64(l.Steps) }

// SequencesPerSecond is the same for sequences.
func (l Load) SequencesPerSecond() float64 { return l.SequencesPerDay / day.Seconds() }

// Resource is something that each step uses up.
type Resource struct {
	Name string
	Knob Knob
	// Demand is what a step needs, in the knob's unit and seconds.
	Demand float64
	// OnPath says that a step waits for it. What is not only leaves things lying about for longer.
	OnPath bool
	// Ours says that there is as much again for each controller more.
	Ours bool
}

// Model is everything that the answers depend on.
type Model struct {
	Costs       *Costs
	Assumptions Assumptions
}

// Resources are what a step of such a sequence uses up, in the order in which it meets them.
func (m *Model) Resources(steps int) []Resource {
	c, a := m.Costs, &m.Assumptions
	requests, latency := c.Requests.Each(steps), a.Latency.Seconds()
	deletion := 1 / float64(steps) // the controller deletes each sequence once
	return []Resource{
		{"this controller: requests", ControllerQPS, requests + deletion, true, true},
		{"this controller: events", ControllerQPS, c.Events.Each(steps), false, true},
		{"this controller: workers", Workers, (requests + deletion) * latency, true, true},
		{"this controller: CPU", ControllerCores, c.CPU[controller], true, true},
		{"Job controller: requests", JobControllerQPS, a.JobControllerRequests, true, false},
		{"Job controller: workers", JobSyncs, a.JobControllerRequests * latency, true, false},
		{"kube-controller-manager: CPU", ManagerCores, c.CPU[manager], true, false},
		{"kube-scheduler: requests", SchedulerQPS, a.SchedulerRequests, true, false},
		{"kube-scheduler: CPU", SchedulerCores, c.CPU[scheduler], true, false},
		// A Job and a pod, two requests each, at twice the rate that the flag says.
		{"garbage collector: requests", JobControllerQPS, 2 * 2 / 2., false, false},
		{"API server: CPU", APIServerCores, c.CPU[apiServer], true, false},
		{"etcd: CPU", EtcdCores, c.CPU[etcd], true, false},
		{"etcd: writes", EtcdWrites, m.etcdWrites(steps), true, false},
	}
}

// etcdWrites is how often something is stored for a step, whoever does it. In addition, each sequence is created and deleted once.
func (m *Model) etcdWrites(steps int) float64 {
	return m.Costs.Writes.Each(steps) + m.Costs.Events.Each(steps) + m.Assumptions.OtherWrites + 2/float64(steps)
}

// Holds is how many steps a second the resource is enough for.
func (r *Resource) Holds(s *Settings) float64 { return s[r.Knob] / r.Demand }

// Utilisation is what share of it is used: more than 1 cannot last.
func (r *Resource) Utilisation(load Load, s *Settings) float64 {
	return load.StepsPerSecond() / r.Holds(s)
}

// ByUtilisation sorts resources: the first is the bottleneck, the second the one after it has been raised.
func ByUtilisation(resources []Resource, load Load, s *Settings) []Resource {
	return slices.SortedStableFunc(slices.Values(resources), func(a, b Resource) int {
		return cmp.Compare(b.Utilisation(load, s), a.Utilisation(load, s))
	})
}

// Advise raises what is not enough for the load with the headroom, and nothing else.
func (m *Model) Advise(load Load, from Settings) Settings {
	resources := m.Resources(load.Steps)
	for i := range resources {
		r := &resources[i]
		from.raiseTo(r.Knob, r.Demand*load.StepsPerSecond()*m.Assumptions.Headroom)
	}
	stock := m.Stock(load)
	from.raiseTo(ControllerMemory, stock.ControllerMemory/memoryShare)
	from.raiseTo(EtcdQuota, stock.EtcdSize)
	return from
}

// Controllers is how many it takes, by namespaces of the same size, if none of them is raised; 0 if that does not help.
func (m *Model) Controllers(load Load, s *Settings) int {
	const most = 1000
	for n := 1; n <= most; n++ {
		each := Load{SequencesPerDay: load.SequencesPerDay / float64(n), Steps: load.Steps}
		advised := m.Advise(each, *s)
		if advised[ControllerQPS] <= s[ControllerQPS] && advised[Workers] <= s[Workers] &&
			advised[ControllerCores] <= s[ControllerCores] && advised[ControllerMemory] <= s[ControllerMemory] {
			return n
		}
	}
	return 0
}
