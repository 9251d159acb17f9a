package view

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Commands says how commands that are suggested to the user are to be typed.
type Commands struct {
	// Tool is how the user calls the plugin: "kubectl sj" or "kubectl sequentialjob".
	Tool string
	// Flags name the cluster and the namespace as the user did.
	Flags []string
}

// Plugin returns a command of the plugin.
func (c Commands) Plugin(args ...string) string {
	return strings.Join(quote(slices.Concat([]string{c.Tool}, args, c.Flags)[1:], c.Tool), " ")
}

// Kubectl returns a command of kubectl.
func (c Commands) Kubectl(args ...string) string {
	return strings.Join(quote(slices.Concat(args, c.Flags), "kubectl"), " ")
}

// quote returns the words of a command as a shell needs them.
func quote(args []string, command string) []string {
	words := []string{command}
	for _, arg := range args {
		isPlain := arg != "" && strings.Trim(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,@%+-") == ""
		if !isPlain {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return words
}

// For returns the commands that do what is advised for a sequence, in order; none if there is nothing to do.
func (c Commands) For(sj *v1alpha1.SequentialJob, advice sequence.Advice) []string {
	name := sj.Name
	switch advice.Remedy {
	case sequence.RemedyNone:
	case sequence.RemedyRetry:
		var commands []string
		if advice.Job != "" {
			commands = append(commands, c.Plugin("logs", name, "--failed"))
		}
		return append(commands, c.Plugin("retry", name, "-f"))
	case sequence.RemedyCorrect:
		commands := []string{c.Kubectl("edit", "sj", name)}
		if sequence.Finished(&sj.Status) {
			commands = append(commands, c.Plugin("retry", name, "-f"))
		}
		return commands
	case sequence.RemedyExtend:
		var used int32
		if sj.Status.Progress != nil {
			used = sj.Status.Progress.Retries
		}
		patch := fmt.Sprintf(`{"spec":{"activeDeadlineSeconds":%d,"retries":%d}}`,
			2*max(1, ptr.Deref(sj.Spec.ActiveDeadlineSeconds, 0), sj.Status.ActiveSeconds), max(ptr.Deref(sj.Spec.Retries, 0), used)+1)
		return []string{c.Kubectl("patch", "sj", name, "--type=merge", "--patch", patch)}
	case sequence.RemedyResume:
		return []string{c.Plugin("resume", name)}
	case sequence.RemedyApprove:
		return []string{c.Plugin("resume", name, "--step", advice.Step)}
	case sequence.RemedyCreateAnother:
		return []string{c.Plugin("create", name+"-2", "--from=sj/"+name)}
	case sequence.RemedyDeleteJob:
		return []string{c.Kubectl("delete", "job", advice.Job)}
	case sequence.RemedyInspectJob:
		return []string{c.Kubectl("describe", "job", advice.Job)}
	case sequence.RemedyInspectPods:
		return []string{c.Kubectl("describe", "pods", "-l", "batch.kubernetes.io/job-name="+advice.Job)}
	case sequence.RemedyReadLog:
		return []string{c.Plugin("logs", name, "--step", advice.Step)}
	case sequence.RemedyFindController:
		return []string{c.Plugin("version")}
	}
	return nil
}
