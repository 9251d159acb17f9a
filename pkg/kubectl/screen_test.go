package kubectl

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

func TestFrameReplacesTheOneBefore(t *testing.T) {
	for name, test := range map[string]struct {
		before []string
		width  int
		want   int
	}{
		"same width":                        {[]string{"12345678", "1234"}, 8, 2},
		"narrower than a line at once":      {[]string{"123456789012", "1234"}, 8, 2},
		"wider":                             {[]string{"12345678", "1234"}, 100, 2},
		"narrower":                          {[]string{"12345678", "1234"}, 4, 3},
		"narrower, and a line that exceeds": {[]string{"12345678", "1234"}, 3, 5},
		"colours take no room":              {[]string{"\x1b[31m1234\x1b[0m"}, 4, 1},
		"wide characters take two columns":  {[]string{"抽出抽出"}, 4, 2},
		"empty line":                        {[]string{"", ""}, 4, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			display := screen{out: &out}
			if err := display.draw(test.before, 8); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(out.String(), "\x1b[A"); got != 0 {
				t.Errorf("the first frame goes back %d rows", got)
			}
			out.Reset()
			if err := display.draw([]string{"new"}, test.width); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(out.String(), "\x1b[A"); got != test.want {
				t.Errorf("goes back %d rows, want %d", got, test.want)
			}
		})
	}
}

func TestTerminalIsSaneBetweenFrames(t *testing.T) {
	var out bytes.Buffer
	display := screen{out: &out}
	if err := display.draw([]string{"one"}, 80); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"25", "7"} {
		off, on := strings.LastIndex(out.String(), "\x1b[?"+mode+"l"), strings.LastIndex(out.String(), "\x1b[?"+mode+"h")
		if off < 0 || on < off {
			t.Errorf("mode %s stays off in %q", mode, out.String())
		}
	}
}

func TestFrameLeavesRoomForTheCursorAndANote(t *testing.T) {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: "etl"}}
	for range 30 {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: "step"})
	}
	style := view.Style{Width: 40}
	for _, waiting := range []string{"", "Waiting: the API server cannot be reached: connection refused"} {
		for height := 1; height < 60; height++ {
			tool := &Tool{Name: "kubectl sj", flags: genericclioptions.NewConfigFlags(true)}
			frame := tool.frame(Snapshot{SequentialJob: sj, Waiting: waiting}, style, height)
			if len(frame) > max(1, height-1) {
				t.Errorf("%d lines on a terminal of %d", len(frame), height)
			}
			isNoted := strings.HasPrefix(frame[len(frame)-1], "Waiting: ")
			if want := waiting != "" && height > 3; isNoted != want {
				t.Errorf("says that it waits: %t, want %t, on a terminal of %d", isNoted, want, height)
			}
		}
	}
}

func TestStyleFollowsTheEnvironment(t *testing.T) {
	type style struct{ Unicode, Color bool }
	for name, test := range map[string]struct {
		env  map[string]string
		want style
	}{
		"nothing set":            {map[string]string{}, style{}},
		"LANG":                   {map[string]string{"LANG": "de_DE.UTF-8"}, style{Unicode: true}},
		"other spelling":         {map[string]string{"LANG": "C.utf8"}, style{Unicode: true}},
		"LC_ALL wins":            {map[string]string{"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, style{}},
		"LC_CTYPE before LANG":   {map[string]string{"LC_CTYPE": "en_US.UTF-8", "LANG": "C"}, style{Unicode: true}},
		"dumb":                   {map[string]string{"LANG": "C.UTF-8", "TERM": "dumb"}, style{}},
		"no terminal, no colour": {map[string]string{"LANG": "C.UTF-8", "TERM": "xterm"}, style{Unicode: true}},
	} {
		t.Run(name, func(t *testing.T) {
			out := terminal{env: func(key string) string { return test.env[key] }}
			got := style{Unicode: out.style().Unicode, Color: out.style().Color}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("style (-want +got):\n%s", diff)
			}
		})
	}
}
