package follow

import (
	"fmt"
	"time"
)

// Request is what to ask the API server for.
type Request struct {
	Namespace, Pod, Container string
	// Follow waits for more.
	Follow bool
	// Previous asks for the run before the latest.
	Previous bool
	// Since leaves out what is older; zero means nothing.
	Since time.Time
	// SinceSeconds and TailLines are what the user asked for.
	SinceSeconds, TailLines *int64
}

// Outcome is how a stream ended.
type Outcome struct {
	Received
	// Failure says why it broke, or could not be opened; nil if it came to an end.
	Failure error
	// Waits says that it could not be opened because the container has not started.
	Waits bool
}

// Verdict is what to do after a stream has ended.
type Verdict struct {
	// Again asks for the next stream: at once, or after Delay, or as soon as something changes.
	Again bool
	Delay time.Duration
	// Note is to be told.
	Note string
}

const (
	minDelay = time.Second
	maxDelay = 15 * time.Second
	// maxFailures is how often in a row a log cannot be read before it is given up, unless it may get longer.
	maxFailures = 5
)

// Session reads the log of one run of a container, in as many streams as it takes.
type Session struct {
	stream   Stream
	options  Options
	request  Request
	failures int
	isTold   bool
	// isWhole says that the last stream that brought anything came to an end.
	isWhole bool
	// isBroken says that the stream before broke.
	isBroken bool
	// isDoubted says that a stream that brought nothing was not believed once.
	isDoubted bool
}

// NewSession returns a session that has read nothing yet.
func NewSession(stream Stream, options Options) *Session {
	return &Session{stream: stream, options: options}
}

// Request is what to ask for next, given where the container stands and since when what comes next is not known.
func (x *Session) Request(stand Stand, since time.Time, first Request) Request {
	x.request = Request{
		Namespace: x.stream.Namespace, Pod: x.stream.Name, Container: x.stream.Container,
		Follow: x.options.Follow && (stand == Running || stand == NotStarted), Previous: stand == Replaced, Since: since,
	}
	if since.IsZero() {
		x.request.SinceSeconds, x.request.TailLines = first.SinceSeconds, first.TailLines
	}
	return x.request
}

// Judge says what to do after the stream that was asked for last has ended, given where the container stands by now. A stream that
// ends is no proof that the log does: it ends just so if the connection between API server and node is cut. The proof is that the
// container has ended, and that there is nothing more to read.
func (x *Session) Judge(got Outcome, stand Stand) Verdict {
	hasFailed := got.Failure != nil || got.Remark != ""
	hasGap := got.Gap && !hasFailed && x.isBroken
	x.isBroken = hasFailed
	if !hasFailed || got.Lines > 0 {
		x.isWhole = !hasFailed
	}
	verdict := x.judge(got, stand, hasFailed)
	if hasGap && verdict.Note == "" {
		verdict.Note = x.stream.GapNote()
	}
	return verdict
}

// GapNote says that the log was rotated while nothing could be read.
func (s *Stream) GapNote() string {
	return "The log of pod " + s.Name + " was rotated while it could not be read: lines may be missing here"
}

func (x *Session) judge(got Outcome, stand Stand, hasFailed bool) Verdict {
	if hasFailed && got.Shown == 0 && (!got.Waits || !x.options.Follow) {
		x.failures++
	} else {
		x.failures = 0
	}
	switch {
	case stand == Gone && x.isWhole:
		return Verdict{Note: fmt.Sprintf("Pod %s is gone: the end of its log may be missing", x.stream.Name)}
	case stand == Gone:
		return Verdict{Note: fmt.Sprintf("Pod %s is gone, and with it what was left of its log", x.stream.Name)}
	case stand == Lost:
		return Verdict{Note: fmt.Sprintf("The rest of this log is lost: container %s of pod %s was started again more than once", x.stream.Container, x.stream.Name)}
	case hasFailed:
		return x.judgeFailure(got, stand)
	case stand == Running && !x.options.Follow:
		return Verdict{}
	case stand == Running, stand == NotStarted:
		return Verdict{Again: true, Delay: minDelay}
	case got.Shown > 0 || x.request.Follow || x.request.Previous != (stand == Replaced):
		return Verdict{Again: true}
	case got.Gap && !x.isDoubted:
		x.isDoubted = true // not even what was shown already came: perhaps it was cut off
		return Verdict{Again: true, Delay: minDelay}
	}
	return Verdict{}
}

// judgeFailure is about a stream that broke, or could not be opened.
func (x *Session) judgeFailure(got Outcome, stand Stand) Verdict {
	mayGrow := x.options.Follow && (stand == Running || stand == NotStarted)
	why := got.Remark
	if got.Failure != nil {
		why = got.Failure.Error()
	}
	if x.failures >= maxFailures && !mayGrow {
		return Verdict{Note: fmt.Sprintf("The log of pod %s cannot be read to its end: %s", x.stream.Name, why)}
	}
	verdict := Verdict{Again: true, Delay: min(minDelay<<max(0, x.failures-1), maxDelay)}
	if got.Waits {
		verdict.Delay = minDelay
	}
	if x.failures > 1 && !x.isTold { // what is over at once is not worth telling
		x.isTold = true
		verdict.Note = "Waiting for the log of pod " + x.stream.Name + ": " + why
	}
	return verdict
}

// HasFailed says whether the log was given up.
func (x *Session) HasFailed() bool { return x.failures >= maxFailures }
