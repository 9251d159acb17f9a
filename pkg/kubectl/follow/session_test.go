package follow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

var (
	stream    = follow.Stream{Key: follow.Key{Pod: "a1", Container: "a"}, Namespace: "ns", Name: "a1"}
	following = follow.Options{Follow: true}
)

// round is one stream: where the container stood when it was asked for, what it brought, and where the container stood then.
type round struct {
	before follow.Stand
	got    follow.Outcome
	after  follow.Stand
}

func brought(lines int, shown int64) follow.Outcome {
	return follow.Outcome{Received: follow.Received{Lines: lines, Shown: shown}}
}

func TestWhenALogIsBelievedToBeComplete(t *testing.T) {
	var (
		broken  = follow.Outcome{Received: follow.Received{Lines: 1, Shown: 5}, Failure: errors.New("reset")}
		refused = follow.Outcome{Failure: errors.New("refused")}
		nothing = follow.Outcome{Received: follow.Received{Gap: true}}
	)
	for name, test := range map[string]struct {
		options follow.Options
		rounds  []round
		want    follow.Verdict
	}{
		"not when a stream ends although the container runs": {
			following, []round{{follow.Running, brought(3, 30), follow.Running}}, follow.Verdict{Again: true, Delay: time.Second},
		},
		"not when a stream ends because the container does": {
			following, []round{{follow.Running, brought(3, 30), follow.Ended}}, follow.Verdict{Again: true},
		},
		"not while more comes": {
			following, []round{{follow.Ended, brought(3, 30), follow.Ended}}, follow.Verdict{Again: true},
		},
		"when the container has ended and nothing more comes": {
			following, []round{{follow.Ended, brought(3, 30), follow.Ended}, {follow.Ended, brought(1, 0), follow.Ended}}, follow.Verdict{},
		},
		"not when not even what was shown comes again": {
			following, []round{{follow.Ended, brought(3, 30), follow.Ended}, {follow.Ended, nothing, follow.Ended}}, follow.Verdict{Again: true, Delay: time.Second},
		},
		"when that is so twice": {
			following, []round{{follow.Ended, nothing, follow.Ended}, {follow.Ended, nothing, follow.Ended}}, follow.Verdict{},
		},
		"not by what another run brought": {
			following, []round{{follow.Ended, brought(1, 0), follow.Replaced}}, follow.Verdict{Again: true},
		},
		"with a look at it, when what there is was shown": {
			follow.Options{}, []round{{follow.Running, brought(3, 30), follow.Running}}, follow.Verdict{},
		},
		"not when it broke, which passes and is not told": {
			following, []round{{follow.Running, broken, follow.Running}}, follow.Verdict{Again: true, Delay: time.Second},
		},
		"not when it stays out of reach, which is told": {
			following, []round{{follow.Running, refused, follow.Running}, {follow.Running, refused, follow.Running}},
			follow.Verdict{Again: true, Delay: 2 * time.Second, Note: "Waiting for the log of pod a1: refused"},
		},
		"told once": {
			following, []round{{follow.Running, refused, follow.Running}, {follow.Running, refused, follow.Running}, {follow.Running, refused, follow.Running}},
			follow.Verdict{Again: true, Delay: 4 * time.Second},
		},
		"never, if the container has ended and its log stays out of reach": {
			following, []round{
				{follow.Ended, refused, follow.Ended}, {follow.Ended, refused, follow.Ended}, {follow.Ended, refused, follow.Ended},
				{follow.Ended, refused, follow.Ended}, {follow.Ended, refused, follow.Ended},
			},
			follow.Verdict{Note: "The log of pod a1 cannot be read to its end: refused"},
		},
		"never, if the pod is gone before that": {
			following, []round{{follow.Running, broken, follow.Gone}}, follow.Verdict{Note: "Pod a1 is gone, and with it what was left of its log"},
		},
		"perhaps, if the pod is gone after the stream came to an end": {
			following, []round{{follow.Running, brought(3, 30), follow.Ended}, {follow.Ended, refused, follow.Gone}},
			follow.Verdict{Note: "Pod a1 is gone: the end of its log may be missing"},
		},
		"never, if it was started again too often": {
			following, []round{{follow.Running, broken, follow.Lost}},
			follow.Verdict{Note: "The rest of this log is lost: container a of pod a1 was started again more than once"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			session := follow.NewSession(stream, test.options)
			var got follow.Verdict
			for _, r := range test.rounds {
				session.Request(r.before, time.Time{}, follow.Request{})
				got = session.Judge(r.got, r.after)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	base := follow.Request{Namespace: "ns", Pod: "a1", Container: "a"}
	with := func(change func(*follow.Request)) follow.Request {
		request := base
		change(&request)
		return request
	}
	first := follow.Request{TailLines: new(int64(5)), SinceSeconds: new(int64(60))}
	for name, test := range map[string]struct {
		options follow.Options
		stand   follow.Stand
		since   time.Time
		want    follow.Request
	}{
		"what comes, of one that runs":      {following, follow.Running, epoch, with(func(r *follow.Request) { r.Follow, r.Since = true, epoch })},
		"what there is, of one that ended":  {following, follow.Ended, epoch, with(func(r *follow.Request) { r.Since = epoch })},
		"what there is, if that is wanted":  {follow.Options{}, follow.Running, epoch, with(func(r *follow.Request) { r.Since = epoch })},
		"the previous run, of one replaced": {following, follow.Replaced, epoch, with(func(r *follow.Request) { r.Previous, r.Since = true, epoch })},
		"what the user wants, the first time": {following, follow.Ended, time.Time{}, with(func(r *follow.Request) {
			r.TailLines, r.SinceSeconds = first.TailLines, first.SinceSeconds
		})},
	} {
		t.Run(name, func(t *testing.T) {
			got := follow.NewSession(stream, test.options).Request(test.stand, test.since, first)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
