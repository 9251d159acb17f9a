package capacity

import "time"

// Assumptions are what the benchmark does not measure.
type Assumptions struct {
	// StepTime is how long a step takes in an idle cluster, and Kept how long a finished sequence is kept (ttlSecondsAfterFinished).
	StepTime, Kept time.Duration
	// Latency is how long a request takes: a worker waits for it.
	Latency time.Duration
	// Headroom is by how much what is advised exceeds what is needed on average: with 2, a lot that comes once an hour is done after half of it.
	Headroom float64
	// What others ask for a step: the Job controller in all, the scheduler without its events, and in addition the writes of all to etcd
	// those of the controller.
	JobControllerRequests, SchedulerRequests, OtherWrites float64
	// OtherEvents are those of a step that are not the controller's.
	OtherEvents float64
	// Sizes in etcd in KiB, and for how long events and old revisions are kept.
	SequenceSize, StepSize, JobSize, PodSize, EventSize, RevisionSize float64
	EventsKept, RevisionsKept                                         time.Duration
	// PodsKept is from how many finished pods on the oldest are deleted, and PodsANode how many run on a node.
	PodsKept, PodsANode float64
}

// DefaultAssumptions are those of a cluster that nobody has tuned.
func DefaultAssumptions() Assumptions {
	return Assumptions{
		StepTime: time.Minute, Kept: time.Hour, Latency: 20 * time.Millisecond, Headroom: 2,
		JobControllerRequests: 6, SchedulerRequests: 1, OtherWrites: 16, OtherEvents: 6,
		SequenceSize: 3, StepSize: 1, JobSize: 3, PodSize: 5, EventSize: 0.7, RevisionSize: 3,
		EventsKept: time.Hour, RevisionsKept: 10 * time.Minute,
		PodsKept: 12500, PodsANode: 110,
	}
}

// Sources say for each assumption where it comes from.
func (a *Assumptions) Sources() [][]string {
	return [][]string{
		{"a step in an idle cluster takes", a.StepTime.String(), "-step-time"},
		{"a finished sequence is kept for", a.Kept.String(), "-kept; `ttlSecondsAfterFinished`"},
		{"a request takes", a.Latency.String(), "-latency; of a busy API server"},
		{"requests of the Job controller a step", number(a.JobControllerRequests),
			"-job-controller-requests: pod, its finalizer, two or three statuses, two events; 20 / 6 are the three Jobs a second that were measured with its defaults"},
		{"requests of the scheduler a step", number(a.SchedulerRequests), "the binding"},
		{"writes of others to etcd a step", number(a.OtherWrites), "Job controller 6, scheduler 2, kubelet 6 (three statuses, three events), garbage collector 2"},
		{"events of others a step", number(a.OtherEvents), "Job controller 2, scheduler 1, kubelet 3"},
		{"KiB in etcd: a SequentialJob and for each step of it, a Job, a pod, an event, an old revision",
			join(a.SequenceSize, a.StepSize, a.JobSize, a.PodSize, a.EventSize, a.RevisionSize), "small specs"},
		{"events are kept for", a.EventsKept.String(), "kube-apiserver --event-ttl"},
		{"old revisions are kept for", a.RevisionsKept.String(), "twice kube-apiserver --etcd-compaction-interval"},
		{"finished pods from which on the oldest are deleted", number(a.PodsKept), "kube-controller-manager --terminated-pod-gc-threshold"},
		{"pods on a node", number(a.PodsANode), "kubelet, maxPods"},
		{"what is advised exceeds what is needed by", number(a.Headroom), "-headroom"},
	}
}
