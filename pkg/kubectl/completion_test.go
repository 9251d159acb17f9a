package kubectl

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestStepsAreSuggestedInTheirOrderWithTheirState(t *testing.T) {
	sj := &v1alpha1.SequentialJob{}
	sj.Spec.Containers = []corev1.Container{{Name: "extract"}, {Name: "a-load"}}
	sj.Spec.Finally = []corev1.Container{{Name: "notify"}}
	sj.Status.Steps = []v1alpha1.StepStatus{{Name: "extract", State: v1alpha1.StepRunning}}
	for withFinally, want := range map[bool][]cobra.Completion{
		true:  {"extract\tRunning", "a-load\t", "notify\t"},
		false: {"extract\tRunning", "a-load\t"},
	} {
		if diff := cmp.Diff(want, stepNames(sj, withFinally)); diff != "" {
			t.Errorf("finally %t (-want +got):\n%s", withFinally, diff)
		}
	}
}

// What is registered later gets its completion by what it takes.
func TestEveryCommandIsCompleted(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		http.Error(w, "no", http.StatusNotFound)
	}))
	defer server.Close()
	root := &cobra.Command{Use: "sequentialjob"}
	tool := &Tool{flags: genericclioptions.NewConfigFlags(false)}
	tool.flags.APIServer = &server.URL
	tool.flags.AddFlags(root.PersistentFlags())
	run := func(*cobra.Command, []string) {}
	status := &cobra.Command{Use: "status [NAME]", Run: run}
	wait := &cobra.Command{Use: "wait NAME...", Run: run}
	logs := &cobra.Command{Use: "logs [NAME]", Run: run}
	logs.Flags().String("step", "", "")
	version := &cobra.Command{Use: "version", Run: run}
	root.AddCommand(status, wait, logs, version)
	tool.installCompletion(root)
	for name, tc := range map[string]struct {
		command *cobra.Command
		args    []string
		asks    bool // the cluster
	}{
		"a name":                           {status, nil, true},
		"a second name":                    {status, []string{"etl"}, false},
		"a second name, where many may be": {wait, []string{"etl"}, true},
		"no name":                          {version, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			tc.command.SetContext(t.Context())
			_, directive := tc.command.ValidArgsFunction(tc.command, tc.args, "")
			if (asked > 0) != tc.asks || directive != cobra.ShellCompDirectiveNoFileComp {
				t.Errorf("asked %d times, directive %d", asked, directive)
			}
		})
	}
	for _, flag := range []string{"step", "namespace", "context", "cluster", "user"} {
		if _, isThere := logs.GetFlagCompletionFunc(flag); !isThere {
			t.Errorf("--%s is not completed", flag)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{
		"bash":       "__start_kubectl-sj kubectl-sj",
		"zsh":        "#compdef kubectl-sj",
		"fish":       "complete -c kubectl-sj",
		"powershell": "Register-ArgumentCompleter -CommandName 'kubectl-sj'",
		"kubectl":    "#!/bin/sh\n# kubectl runs this to complete the commands of \"kubectl sj\".\nexec kubectl sj __complete \"$@\"\n",
	} {
		streams, _, out, _ := genericiooptions.NewTestIOStreams()
		cmd := NewCommand("kubectl sj", streams)
		cmd.SetArgs([]string{"completion", shell})
		if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, and %q is missing in %s", shell, err, want, out)
		}
	}
}

func TestCompletionOfAnUnknownShell(t *testing.T) {
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		streams, _, _, _ := genericiooptions.NewTestIOStreams()
		cmd := NewCommand("kubectl sj", streams)
		cmd.SetArgs(args)
		if err := cmd.Execute(); ExitCode(err) != ExitError || !strings.Contains(err.Error(), "name one of bash, zsh") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestNamesOfAKubeconfigAreSorted(t *testing.T) {
	if got := keys(map[string]int{"b": 1, "a": 2}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
}

func TestSequencesThatNobodyHasSeenYetAreCompleted(t *testing.T) {
	seen, unseen := generationOf("1", 1), generationOf("2", 1)
	unseen.Name = "new"
	seen.Status.Phase, seen.Status.Progress = v1alpha1.SequentialJobRunning, &v1alpha1.JobProgress{Completions: "1/2"}
	got := completionsOfNames([]v1alpha1.SequentialJob{seen, unseen}, "sj/", nil)
	if want := []string{"sj/etl\tRunning 1/2", "sj/new\t"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
