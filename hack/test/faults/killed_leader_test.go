//go:build integration

package faults_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// replica is a process of the controller that takes part in the leader election.
type replica struct {
	*exec.Cmd
	log   string
	ended chan struct{}
}

func startReplica(w *world, binary string) *replica {
	w.T.Helper()
	r := &replica{log: filepath.Join(w.T.TempDir(), "log"), ended: make(chan struct{})}
	log, err := os.Create(r.log)
	framework.Must(w.T, err)
	r.Cmd = exec.Command(binary, "--v=2", "--namespace="+w.Namespace, "--leader-elect", "--leader-elect-resource-namespace="+w.Namespace)
	r.Stdout, r.Stderr = log, log
	framework.Must(w.T, r.Start())
	go func() {
		_ = r.Wait() // how it ends is the test's own doing
		close(r.ended)
	}()
	w.T.Cleanup(func() {
		_ = r.Process.Kill()
		<-r.ended
		if log := r.read(w.T); bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic")) {
			w.T.Errorf("log of the controller:\n%s", log)
		}
	})
	return r
}

func (r *replica) read(t *testing.T) []byte {
	t.Helper()
	log, err := os.ReadFile(r.log)
	framework.Must(t, err)
	return log
}

// leads says whether it has become the leader.
func (r *replica) leads(t *testing.T) bool {
	t.Helper()
	return bytes.Contains(r.read(t), []byte(`"Leading"`))
}

// The leader is killed while sequences run, again and again, and there is always another one that takes over: at once if the leader was
// asked to end, and once its lease has run out if it was not.
func TestFaultsTheLeaderIsKilled(t *testing.T) {
	const sequences = 50
	for _, tc := range []struct {
		name   string
		signal os.Signal
		times  int
	}{
		{"leader asked to end (SIGTERM)", syscall.SIGTERM, bounded(5, 2)},
		{"leader killed (SIGKILL)", syscall.SIGKILL, bounded(3, 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, report := newWorld(t), startReport(t)
			binary := framework.BuildController(t)
			leader, standby := startReplica(w, binary), startReplica(w, binary)
			w.until("one to lead", func(context.Context) bool { return leader.leads(t) || standby.leads(t) })
			if standby.leads(t) {
				leader, standby = standby, leader
			}
			w.runSequences(sequences)
			for i := range tc.times {
				w.waitForShare(i+1, tc.times+1)
				killed := time.Now()
				framework.Must(t, leader.Process.Signal(tc.signal))
				<-leader.ended
				_, before := w.progress()
				leader, standby = standby, startReplica(w, binary)
				w.until("the next step to start", func(context.Context) bool {
					_, now := w.progress()
					return now > before
				})
				t.Logf("%s: the next step started after %.1f s", tc.signal, time.Since(killed).Seconds())
				if !leader.leads(t) {
					leader, standby = standby, leader
				}
			}
			report.add(tc.name, tc.times, sequences, w.judgeAll())
		})
	}
}
