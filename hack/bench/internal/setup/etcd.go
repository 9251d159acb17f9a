package setup

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const registry = "/registry/"

// Store returns a client of the cluster's etcd.
func (c *Cluster) Store() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{c.Etcd}, DialTimeout: patience, Logger: zap.NewNop()})
}

// Wipe removes what is in a namespace directly from etcd. To delete thousands of Jobs through the API server takes longer than to
// run them, and the garbage collector would still be at it during the next run. Pods come before Jobs, and Jobs before their
// owners: so nothing is left without its owner for the garbage collector to look after.
func (c *Cluster) Wipe(ctx context.Context, namespace string) error {
	store, err := c.Store()
	if err != nil {
		return err
	}
	defer store.Close()
	for _, prefix := range []string{"pods", "events", "jobs", "batch.example.com/sequentialjobs"} {
		key := registry + prefix + "/" + namespace + "/"
		if _, err := store.Delete(ctx, key, clientv3.WithPrefix()); err != nil {
			return fmt.Errorf("remove %s: %w", key, err)
		}
	}
	return nil
}
