package capacity

import "time"

// memoryShare is how much of its limit the controller may use: 0.9 are GOMEMLIMIT, of which the alert SequentialJobMemory allows 0.7.
const memoryShare = 0.9 * 0.7

// Stock is what there is at the same time if a load comes evenly and nothing waits: Little's law, rate times time.
type Stock struct {
	// Sequences that exist, and those of them that run; Pods are those that run, FinishedPods would be there without a garbage collector.
	Sequences, Running, Pods, FinishedPods float64
	// ControllerMemory is in MiB, EtcdSize in GiB.
	ControllerMemory, EtcdSize float64
	// MostKept is for how long finished sequences can be kept with the memory of the default settings; 0 if not even the running ones fit.
	MostKept time.Duration
	// PodsFor is how long the logs of a finished pod can be read.
	PodsFor time.Duration
}

// Stock computes it.
func (m *Model) Stock(load Load) Stock {
	a := &m.Assumptions
	rate, duration := load.SequencesPerSecond(), float64(load.Steps)*a.StepTime.Seconds()
	s := Stock{
		Running: rate * duration, Sequences: rate * (duration + a.Kept.Seconds()),
		Pods: load.StepsPerSecond() * a.StepTime.Seconds(), FinishedPods: load.StepsPerSecond() * a.Kept.Seconds(),
	}
	s.ControllerMemory = m.Costs.Memory(s.Sequences, load.Steps)
	s.EtcdSize = m.etcdSize(load, &s)
	free := table[ControllerMemory].value*memoryShare - m.Costs.Memory(s.Running, load.Steps)
	aSecondMore := m.Costs.Memory(rate, load.Steps) - m.Costs.MemoryBase
	s.MostKept = seconds(max(free, 0) / aSecondMore)
	s.PodsFor = min(a.Kept, seconds(a.PodsKept/load.StepsPerSecond()))
	return s
}

// etcdSize is that of the objects, the events and the old revisions, in GiB.
func (m *Model) etcdSize(load Load, s *Stock) float64 {
	a, steps := &m.Assumptions, float64(load.Steps)
	objects := s.Sequences*(a.SequenceSize+steps*(a.StepSize+a.JobSize)) + (s.Pods+min(s.FinishedPods, a.PodsKept))*a.PodSize
	events := load.StepsPerSecond() * (a.OtherEvents + m.Costs.Events.Each(load.Steps)) * a.EventsKept.Seconds() * a.EventSize
	writes := m.etcdWrites(load.Steps) * load.StepsPerSecond()
	return (objects + events + writes*a.RevisionsKept.Seconds()*a.RevisionSize) / (kibi * kibi)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
