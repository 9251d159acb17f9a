package controller

import (
	"fmt"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
)

// What a turn costs beside the requests, which go to a fake here: with nothing to do, as for most events, and when a step has ended.
func BenchmarkSync(b *testing.B) {
	for _, steps := range []int{20, 100} {
		names := make([]string, steps)
		for i := range names {
			names[i] = fmt.Sprintf("step-%d", i)
		}
		b.Run(fmt.Sprintf("nothing to do/%d steps", steps), func(b *testing.B) {
			sj, job := sequenceAt(steps-2, names...)
			w := newSyncWorld(b, sj, job)
			b.ReportAllocs()
			for b.Loop() {
				must(b, w.sync())
			}
		})
		b.Run(fmt.Sprintf("a step has ended/%d steps", steps), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				sj, job := sequenceAt(steps-2, names...)
				w := newSyncWorld(b, sj, job)
				w.endJob(job.Name, batchv1.JobComplete, "")
				w.refresh()
				b.StartTimer()
				must(b, w.sync())
			}
		})
	}
}
