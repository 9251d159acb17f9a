package sequence_test

import (
	"fmt"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What a decision costs, by the number of steps: with nothing to do, as for most events, and when the last step but one has ended.
func BenchmarkNext(b *testing.B) {
	for _, steps := range []int{1, 20, 100} {
		names := make([]string, steps)
		for i := range names {
			names[i] = fmt.Sprintf("step-%d", i)
		}
		index := max(steps-2, 0)
		sj := newSequence(names...)
		jobs := upTo(sj, index)
		_, stored := (&server{jobs: jobs}).play(sequence.Facts{Now: created.Time, SequentialJob: sj, Jobs: jobs})
		for _, event := range []struct {
			name string
			job  *batchv1.Job
		}{{"nothing to do", jobs[index]}, {"a step has ended", jobOf(sj, index, complete)}} {
			facts := sequence.Facts{Now: now, SequentialJob: stored, Jobs: append(jobs[:index:index], event.job)}
			b.Run(fmt.Sprintf("%s/%d steps", event.name, steps), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					sequence.Next(facts)
				}
			})
		}
	}
}
