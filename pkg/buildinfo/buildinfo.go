// Package buildinfo says which build of the controller or of the kubectl plugin a process is.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"k8s.io/component-base/version"
)

// Info is what is known of a build.
type Info struct {
	// Version is such as v1.2.3, or "unknown".
	Version string
	// Commit is the full hash of the commit that was built. It is empty if that is not known.
	Commit string
	// GoVersion is the version of Go that built it, such as go1.26.4.
	GoVersion string
	// Platform is such as linux/amd64.
	Platform string
}

// Get returns what the Makefile has noted in the binary. A build by `go install` notes less.
func Get() Info {
	noted := version.Get()
	build, isKnown := debug.ReadBuildInfo()
	if !isKnown {
		build = &debug.BuildInfo{}
	}
	return complete(Info{
		Version: noted.GitVersion, Commit: noted.GitCommit,
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}, build)
}

// complete takes from Go's own notes what the Makefile has not set: the library's default is a placeholder of git.
func complete(info Info, build *debug.BuildInfo) Info {
	const placeholder = "$Format"
	if strings.Contains(info.Version, placeholder) {
		info.Version = "unknown"
		if build.Main.Version != "" {
			info.Version = build.Main.Version
		}
	}
	if strings.Contains(info.Commit, placeholder) {
		info.Commit = ""
		for _, setting := range build.Settings {
			if setting.Key == "vcs.revision" {
				info.Commit = setting.Value
			}
		}
	}
	return info
}

// String returns a line for people, such as "v1.2.3 (commit 0123456789ab, go1.26.4, linux/amd64)".
func (i Info) String() string {
	details := []string{i.GoVersion, i.Platform}
	if i.Commit != "" {
		details = append([]string{"commit " + i.ShortCommit()}, details...)
	}
	return fmt.Sprintf("%s (%s)", i.Version, strings.Join(details, ", "))
}

// ShortCommit returns as much of the commit as people need to find it.
func (i Info) ShortCommit() string {
	const length = 12
	return i.Commit[:min(length, len(i.Commit))]
}
