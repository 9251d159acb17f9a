package sequence

import "time"

// expire says when a finished SequentialJob is to be deleted.
func (p *planner) expire() {
	ttl, ended := p.sj.Spec.TTLSecondsAfterFinished, p.plan.Status.CompletionTime
	if ttl == nil || ended == nil {
		return
	}
	left := ended.Add(time.Duration(*ttl) * time.Second).Sub(p.now.Time)
	p.plan.Expired = left <= 0
	p.plan.LookAgain = max(0, left)
}
