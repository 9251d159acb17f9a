package controller

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// largeList is what an API server answers with 5000 SequentialJobs of 20 steps: a list, and a watch that begins with them.
func largeList() (list, events []byte) {
	const objects, steps = 5000, 20
	var containers []string
	for step := range steps {
		containers = append(containers, fmt.Sprintf(`{"name":"step-%d","image":"data-tools/shell:v1","command":["sh","-c","echo %d"],`+
			`"resources":{"requests":{"cpu":"100m","memory":"64Mi"}},"env":[{"name":"A","value":"b"}],`+
			`"volumeMounts":[{"name":"data","mountPath":"/data"}]}`, step, step))
	}
	var items []string
	var watched bytes.Buffer
	for i := range objects {
		item := fmt.Sprintf(`{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJob",`+
			`"metadata":{"name":"sj-%d","namespace":"default","uid":"uid-%d","resourceVersion":"%d"},"spec":{"containers":[%s],`+
			`"template":{"spec":{"volumes":[{"name":"data","emptyDir":{}}]}}}}`, i, i, i+1, strings.Join(containers, ","))
		items = append(items, item)
		fmt.Fprintf(&watched, `{"type":"ADDED","object":%s}`+"\n", item)
	}
	return fmt.Appendf(nil, `{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJobList","metadata":{"resourceVersion":"1"},"items":[%s]}`,
		strings.Join(items, ",")), watched.Bytes()
}

// Being ready for what cannot be decoded must not make reading slower: compare the typed client with the tolerant one.
func BenchmarkListAndWatch(b *testing.B) {
	list, events := largeList()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		if r.URL.Query().Get("watch") != "" {
			_, _ = w.Write(events)
		} else {
			_, _ = w.Write(list)
		}
	}))
	b.Cleanup(server.Close)
	client := versioned.NewForConfigOrDie(&rest.Config{Host: server.URL})
	tolerant, err := newTolerantClient(client.BatchV1alpha1().RESTClient().(*rest.RESTClient))
	if err != nil {
		b.Fatal(err)
	}
	source := &tolerantListWatch{client: tolerant, undecodable: &undecodables{}}
	for name, watched := range map[string]func(context.Context, metav1.ListOptions) (watch.Interface, error){
		"watch/typed": client.BatchV1alpha1().SequentialJobs("").Watch, "watch/tolerant": source.watch,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w, err := watched(b.Context(), metav1.ListOptions{})
				if err != nil {
					b.Fatal(err)
				}
				for range w.ResultChan() {
				}
			}
		})
	}
	b.Run("list/typed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.BatchV1alpha1().SequentialJobs("").List(b.Context(), metav1.ListOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list/tolerant", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := source.list(b.Context(), metav1.ListOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
