package controller

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// reasonUndecodable is the reason of the event about an object that cannot be decoded.
	reasonUndecodable = "Undecodable"
	// maxDecodeError bounds, in bytes, what an event tells of the error: the API server takes no message of more than 1024.
	maxDecodeError = 700
)

// Undecodable is a stored SequentialJob that cannot be decoded into the Go types, such as one that an older CRD let in. The
// caches leave it out, so nothing is done about it; its Jobs stay as they are.
type Undecodable struct {
	cache.ObjectName
	UID             types.UID
	ResourceVersion string
	// Err says what cannot be decoded.
	Err error
}

// identify reads of a SequentialJob only what says which one it is, given the error of reading all of it.
func identify(data []byte, cause error) (Undecodable, error) {
	var object struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name            string    `json:"name"`
			Namespace       string    `json:"namespace"`
			UID             types.UID `json:"uid"`
			ResourceVersion string    `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &object); err != nil || object.Kind != v1alpha1.SequentialJobKind || object.Metadata.Name == "" {
		return Undecodable{}, cause
	}
	return Undecodable{
		ObjectName: cache.NewObjectName(object.Metadata.Namespace, object.Metadata.Name),
		UID:        object.Metadata.UID, ResourceVersion: object.Metadata.ResourceVersion, Err: cause,
	}, nil
}

// undecodables are the objects that are stored now and cannot be decoded. The zero value has none.
type undecodables struct {
	lock    sync.Mutex
	objects map[cache.ObjectName]Undecodable
	// publish is told of each version of each of them, unless it is nil.
	publish func(Undecodable)
}

// add takes note of an object. Each of its versions is told once.
func (u *undecodables) add(ctx context.Context, object Undecodable) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if known, ok := u.objects[object.ObjectName]; ok && known.ResourceVersion == object.ResourceVersion {
		return
	}
	if u.objects == nil {
		u.objects = map[cache.ObjectName]Undecodable{}
	}
	u.objects[object.ObjectName] = object
	klog.FromContext(ctx).Error(object.Err, "SequentialJob is left alone: it cannot be decoded",
		"sequentialJob", klog.KRef(object.Namespace, object.Name), "uid", object.UID, "resourceVersion", object.ResourceVersion)
	if u.publish != nil {
		u.publish(object)
	}
}

// forget drops an object that is gone, or can be decoded now.
func (u *undecodables) forget(name cache.ObjectName) {
	u.lock.Lock()
	defer u.lock.Unlock()
	delete(u.objects, name)
}

// retain drops all but these: what a complete list does not have is gone.
func (u *undecodables) retain(names sets.Set[cache.ObjectName]) {
	u.lock.Lock()
	defer u.lock.Unlock()
	for name := range u.objects {
		if !names.Has(name) {
			delete(u.objects, name)
		}
	}
}

// publishTo has each version of each object told from now on, beginning with those that are there; nil ends it.
func (u *undecodables) publishTo(publish func(Undecodable)) {
	u.lock.Lock()
	defer u.lock.Unlock()
	u.publish = publish
	if publish == nil {
		return
	}
	for _, object := range u.objects {
		publish(object)
	}
}

func (u *undecodables) list() []Undecodable {
	u.lock.Lock()
	defer u.lock.Unlock()
	var all []Undecodable
	for _, object := range u.objects {
		all = append(all, object)
	}
	return all
}

// Undecodable returns the SequentialJobs that are stored and cannot be decoded, by namespace and name.
func (i *Informers) Undecodable() []Undecodable {
	var all []Undecodable
	for _, in := range i.byNamespace {
		all = append(all, in.undecodable.list()...)
	}
	slices.SortFunc(all, func(a, b Undecodable) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// publishUndecodable publishes a Warning on each SequentialJob that cannot be decoded, once for each of its versions, until
// stop is called. Only one replica should: the one that leads.
func (i *Informers) publishUndecodable(recorder recorder) (stop func()) {
	for _, in := range i.byNamespace {
		in.undecodable.publishTo(func(object Undecodable) {
			recorder.Event(&corev1.ObjectReference{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.SequentialJobKind,
				Namespace: object.Namespace, Name: object.Name, UID: object.UID, ResourceVersion: object.ResourceVersion,
			}, corev1.EventTypeWarning, reasonUndecodable,
				"This SequentialJob is left alone, because it cannot be decoded. Correct it, or delete it and create it again: "+
					truncate(object.Err.Error()))
		})
	}
	return func() {
		for _, in := range i.byNamespace {
			in.undecodable.publishTo(nil)
		}
	}
}

func truncate(text string) string {
	if len(text) <= maxDecodeError {
		return text
	}
	return strings.ToValidUTF8(text[:maxDecodeError], "") + "..."
}
