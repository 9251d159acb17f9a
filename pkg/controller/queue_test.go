package controller

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/cache"
)

func TestNamespacesTakeTurns(t *testing.T) {
	for name, tc := range map[string]struct{ pushed, want string }{
		"one namespace: first come, first served":  {"a/1 a/2 a/3", "a/1 a/2 a/3"},
		"one object beside many":                   {"a/1 a/2 a/3 a/4 b/1", "a/1 b/1 a/2 a/3 a/4"},
		"three namespaces":                         {"a/1 a/2 b/1 b/2 c/1", "a/1 b/1 c/1 a/2 b/2"},
		"a namespace that is served comes in last": {"a/1 - a/2 b/1", "a/1 a/2 b/1"},
		"nothing": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			queue, got := &fairQueue{}, []string{}
			pop := func() { got = append(got, queue.Pop().String()) }
			for _, next := range strings.Fields(tc.pushed) {
				if next == "-" {
					pop()
					continue
				}
				namespace, object, _ := strings.Cut(next, "/")
				queue.Push(cache.NewObjectName(namespace, object))
			}
			for queue.Len() > 0 {
				pop()
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneObjectIsNotBehindThousandsOfAnotherNamespace(t *testing.T) {
	queue := newQueue()
	defer queue.ShutDown()
	for i := range 5000 {
		queue.Add(cache.NewObjectName("crowd", fmt.Sprint(i)))
	}
	queue.Add(cache.NewObjectName("alone", "etl"))
	for turn := range 2 {
		name, _ := queue.Get()
		queue.Done(name)
		if name.Namespace == "alone" {
			return
		}
		if turn == 1 {
			t.Errorf("the object of the other namespace waits behind %s", name)
		}
	}
}
