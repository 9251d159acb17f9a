package setup

import (
	"errors"
	"syscall"
)

// Pause stops processes of the cluster for a while, where they only would compete with what is measured. They go on at resume.
func (c *Cluster) Pause(components ...string) (resume func() error, err error) {
	for _, name := range components {
		err = errors.Join(err, c.signal(name, syscall.SIGSTOP))
	}
	resume = func() error {
		var err error
		for _, name := range components {
			err = errors.Join(err, c.signal(name, syscall.SIGCONT))
		}
		return err
	}
	return resume, err
}

func (c *Cluster) signal(component string, signal syscall.Signal) error {
	pid, ok := c.PIDs[component]
	if !ok {
		return errors.New("it is not known which process is the " + component)
	}
	return syscall.Kill(pid, signal)
}
