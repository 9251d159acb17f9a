package contest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

// patience is how long a process may take to get ready, and how long a run may go without any progress.
const patience = 2 * time.Minute

var errControllerEnded = errors.New("the controller has ended: see controller.log")

// Process is the controller, as it is built, in a process of its own.
type Process struct {
	cmd     *exec.Cmd
	address string
	ended   chan struct{}
}

// StartController starts the controller with its default flags and some more. It serves health and metrics, without TLS, so
// that the benchmark can ask.
func StartController(ctx context.Context, cluster *setup.Cluster, binary, out string, flags []string) (*Process, error) {
	kubeconfig := filepath.Join(out, "controller.kubeconfig")
	if err := cluster.WriteKubeconfig(ctx, setup.Controller, kubeconfig); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(out, "controller.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(address)
	args := append([]string{"--kubeconfig=" + kubeconfig, "--bind-address=" + host, "--port=" + port, "--tls=false"}, flags...)
	p := &Process{cmd: exec.CommandContext(ctx, binary, args...), address: address, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // whoever needs it to live finds out
		close(p.ended)
	}()
	return p, nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// PID is its process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// WaitUntilReady waits until its caches are filled.
func (p *Process) WaitUntilReady(ctx context.Context, patience time.Duration) error {
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		select {
		case <-p.ended:
			return false, errControllerEnded
		default:
		}
		_, err := p.Get(ctx, "/readyz")
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the controller to be ready: %w", err)
	}
	return nil
}

// Get reads what it serves.
func (p *Process) Get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, strconv.Itoa(response.StatusCode))
	}
	return string(body), err
}

// Stop asks it to end, and kills it if it does not.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		p.Kill()
	}
}

// Kill ends it as a crash does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}
