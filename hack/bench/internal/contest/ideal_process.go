package contest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

// IdealCommand is the argument that makes a process of this binary the ideal loop.
const IdealCommand = "ideal-loop"

// idealProcess is the ideal loop, in a process of its own.
type idealProcess struct {
	cluster *setup.Cluster
	out     string

	process *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
	ended   chan struct{}
}

func (p *idealProcess) name() string                  { return IdealName }
func (p *idealProcess) account() setup.ServiceAccount { return setup.IdealLoop }
func (p *idealProcess) pid() int                      { return p.process.Process.Pid }
func (p *idealProcess) died() <-chan struct{}         { return p.ended }

func (p *idealProcess) start(ctx context.Context, namespace string, shape Shape) error {
	owner, err := p.cluster.Kube.CoreV1().ConfigMaps(namespace).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner-of-the-jobs"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	order := IdealOrder{Kubeconfig: filepath.Join(p.out, "ideal-loop.kubeconfig"), Namespace: namespace, Shape: shape, Owner: ownerReference(owner)}
	if err := p.cluster.WriteKubeconfig(ctx, setup.IdealLoop, order.Kubeconfig); err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	if err := json.NewEncoder(p.in).Encode(order); err != nil {
		return err
	}
	if _, err := p.answers.ReadString('\n'); err != nil {
		return fmt.Errorf("the ideal loop did not get ready: %w", err)
	}
	return nil
}

func (p *idealProcess) run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.process = exec.CommandContext(ctx, self, IdealCommand)
	p.process.Stderr = os.Stderr
	if p.in, err = p.process.StdinPipe(); err != nil {
		return err
	}
	out, err := p.process.StdoutPipe()
	if err != nil {
		return err
	}
	p.answers = bufio.NewReader(out)
	if err := p.process.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		_, _ = p.process.Process.Wait() // whoever needs it to live finds out
		close(p.ended)
	}()
	return nil
}

func (p *idealProcess) begin(context.Context) error {
	_, err := fmt.Fprintln(p.in, "begin")
	return err
}

func (p *idealProcess) finish(context.Context) (map[string]time.Time, error) {
	var begun map[string]time.Time
	if err := json.NewDecoder(p.answers).Decode(&begun); err != nil {
		return nil, fmt.Errorf("the ideal loop did not come to its end: %w", err)
	}
	return begun, nil
}

func (p *idealProcess) stop() {
	if p.ended == nil {
		return
	}
	_ = p.process.Process.Kill() // it may have ended by itself
	<-p.ended
}
