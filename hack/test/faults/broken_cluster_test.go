//go:build integration

package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// These tests run one after another, in a cluster of their own: each of them breaks it.

func TestFaultsTheControllerIsKilledAgainAndAgain(t *testing.T) {
	w, report := newWorld(t), startReport(t)
	binary := framework.BuildController(t)
	w.runSequences(bounded(200, 30))
	random := rand.New(rand.NewPCG(1, 2))
	kills, done := 0, false
	for !done {
		process := startController(t, binary)
		from, _ := w.progress()
		lives := 1 + random.IntN(25)
		// Each life does something, otherwise nothing would ever end; but no life does much.
		w.until("the controller to do something", func(context.Context) bool {
			writes, jobs := w.progress()
			done = jobs == len(w.sequences)*stepsInTheWorld
			return done || writes >= from+lives
		})
		if !done {
			framework.Must(t, process.Kill())
			kills++
		}
	}
	report.add("controller killed (SIGKILL)", kills, len(w.sequences), w.judgeAll())
}

// startController starts the controller's process, for the whole cluster.
func startController(t *testing.T, binary string) *os.Process {
	t.Helper()
	var log strings.Builder
	process := exec.Command(binary, "--v=2")
	process.Stdout, process.Stderr = &log, &log
	framework.Must(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if strings.Contains(log.String(), "DATA RACE") || strings.Contains(log.String(), "panic") {
			t.Errorf("log of the controller:\n%s", log.String())
		}
	})
	return process.Process
}

// breakDuring runs sequences while something breaks, several times, each time when another share of the Jobs has been
// created.
func breakDuring(t *testing.T, name string, sequences, times int, how func(w *world, time int)) *world {
	t.Helper()
	w, report := newWorld(t), startReport(t)
	w.StartControllerThrough(w.gone410.wrap)
	w.runSequences(sequences)
	for i := range times {
		w.waitForShare(i+1, times+1)
		how(w, i)
		w.until("the API server to answer", w.ready)
		restartSimulatedNodes(w.T)
	}
	report.add(name, times, sequences, w.judgeAll())
	return w
}

// restartSimulatedNodes makes kwok look at all pods again. Where a kubelet would try again, kwok v0.8.0 gives a pod up for good
// if an internal error answers the write of its status, as while etcd is away.
func restartSimulatedNodes(t *testing.T) {
	t.Helper()
	clusterCommand(t, "kill", "kwok-controller")
	clusterCommand(t, "start")
}

// byTurns asks a component to end, and kills it the next time.
func byTurns(i int) string { return []string{"kill", "stop"}[i%2] }

func TestFaultsTheAPIServerRestarts(t *testing.T) {
	breakDuring(t, "API server restarted", bounded(100, 20), bounded(6, 1), func(w *world, i int) {
		clusterCommand(w.T, byTurns(i), "kube-apiserver")
		clusterCommand(w.T, "start")
	})
}

func TestFaultsEtcdRestarts(t *testing.T) {
	breakDuring(t, "etcd restarted", bounded(100, 20), bounded(6, 1), func(w *world, i int) {
		clusterCommand(w.T, byTurns(i), "etcd")
		clusterCommand(w.T, "start")
		compact(w.T)
	})
}

// What happened while the API server was away is compacted before it is back: every watch has to begin again.
func TestFaultsEtcdForgetsWhatWatchesHaveNotSeen(t *testing.T) {
	w := breakDuring(t, "etcd compacted, 410 Gone", bounded(100, 20), bounded(4, 1), func(w *world, i int) {
		before := w.gone410.count()
		clusterCommand(w.T, byTurns(i), "kube-apiserver")
		compact(w.T)
		clusterCommand(w.T, "start")
		w.until("the controller to be told 410 Gone", func(context.Context) bool { return w.gone410.count() > before })
	})
	t.Logf("410 Gone came %d times", w.gone410.count())
}

// compact makes etcd forget all but its latest revision, through its HTTP gateway.
func compact(t *testing.T) {
	t.Helper()
	etcd := clusterCommand(t, "etcd")
	var status struct{ Header struct{ Revision string } }
	framework.Must(t, json.Unmarshal([]byte(post(t, etcd+"/v3/maintenance/status", "{}")), &status))
	post(t, etcd+"/v3/kv/compaction", fmt.Sprintf(`{"revision": %q, "physical": true}`, status.Header.Revision))
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	framework.Must(t, err)
	response, err := http.DefaultClient.Do(request)
	framework.Must(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	framework.Must(t, err)
	answer := string(content)
	// A revision that is compacted already is what was wanted.
	if response.StatusCode != http.StatusOK && !strings.Contains(answer, "has been compacted") {
		t.Fatalf("POST %s: %s: %s", url, response.Status, answer)
	}
	return answer
}

func TestFaultsTheKubeControllerManagerStopsForAWhile(t *testing.T) {
	breakDuring(t, "kube-controller-manager restarted", bounded(100, 20), bounded(4, 1), func(w *world, i int) {
		clusterCommand(w.T, byTurns(i), "kube-controller-manager")
		// Jobs get no pods now, so that the sequences come to rest: each waits for a Job.
		_, before := w.progress()
		w.until("the sequences to wait", w.allWait)
		_, after := w.progress()
		w.T.Logf("%d Jobs at the stop, %d when all waited", before, after)
		clusterCommand(w.T, "start")
	})
}

// allWait says whether each sequence has ended or has a Job that has not.
func (w *world) allWait(ctx context.Context) bool {
	jobs, err := w.Kube.BatchV1().Jobs(w.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false
	}
	waiting := map[types.UID]bool{}
	for i := range jobs.Items {
		if job := &jobs.Items[i]; running(job) || strings.HasSuffix(job.Name, fmt.Sprintf("-%d", stepsInTheWorld-1)) {
			waiting[metav1.GetControllerOf(job).UID] = true
		}
	}
	return len(waiting) == len(w.sequences)
}
