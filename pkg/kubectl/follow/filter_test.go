package follow_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// showBroken shows a log whose streams break where cuts say, and are cut into parts of a random size. It returns what was shown.
func showBroken(t testing.TB, random *rand.Rand, log fakeLog, cuts []int) string {
	var out bytes.Buffer
	f := follow.NewFilter(follow.NewOutput(&out), "", false)
	for _, cut := range append(cuts, 1<<30) {
		stream := log.stream(f.Since())
		stream = stream[:min(cut, len(stream))]
		for stream != "" {
			n := min(len(stream), 1+random.Intn(64))
			if _, err := f.Write([]byte(stream[:n])); err != nil {
				t.Fatal(err)
			}
			stream = stream[n:]
		}
		if got := f.End(); got.Remark != "" {
			t.Errorf("taken for what kubelet says: %q", got.Remark)
		}
	}
	return out.String()
}

// Wherever streams break, within lines and within timestamps, the log is shown to the end and once.
func TestABrokenStreamShowsEverythingOnce(t *testing.T) {
	for seed := range int64(2000) {
		random := rand.New(rand.NewSource(seed))
		log := newFakeLog(random, random.Intn(30))
		var cuts []int
		for range random.Intn(6) {
			cuts = append(cuts, random.Intn(len(log.stream(time.Time{}))+1))
		}
		if diff := cmp.Diff(log.content(), showBroken(t, random, log, cuts)); diff != "" {
			t.Fatalf("seed %d, cuts %v (-written +shown):\n%s", seed, cuts, diff)
		}
	}
}

func FuzzABrokenStreamShowsEverythingOnce(f *testing.F) {
	f.Add(int64(1), []byte{3, 200, 70})
	f.Fuzz(func(t *testing.T, seed int64, cuts []byte) {
		random := rand.New(rand.NewSource(seed))
		log := newFakeLog(random, random.Intn(20))
		var at []int
		for _, cut := range cuts {
			at = append(at, 3*int(cut))
		}
		if diff := cmp.Diff(log.content(), showBroken(t, random, log, at)); diff != "" {
			t.Errorf("(-written +shown):\n%s", diff)
		}
	})
}

// Whatever comes, nothing but a panic is wrong: it may be no log at all.
func FuzzAnyStream(f *testing.F) {
	f.Add([]byte("2026-09-14T10:00:00Z a\nfailed to open\n2026-09-14T10:00:00Z b"), 30)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		filter := follow.NewFilter(follow.NewOutput(&bytes.Buffer{}), "[a] ", true)
		cut = min(max(0, cut), len(stream))
		for _, part := range [][]byte{stream[:cut], stream, stream[cut:]} {
			if n, err := filter.Write(part); err != nil || n != len(part) {
				t.Fatal(n, err)
			}
			filter.End()
			filter.Since()
		}
	})
}

// A log that was rotated begins with any of the lines that were not shown yet, or that were.
func TestAfterRotationTheRestIsShownOnce(t *testing.T) {
	for seed := range int64(500) {
		random := rand.New(rand.NewSource(seed))
		var log fakeLog
		for i := range 20 {
			log = append(log, entry{at: epoch.Add(time.Duration(i) * 100 * time.Millisecond), text: fmt.Sprint("line ", i, "\n")})
		}
		shown := random.Intn(len(log) + 1)
		rotated := random.Intn(shown + 1)
		var out bytes.Buffer
		f := follow.NewFilter(follow.NewOutput(&out), "", false)
		fmt.Fprint(f, log[:shown].stream(time.Time{}))
		f.End()
		fmt.Fprint(f, log[rotated:].stream(f.Since()))
		if diff := cmp.Diff(log.content(), out.String()); diff != "" {
			t.Fatalf("seed %d, %d shown, rotated after %d (-written +shown):\n%s", seed, shown, rotated, diff)
		}
	}
}

// What was left out on purpose stays left out when a stream begins again a little earlier than it ended.
func TestOfAnExcerptNothingEarlierIsShown(t *testing.T) {
	const a, b, c = "2026-09-14T10:00:00.1Z ", "2026-09-14T10:00:00.2Z ", "2026-09-14T10:00:00.3Z "
	var out bytes.Buffer
	f := follow.NewFilter(follow.NewOutput(&out), "", false)
	f.IsExcerpt = true
	fmt.Fprint(f, b+"two\n")
	f.End()
	fmt.Fprint(f, a+"one\n"+b+"two\n"+c+"three\n")
	if diff := cmp.Diff("two\nthree\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// kubelet skips what of a line is older than what is asked for, and sends the rest of it without a timestamp.
func TestTheEndOfALineThatBeganBeforeIsNotShownAgain(t *testing.T) {
	var out bytes.Buffer
	f := follow.NewFilter(follow.NewOutput(&out), "", false)
	fmt.Fprint(f, "2026-09-14T10:00:00Z long line\n2026-09-14T10:00:09Z b\n")
	f.End()
	fmt.Fprint(f, "line\n2026-09-14T10:00:09Z b\n2026-09-14T10:00:10Z c\n")
	if got := f.End(); got.Remark != "" {
		t.Errorf("taken for what kubelet says: %q", got.Remark)
	}
	if diff := cmp.Diff("long line\nb\nc\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatAFilterShows(t *testing.T) {
	const a, b = "2026-09-14T10:00:00.000000001Z ", "2026-09-14T10:00:01Z "
	for name, test := range map[string]struct {
		prefix     string
		timestamps bool
		streams    []string
		want       string
		remark     string
	}{
		"a prefix before each line, once":        {"[x] ", false, []string{a + "one\n" + b + "t", b + "two\n"}, "[x] one\n[x] two\n", ""},
		"the timestamp after the prefix, once":   {"[x] ", true, []string{a + "one\n" + b + "t", b + "two\n"}, "[x] " + a + "one\n[x] " + b + "two\n", ""},
		"empty lines":                            {"[x] ", false, []string{a + "\n" + b + "\n"}, "[x] \n[x] \n", ""},
		"nothing of a line that has only begun":  {"[x] ", true, []string{a + "one\n" + b}, "[x] " + a + "one\n", ""},
		"nothing of what is no log":              {"", false, []string{"unable to retrieve container logs for containerd://ab"}, "", "unable to retrieve container logs for containerd://ab"},
		"an error after lines":                   {"", false, []string{a + "one\nfailed to watch\n"}, "one\n", "failed to watch"},
		"an error in one word":                   {"", false, []string{"EOF"}, "", "EOF"},
		"lines of one timestamp by their number": {"", false, []string{a + "one\n" + a + "two\n" + a + "th", a + "one\n" + a + "two\n" + a + "three\n" + a + "four\n"}, "one\ntwo\nthree\nfour\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			f := follow.NewFilter(follow.NewOutput(&out), test.prefix, test.timestamps)
			var remark string
			for _, stream := range test.streams {
				fmt.Fprint(f, stream)
				remark = f.End().Remark
			}
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if remark != test.remark {
				t.Errorf("kubelet is said to say %q, want %q", remark, test.remark)
			}
		})
	}
}

func TestAGapIsNoticedOnlyIfTheLastLineDoesNotComeAgain(t *testing.T) {
	const a, b = "2026-09-14T10:00:00.5Z ", "2026-09-14T10:00:01Z "
	for name, test := range map[string]struct {
		again string
		want  bool
	}{
		"the last line comes again":        {a + "one\n" + b + "two\n", false},
		"the rest of the last line comes":  {a + "one, longer\n" + b + "two\n", false},
		"another line comes instead of it": {b + "two\n", true},
		"nothing comes":                    {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := false
			f := follow.NewFilter(follow.NewOutput(&bytes.Buffer{}), "", false)
			f.OnGap = func() { got = true }
			fmt.Fprint(f, a+"one")
			f.End()
			fmt.Fprint(f, test.again)
			if got != test.want {
				t.Errorf("a gap: %t, want %t", got, test.want)
			}
		})
	}
}

// The next run of a container neither goes on with the last line of the run before, nor shows again what was taken for that run's.
func TestTheNextRunOfAContainer(t *testing.T) {
	const a, b, c = "2026-09-14T10:00:00Z ", "2026-09-14T10:00:01Z ", "2026-09-14T10:00:02Z "
	var out bytes.Buffer
	output := follow.NewOutput(&out)
	f := follow.NewFilter(output, "[x] ", false)
	f.OnGap = func() { t.Error("the next run is taken for the rest of the run before") }
	fmt.Fprint(f, a+"first\n"+b+"no end")
	f.End()
	f.Restart()
	if err := output.StartLine(true); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, b+"no end"+"\n"+c+"second\n")
	if diff := cmp.Diff("[x] first\n[x] no end\n[x] second\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A line that is longer than any buffer is shown as it comes.
func TestALongLineIsNotKept(t *testing.T) {
	var out bytes.Buffer
	f := follow.NewFilter(follow.NewOutput(&out), "", false)
	fmt.Fprint(f, "2026-09-14T10:00:00Z ")
	part := strings.Repeat("x", 1<<16)
	for n := range 80 {
		fmt.Fprint(f, part)
		if out.Len() != (n+1)*len(part) {
			t.Fatalf("%d bytes were shown after %d", out.Len(), (n+1)*len(part))
		}
	}
}
