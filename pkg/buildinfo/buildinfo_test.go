package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestWhatTheMakefileHasNotNotedIsTakenFromGo(t *testing.T) {
	installed := &debug.BuildInfo{
		Main: debug.Module{Version: "v1.4.0"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "fedcba9876543210"}},
	}
	for name, tc := range map[string]struct {
		noted Info
		build *debug.BuildInfo
		want  string
	}{
		"by make": {Info{Version: "v1.2.3", Commit: "0123456789abcdef", GoVersion: "go1.26.4", Platform: "linux/amd64"}, installed,
			"v1.2.3 (commit 0123456789ab, go1.26.4, linux/amd64)"},
		"by make, without git": {Info{Version: "v1.2.3", GoVersion: "go1.26.4", Platform: "linux/amd64"}, &debug.BuildInfo{},
			"v1.2.3 (go1.26.4, linux/amd64)"},
		"by go install": {Info{Version: "v0.0.0-master+$Format:%H$", Commit: "$Format:%H$", GoVersion: "go1.26.4", Platform: "linux/arm64"}, installed,
			"v1.4.0 (commit fedcba987654, go1.26.4, linux/arm64)"},
		"by go build of a bare copy": {Info{Version: "v0.0.0-master+$Format:%H$", Commit: "$Format:%H$", GoVersion: "go1.26.4", Platform: "linux/amd64"},
			&debug.BuildInfo{}, "unknown (go1.26.4, linux/amd64)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := complete(tc.noted, tc.build).String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestThisBuildIsKnown(t *testing.T) {
	if got := Get(); got.Version == "" || got.GoVersion == "" || got.Platform == "" {
		t.Errorf("%+v", got)
	}
}
