package controller

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// largeList is what an API server answers with 5000 SequentialJobs of 20 steps.
func largeList() []byte {
	const objects, steps = 5000, 20
	var list bytes.Buffer
	list.WriteString(`{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJobList","metadata":{"resourceVersion":"1"},"items":[`)
	for i := range objects {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJob",`+
			`"metadata":{"name":"sj-%d","namespace":"default","uid":"uid-%d","resourceVersion":"%d"},"spec":{"containers":[`, i, i, i+1)
		for step := range steps {
			if step > 0 {
				list.WriteByte(',')
			}
			fmt.Fprintf(&list, `{"name":"step-%d","image":"data-tools/shell:v1","command":["sh","-c","echo %d"],`+
				`"resources":{"requests":{"cpu":"100m","memory":"64Mi"}},"env":[{"name":"A","value":"b"}],`+
				`"volumeMounts":[{"name":"data","mountPath":"/data"}]}`, step, step)
		}
		list.WriteString(`],"template":{"spec":{"volumes":[{"name":"data","emptyDir":{}}]}}}}`)
	}
	list.WriteString(`]}`)
	return list.Bytes()
}

// Reading what cannot be decoded as well must not make reading the rest slower: compare typed with tolerant.
func BenchmarkList(b *testing.B) {
	list := largeList()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		_, _ = w.Write(list)
	}))
	b.Cleanup(server.Close)
	client := versioned.NewForConfigOrDie(&rest.Config{Host: server.URL})
	b.Run("typed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.BatchV1alpha1().SequentialJobs("").List(b.Context(), metav1.ListOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tolerant", func(b *testing.B) {
		source := &tolerantListWatch{client: client.BatchV1alpha1().RESTClient(), undecodable: &undecodables{}}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := source.list(b.Context(), metav1.ListOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
