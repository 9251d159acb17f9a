package follow

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Reason is why nothing is shown.
type Reason struct {
	// Kind stays the same while the reason does. It is empty if there is nothing to tell.
	Kind string
	// Text says it in full.
	Text string
}

// whyWait says why a sequence makes no progress, or what it does before there is a log.
func whyWait(s *State) Reason {
	sj := s.SequentialJob
	c := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
	advice := sequence.Advise(sj)
	switch {
	case c == nil:
		return Reason{Kind: "unseen", Text: advice.Text}
	case sequence.Finished(&sj.Status):
		return Reason{Kind: "edited", Text: "the controller has not answered the last edit yet"}
	case sj.Status.Phase == v1alpha1.SequentialJobSuspended:
		return Reason{Kind: "suspended " + c.Message, Text: sentence(c.Message) + advice.Text}
	case c.Reason == v1alpha1.ReasonRetrying:
		return Reason{Kind: c.Message, Text: c.Message}
	}
	if reason := whyNoPod(s); reason.Kind != "" {
		return reason
	}
	cause := sequence.RootCause(sj)
	return Reason{Kind: kindOf(cause), Text: cause}
}

// whyNoPod says why the Job that was started last has no pod that runs.
func whyNoPod(s *State) Reason {
	all := attemptsOf(s)
	if len(all) == 0 {
		return Reason{}
	}
	a := &all[len(all)-1]
	if a.hasEnded() {
		return Reason{}
	}
	cause, _ := sequence.WhyNotReady(a.job, a.step, a.pods)
	if cause.Reason == "" {
		return Reason{}
	}
	return Reason{Kind: a.name + " " + kindOf(cause.Message), Text: a.step + " " + cause.Verb + ": " + cause.Message}
}

// kindOf is what stays the same of a cause while kubelet and scheduler change its words.
func kindOf(cause string) string {
	kind, _, _ := strings.Cut(cause, ":")
	if kind == "ErrImagePull" {
		return "ImagePullBackOff"
	}
	return kind
}

func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + ". "
}
