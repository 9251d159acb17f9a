//go:build integration

// Package command_test runs the controller as a process, with the permissions that the manifests grant to it.
package command_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

const patience = 3 * time.Minute

// scenario is a namespace in which the controller, as a process, does all that it ever does to the API server: it leads, runs
// a sequence to its end and deletes it, meets a Job that has the name of one of its own, tells why a step does not start,
// suspends, resumes, cleans up after a deletion, and is asked for its metrics.
type scenario struct {
	t        *testing.T
	ns, user string
	kube     kubernetes.Interface
	client   versioned.Interface
	logFile  string
	metrics  string
	resumed  int
	scraped  bool
}

func TestMain(m *testing.M) { framework.Main(m, runtime.GOMAXPROCS(0)) }

func newScenario(t *testing.T) *scenario {
	t.Helper()
	c := framework.NewNamespace(t, nil)
	s := &scenario{t: t, kube: c.Kube, client: c.Client}
	s.ns, s.user, s.logFile = c.Namespace, c.Namespace, filepath.Join(t.TempDir(), "log")
	return s
}

func (s *scenario) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// run starts the controller as a user of its own, and makes the objects of the scenario.
func (s *scenario) run(environment ...string) {
	s.t.Helper()
	name := framework.BuildController(s.t)
	kubeconfig, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	s.must(err)
	for _, info := range kubeconfig.AuthInfos {
		info.Impersonate = s.user
	}
	file := filepath.Join(s.t.TempDir(), "kubeconfig")
	s.must(writeKubeconfig(*kubeconfig, file))
	port := freePort(s.t)
	s.metrics = fmt.Sprintf("https://127.0.0.1:%d/metrics", port)
	log, err := os.Create(s.logFile)
	s.must(err)
	process := exec.Command(name, "--kubeconfig="+file, "--namespace="+s.ns, "--leader-elect", "--leader-elect-resource-namespace="+s.ns,
		"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port), "--v=2")
	process.Env = append(os.Environ(), environment...)
	process.Stdout, process.Stderr = log, log
	s.must(process.Start())
	s.t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })

	s.must(s.createTaken())
	s.create("done", func(sj *v1alpha1.SequentialJob) { sj.Spec.TTLSecondsAfterFinished = new(int32(0)) })
	s.create("taken", func(*v1alpha1.SequentialJob) {})
	// Its pods cannot be created, which only events tell.
	s.create("podless", func(sj *v1alpha1.SequentialJob) { sj.Spec.Template.Spec.ServiceAccountName = "nobody" })
	s.create("stuck", func(sj *v1alpha1.SequentialJob) {
		sj.Spec.Template.Spec.NodeSelector = map[string]string{"example.com/nowhere": "true"}
	})
}

func writeKubeconfig(config clientcmdapi.Config, file string) error {
	return clientcmd.WriteToFile(config, file)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (s *scenario) create(name string, set func(*v1alpha1.SequentialJob)) {
	s.t.Helper()
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
	sj.Spec.Containers = []corev1.Container{{Name: "only", Image: "example.com/only:v1"}}
	set(sj)
	_, err := s.client.BatchV1alpha1().SequentialJobs(s.ns).Create(s.t.Context(), sj, metav1.CreateOptions{})
	s.must(err)
}

// createTaken creates a Job of somebody else that has the name of a step's.
func (s *scenario) createTaken() error {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "taken-0"}}
	job.Spec.Suspend = new(true)
	job.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	_, err := s.kube.BatchV1().Jobs(s.ns).Create(s.t.Context(), job, metav1.CreateOptions{})
	return err
}

// until lets the scenario go on until something is so.
func (s *scenario) until(what string, condition func(context.Context) bool) {
	s.t.Helper()
	err := wait.PollUntilContextTimeout(s.t.Context(), 200*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		s.nudge(ctx)
		return condition(ctx), nil
	})
	if err != nil {
		s.t.Fatalf("waiting for %s: %v\n%s\n%s", what, err, s.messages(), s.log())
	}
}

// nudge does what users would do next: those of the sequence that is stuck suspend and resume it twice, and then delete it.
func (s *scenario) nudge(ctx context.Context) {
	s.scraped = s.scrape(ctx) || s.scraped
	sjs := s.client.BatchV1alpha1().SequentialJobs(s.ns)
	sj, err := sjs.Get(ctx, "stuck", metav1.GetOptions{})
	if err != nil || !sj.DeletionTimestamp.IsZero() {
		return
	}
	progressing := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
	if progressing == nil {
		return
	}
	suspended := sj.Spec.Suspend != nil && *sj.Spec.Suspend
	const twice = 2
	switch {
	case sj.Status.Phase == v1alpha1.SequentialJobSuspended && suspended && s.resumed < twice:
		if _, err = sjs.Patch(ctx, "stuck", types.MergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{}); err == nil {
			s.resumed++
		}
	case sj.Status.Phase == v1alpha1.SequentialJobSuspended && suspended:
		_ = sjs.Delete(ctx, "stuck", metav1.DeleteOptions{}) // tried again
	case !suspended && (progressing.Reason == v1alpha1.ReasonPodNotStarted || s.resumed > 0 && sj.Status.Phase == v1alpha1.SequentialJobRunning):
		_, _ = sjs.Patch(ctx, "stuck", types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{}) // tried again
	}
}

// scrape asks for the metrics as a service account that may not have them, and says whether it was refused for that.
func (s *scenario) scrape(ctx context.Context) bool {
	token, err := s.kube.CoreV1().ServiceAccounts(s.ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil || s.scraped {
		return false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, http.NoBody)
	if err != nil {
		return false
	}
	request.Header.Set("Authorization", "Bearer "+token.Status.Token)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return errors.Join(response.Body.Close()) == nil && response.StatusCode == http.StatusForbidden
}

// isDone says whether everything has happened.
func (s *scenario) isDone(ctx context.Context) bool {
	sjs, err := s.client.BatchV1alpha1().SequentialJobs(s.ns).List(ctx, metav1.ListOptions{})
	return err == nil && len(sjs.Items) == 2 && s.scraped && strings.Contains(s.messages(), "taken-0") &&
		strings.Contains(s.messages(), "FailedCreate")
}

func (s *scenario) log() string {
	log, err := os.ReadFile(s.logFile)
	s.must(err)
	return string(log)
}

// messages are what the SequentialJobs say.
func (s *scenario) messages() string {
	sjs, err := s.client.BatchV1alpha1().SequentialJobs(s.ns).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	var all strings.Builder
	for i := range sjs.Items {
		for _, condition := range sjs.Items[i].Status.Conditions {
			fmt.Fprintln(&all, sjs.Items[i].Name, condition.Type, condition.Message)
		}
	}
	return all.String()
}
