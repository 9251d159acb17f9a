package controller

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// failCreates makes a create of a Job fail with what f returns for it, unless that is nil.
func (w *world) failCreates(f func(create clienttesting.CreateActionImpl) error) {
	w.fail("create", "jobs", func(action clienttesting.Action) error { return f(action.(clienttesting.CreateActionImpl)) })
}

// fail answers requests with what f returns for them, unless that is nil.
func (w *world) fail(verb, resource string, f func(clienttesting.Action) error) {
	fake := &w.kube.Fake
	if resource == sequentialJobs.Resource {
		fake = &w.client.Fake
	}
	react := &clienttesting.SimpleReactor{Verb: verb, Resource: resource,
		Reaction: func(action clienttesting.Action) (bool, runtime.Object, error) {
			err := f(action)
			return err != nil, nil, err
		}}
	fake.ReactionChain = slices.Insert(fake.ReactionChain, 1, clienttesting.Reactor(react)) // the first one keeps the log
}

// keepLog notes the requests that the controller sends, in order, whatever becomes of them.
func (w *world) keepLog(fake *clienttesting.Fake) {
	fake.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if text := describe(action); text != "" {
			w.log = append(w.log, text)
		}
		return false, nil, nil
	})
}

// requests lists what was sent since the last call of clear: "get jobs etl-0", "dry run jobs", "list pods" ...
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// writes lists those that change something on the API server: "create jobs etl-0", "update sequentialjobs/status etl" ...
func (w *world) writes() []string {
	isRead := func(request string) bool {
		verb, _, _ := strings.Cut(request, " ")
		return slices.Contains([]string{"get", "list", "dry"}, verb)
	}
	writes := slices.DeleteFunc(w.requests(), isRead)
	if len(writes) == 0 {
		return nil
	}
	return writes
}

// clear forgets what was sent and told so far.
func (w *world) clear() {
	w.mu.Lock()
	w.log = nil
	w.mu.Unlock()
	w.events()
}

// describe returns "" for what is no request of a sync: informers ask for all namespaces, and events are not waited for.
func describe(action clienttesting.Action) string {
	resource, verb := action.GetResource().Resource, action.GetVerb()
	if action.GetNamespace() == "" || resource == "events" && verb != "list" {
		return ""
	}
	if sub := action.GetSubresource(); sub != "" {
		resource += "/" + sub
	}
	var name string
	switch a := action.(type) {
	case clienttesting.CreateActionImpl:
		if len(a.GetCreateOptions().DryRun) > 0 {
			return "dry run " + resource
		}
		object, _ := meta.Accessor(a.GetObject())
		name = object.GetName()
	case clienttesting.UpdateActionImpl:
		object, _ := meta.Accessor(a.GetObject())
		name = object.GetName()
	case interface{ GetName() string }: // get, patch, delete
		name = a.GetName()
	}
	return strings.TrimSpace(verb + " " + resource + " " + name)
}
