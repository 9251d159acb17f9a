package memory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

const (
	sequencesKey = "/registry/batch.example.com/sequentialjobs/" + namespace + "/"
	jobsKey      = "/registry/jobs/" + namespace + "/"
	// etcd takes 128 operations in a transaction.
	operations = 128
	// writers is how many transactions are under way at the same time.
	writers = 8
)

var errPattern = errors.New("the sequence to copy is not stored as expected")

// pattern is what etcd has of one finished sequence: a SequentialJob as JSON, and its Jobs as protobuf.
type pattern struct {
	name string
	uids []string
	// stored holds the values by their keys, in the order in which they have to be written: owners first, so that the garbage
	// collector finds them.
	keys   []string
	values []string
}

func readPattern(ctx context.Context, store *clientv3.Client, name string, uids []string) (*pattern, error) {
	p := &pattern{name: name, uids: uids}
	for _, key := range []string{sequencesKey + name, jobsKey + name + "-"} {
		found, err := store.Get(ctx, key, clientv3.WithPrefix())
		if err != nil {
			return nil, err
		}
		for _, pair := range found.Kvs {
			p.keys, p.values = append(p.keys, string(pair.Key)), append(p.values, string(pair.Value))
		}
	}
	if len(p.keys) != len(uids) {
		return nil, fmt.Errorf("%w: %d objects, want %d", errPattern, len(p.keys), len(uids))
	}
	if !strings.HasPrefix(p.values[0], "{") || !strings.HasPrefix(p.values[1], "k8s\x00") {
		return nil, fmt.Errorf("%w: it is neither JSON nor protobuf", errPattern)
	}
	return p, nil
}

// copyOf returns what has to be written for the nth copy. Names and UIDs are replaced wherever they are, by such of the same length: so
// that the lengths that protobuf has before each text stay right.
func (p *pattern) copyOf(n int) []clientv3.Op {
	replacements := []string{p.name, nameOf(n)}
	for i, uid := range p.uids {
		replacements = append(replacements, uid, fmt.Sprintf("%08x-0000-4000-8000-%012d", i, n))
	}
	replacer := strings.NewReplacer(replacements...)
	var out []clientv3.Op
	for i, key := range p.keys {
		out = append(out, clientv3.OpPut(replacer.Replace(key), replacer.Replace(p.values[i])))
	}
	return out
}

func nameOf(n int) string { return fmt.Sprintf("sequence-%05d", n) }

// writeCopies writes the copies first to last-1. API server and watches learn of them as of any other write.
func (p *pattern) writeCopies(ctx context.Context, store *clientv3.Client, first, last int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	perTransaction := max(operations/len(p.keys), 1)
	for begin := first; begin < last && ctx.Err() == nil; begin += perTransaction {
		group.Go(func() error {
			var puts []clientv3.Op
			for n := begin; n < min(begin+perTransaction, last); n++ {
				puts = append(puts, p.copyOf(n)...)
			}
			_, err := store.Txn(ctx).Then(puts...).Commit()
			return err
		})
	}
	return group.Wait()
}
