package follow_test

import (
	"fmt"
	"math/rand"
	"strings"
	"time"
)

// entry is a line of a log as kubelet has it.
type entry struct {
	at   time.Time
	text string // with its end, unless it is the last and has none
}

// fakeLog is the log of one run of a container.
type fakeLog []entry

var epoch = time.Date(2026, 9, 14, 10, 0, 0, 0, time.UTC)

// newFakeLog returns a random log: of lines that share a timestamp, are empty, long, binary, or look like timestamps themselves.
func newFakeLog(random *rand.Rand, lines int) fakeLog {
	var log fakeLog
	at := epoch.Add(time.Duration(random.Int63n(int64(time.Second))))
	for i := range lines {
		switch random.Intn(4) {
		case 0: // the same
		case 1:
			at = at.Add(time.Duration(random.Int63n(int64(3 * time.Second))))
		default:
			at = at.Add(time.Duration(1 + random.Intn(1000)))
		}
		text := []string{
			"", fmt.Sprint("line ", i), "\x00\xff\x1b[31m\r", at.Format(time.RFC3339Nano) + " twice", strings.Repeat("x", random.Intn(200)), "same",
		}[random.Intn(6)]
		log = append(log, entry{at: at, text: text + "\n"})
	}
	if lines > 0 && random.Intn(2) == 0 {
		last := &log[lines-1]
		last.text = strings.TrimSuffix(last.text, "\n") + "no end"
	}
	return log
}

// content is what the container wrote.
func (l fakeLog) content() string {
	var out strings.Builder
	for _, e := range l {
		out.WriteString(e.text)
	}
	return out.String()
}

const stampFormat = "2006-01-02T15:04:05.000000000Z07:00"

// stream is what kubelet sends of it, from a time on.
func (l fakeLog) stream(since time.Time) string {
	var out strings.Builder
	for _, e := range l {
		if !e.at.Before(since) {
			out.WriteString(e.at.Format(stampFormat) + " " + e.text)
		}
	}
	return out.String()
}
