package follow

import (
	"bytes"
	"time"
)

const (
	// maxStamp is longer than any timestamp of kubelet.
	maxStamp = 40
	// maxRemark is how much is kept of what kubelet says instead of a log.
	maxRemark = 1024
	// overlap is by how much more than needed is asked for again. Lines of standard output and standard error may be in a log in
	// another order than their timestamps.
	overlap = time.Second
)

// Filter takes the log of a container as kubelet sends it, with timestamps, and writes what was not shown yet. It knows lines by their
// timestamps and, of lines that have the same, by their number. A line may be of any length: none is kept.
//
// It trusts that a stream that begins again has the lines in the same order. A log that was rotated in between has only the later ones.
type Filter struct {
	// OnGap is called before a line is shown if the line that was shown last did not come again, although it was asked for: the log was
	// rotated in between, and what was written to its old part meanwhile is not to be had.
	OnGap func()
	// IsExcerpt says that the first stream did not bring the log from its beginning, because that was not asked for.
	IsExcerpt bool

	out        *Output
	prefix     string
	timestamps bool

	head  []byte // of the current line, up to where its timestamp ends
	state lineState
	line  line
	// recent are the timestamps of the lines that were shown to their end, as far as they may come again.
	recent []int64
	// partial is the line that was shown, but not to its end.
	partial *line
	// repeated says how many lines of a timestamp are to come again.
	repeated map[int64]int

	isAgain bool
	// first is the timestamp of the line that was shown first.
	first *int64
	// awaited is the timestamp of the line that was shown last, until a stream that begins again has brought it.
	awaited *int64
	result  Received
}

// line is one whose timestamp is known.
type line struct {
	at    int64  // nanoseconds
	stamp []byte // as it was sent, with the blank after it
	got   int64  // bytes of it that the current stream brought
	shown int64  // bytes of it that were shown
	isOld bool   // shown to its end by an earlier stream
}

type lineState int

const (
	atStamp lineState = iota
	inLine
	inRemark
)

// Received is what one stream brought.
type Received struct {
	// Lines is the number of lines that began in it, new or not.
	Lines int
	// Shown is the number of bytes of the log that were written.
	Shown int64
	// Gap says that the line that was shown last did not come again, although it was asked for, nor any other: the log was rotated.
	Gap bool
	// Remark is what came instead of a log: an error that kubelet found only after it had begun to answer.
	Remark string
}

// NewFilter returns a filter that puts a prefix before each line, and the timestamp after that if it is asked to.
func NewFilter(out *Output, prefix string, timestamps bool) *Filter {
	return &Filter{out: out, prefix: prefix, timestamps: timestamps}
}

// Write takes a part of the stream, which may begin and end anywhere.
func (f *Filter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		switch f.state {
		case atStamp:
			p = f.takeStamp(p)
		case inRemark:
			p = f.takeRemark(p)
		case inLine:
			chunk, rest := p, []byte(nil)
			if i := bytes.IndexByte(p, '\n'); i >= 0 {
				chunk, rest = p[:i+1], p[i+1:]
			}
			if err := f.take(chunk); err != nil {
				return n - len(p), err
			}
			p = rest
		}
	}
	return n, nil
}

// takeStamp takes the timestamp of a line, or a part of it.
func (f *Filter) takeStamp(p []byte) []byte {
	n := min(len(p), maxStamp-len(f.head))
	i := bytes.IndexAny(p[:n], " \n")
	if i >= 0 {
		n = i + 1
	}
	f.head = append(f.head, p[:n]...)
	if i < 0 && len(f.head) < maxStamp {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, string(bytes.TrimSuffix(f.head, []byte(" "))))
	if err != nil {
		f.state = inRemark
		return append(f.takeHead(), p[n:]...)
	}
	f.begin(at.UnixNano(), f.takeHead())
	return p[n:]
}

func (f *Filter) takeHead() []byte {
	head := f.head
	f.head = nil
	return head
}

// begin begins a line.
func (f *Filter) begin(at int64, stamp []byte) {
	if f.result.Lines == 0 && f.isAgain {
		f.result.Remark = "" // it was the end of a line that began before what was asked for
	}
	f.result.Lines++
	f.state, f.line = inLine, line{at: at, stamp: stamp}
	if f.awaited != nil && *f.awaited == at {
		f.awaited = nil
	}
	if f.first == nil {
		f.first = new(at)
	}
	switch {
	case f.isAgain && f.IsExcerpt && at < *f.first:
		f.line.isOld = true // not shown, and not wanted
	case f.repeated[at] > 0:
		f.repeated[at]--
		f.line.isOld = true
	case f.partial != nil && f.partial.at == at:
		f.line.shown = f.partial.shown
		f.repeated = nil
	default:
		if f.awaited != nil && f.OnGap != nil {
			f.OnGap()
		}
		f.partial, f.repeated, f.awaited = nil, nil, nil
	}
}

// take takes a part of the current line.
func (f *Filter) take(chunk []byte) error {
	isEnd := chunk[len(chunk)-1] == '\n'
	before := f.line.got
	f.line.got += int64(len(chunk))
	if isEnd {
		f.state = atStamp
	}
	if f.line.isOld || f.line.got <= f.line.shown && !isEnd {
		return nil
	}
	fresh := chunk[min(max(0, f.line.shown-before), int64(len(chunk)-1)):]
	if err := f.show(fresh); err != nil {
		return err
	}
	f.line.shown = max(f.line.shown, f.line.got)
	if isEnd {
		f.partial = nil
		f.remember(f.line.at)
		return nil
	}
	shown := f.line
	f.partial = &shown
	return nil
}

func (f *Filter) show(p []byte) error {
	before := []byte(f.prefix)
	if f.timestamps && f.line.shown == 0 {
		before = append(before, f.line.stamp...)
	}
	f.result.Shown += int64(len(p))
	return f.out.write(before, p)
}

func (f *Filter) remember(at int64) {
	f.recent = append(f.recent, at)
	from := sinceOf(at).UnixNano()
	for f.recent[0] < from {
		f.recent = f.recent[1:]
	}
}

func (f *Filter) takeRemark(p []byte) []byte {
	n := len(p)
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		n = i + 1
		f.state = atStamp
	}
	f.result.Remark += string(p[:min(n, maxRemark-min(maxRemark, len(f.result.Remark)))])
	return p[n:]
}

// End ends a stream, and returns what it brought. What is written from then on is another stream of the same container.
func (f *Filter) End() Received {
	if f.state == atStamp && len(f.head) > 0 && (f.head[0] < '0' || f.head[0] > '9') {
		f.takeRemark(f.head)
	}
	result := f.result
	result.Gap = f.awaited != nil && result.Lines == 0
	result.Remark = string(bytes.TrimSpace([]byte(result.Remark)))
	f.head, f.state, f.result, f.isAgain = nil, atStamp, Received{}, true
	f.repeated = map[int64]int{}
	for _, at := range f.recent {
		f.repeated[at]++
	}
	f.awaited = f.last()
	return result
}

// last is the timestamp of the line that was shown last, if one was.
func (f *Filter) last() *int64 {
	switch {
	case f.partial != nil:
		return &f.partial.at
	case len(f.recent) > 0:
		return &f.recent[len(f.recent)-1]
	}
	return nil
}

// Restart tells that what comes next is by another run of the container: it does not end the last line of the one before.
func (f *Filter) Restart() {
	if f.partial != nil {
		f.remember(f.partial.at)
		f.partial = nil
		f.End()
	}
	f.awaited = nil
}

// Since is the time from which on a stream is to begin that goes on where the last one ended: at a full second, because that is
// all that a request can say. It is zero if nothing was shown yet.
func (f *Filter) Since() time.Time {
	if last := f.last(); last != nil {
		return sinceOf(*last)
	}
	return time.Time{}
}

func sinceOf(at int64) time.Time {
	return time.Unix(0, at).Truncate(time.Second).Add(-overlap).UTC()
}
