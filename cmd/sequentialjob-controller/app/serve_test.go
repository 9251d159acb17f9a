package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	certutil "k8s.io/client-go/util/cert"

	"github.com/example/sequential-job-operator/pkg/controller"
)

// apiServer knows two tokens: "reader" may get /metrics and nothing else, "stranger" may get nothing. It counts what it is asked.
type apiServer struct {
	config            *rest.Config
	reviews, accesses atomic.Int64
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s, mux := &apiServer{}, http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, r *http.Request) {
		s.reviews.Add(1)
		answer(w, r, func(review *authenticationv1.TokenReview) {
			review.Status.Authenticated = review.Spec.Token == "reader" || review.Spec.Token == "stranger"
			review.Status.User.Username = review.Spec.Token
			if !review.Status.Authenticated {
				review.Status.Error = "[invalid bearer token, unknown]" // as a real one says
			}
		})
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, r *http.Request) {
		s.accesses.Add(1)
		answer(w, r, func(review *authorizationv1.SubjectAccessReview) {
			path := review.Spec.NonResourceAttributes
			review.Status.Allowed = review.Spec.User == "reader" && path != nil && path.Path == "/metrics" && path.Verb == "get"
		})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.config = &rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
	return s
}

// answer sends a review back with a status.
func answer[T any](w http.ResponseWriter, r *http.Request, decide func(*T)) {
	var review T
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	decide(&review)
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review) // the client tells if it misses something
}

// served serves and returns the address.
func served(t *testing.T, o servingOptions, ready error) string {
	t.Helper()
	protection, err := newProtection(newAPIServer(t).config, newReviewLimits())
	if err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Int("workers", 3, "")
	e := &endpoints{
		live:    []healthz.HealthChecker{healthz.PingHealthz},
		ready:   []healthz.HealthChecker{healthz.NamedCheck("caches", func(*http.Request) error { return ready })},
		flags:   flags,
		protect: protection.protect,
		undecodable: func() []controller.Undecodable {
			return []controller.Undecodable{{ObjectName: cache.NewObjectName("team-a", "broken")}}
		},
	}
	o.address = "127.0.0.1"
	listener, err := listen(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	serve(t.Context(), listener, e.handler(&o), func(err error) { t.Errorf("serving: %v", err) })
	if o.tls {
		return "https://" + listener.Addr().String()
	}
	return "http://" + listener.Addr().String()
}

// answered is what a client got.
type answered struct {
	status      int
	protocol    int
	certificate *x509.Certificate
	body        string
}

// get asks as somebody who would take HTTP/2 if it were offered.
func get(t *testing.T, url, token string) answered {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answered{status: response.StatusCode, protocol: response.ProtoMajor, body: string(body)}
	if response.TLS != nil {
		got.certificate = response.TLS.PeerCertificates[0]
	}
	return got
}

func TestHealthIsForEverybodyAndTheRestForWhomTheAPIServerAllows(t *testing.T) {
	for name, tc := range map[string]struct {
		path, token string
		want        int
		says        string
	}{
		"alive":                        {"/livez", "", 200, "ok"},
		"ready":                        {"/readyz", "", 200, "ok"},
		"metrics, nobody":              {"/metrics", "", 401, "a bearer token that the API server knows is needed"},
		"metrics, unknown token":       {"/metrics", "made-up", 401, "a bearer token"},
		"metrics, not allowed":         {"/metrics", "stranger", 403, `User "stranger" cannot get path "/metrics"`},
		"metrics, allowed":             {"/metrics", "reader", 200, "sequentialjob_build_info"},
		"flags, allowed metrics only":  {"/configz", "reader", 403, "cannot get path"},
		"profiles, not asked for":      {"/debug/pprof/", "reader", 403, "cannot get path"},
		"a path that is not there":     {"/secrets", "", 401, "a bearer token"},
		"a path below the open ones":   {"/readyz/caches", "", 200, "ok"},
		"a path that climbs to others": {"/readyz/../metrics", "", 401, "a bearer token"},
	} {
		t.Run(name, func(t *testing.T) {
			url := served(t, servingOptions{tls: true, metrics: true}, nil)
			got := get(t, url+tc.path, tc.token)
			if got.status != tc.want || !strings.Contains(got.body, tc.says) {
				t.Errorf("%d %s, want %d %s", got.status, got.body, tc.want, tc.says)
			}
			if got.protocol != 1 {
				t.Errorf("it speaks HTTP/%d", got.protocol)
			}
		})
	}
}

func TestWhatIsServedIsUpToTheFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		options servingOptions
		path    string
		want    int
		says    string
	}{
		"plain: metrics for everybody": {servingOptions{metrics: true}, "/metrics", 200, "sequentialjob_build_info"},
		"plain: flags":                 {servingOptions{}, "/configz", 200, `"workers": "3"`},
		"metrics off":                  {servingOptions{}, "/metrics", 404, "not found"},
		"profiling off":                {servingOptions{}, "/debug/pprof/", 404, "not found"},
		"profiling on":                 {servingOptions{profiling: true}, "/debug/pprof/", 200, "goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			got := get(t, served(t, tc.options, nil)+tc.path, "")
			if got.status != tc.want || !strings.Contains(got.body, tc.says) {
				t.Errorf("%d %s, want %d %s", got.status, got.body, tc.want, tc.says)
			}
		})
	}
}

func TestNotReadyUntilTheCachesAreFilled(t *testing.T) {
	got := get(t, served(t, servingOptions{}, errors.New("not filled yet"))+"/readyz", "")
	if got.status != http.StatusInternalServerError || !strings.Contains(got.body, "[-]caches failed") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// It works for all others, so it is ready; and whoever looks closer is told.
func TestWhatCannotBeDecodedIsNamedByReadiness(t *testing.T) {
	url := served(t, servingOptions{}, nil)
	got := get(t, url+"/readyz?verbose", "")
	if want := "warn: SequentialJob team-a/broken cannot be decoded and is left alone\n"; got.status != http.StatusOK ||
		!strings.Contains(got.body, want) || !strings.Contains(got.body, "[+]caches ok") {
		t.Errorf("%d %s, want %s", got.status, got.body, want)
	}
	if got := get(t, url+"/readyz", ""); got.status != http.StatusOK || got.body != "ok" {
		t.Errorf("%d %s, want ok", got.status, got.body)
	}
}

func TestTheCertificateIsReadAgainWhenItsFilesChange(t *testing.T) {
	dir := t.TempDir()
	o := servingOptions{tls: true, certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key")}
	write := func(host string) {
		certificate, key, err := certutil.GenerateSelfSignedCertKey(host, nil, nil)
		if err = errors.Join(err, os.WriteFile(o.keyFile, key, 0o600), os.WriteFile(o.certFile, certificate, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("before.example.com")
	url := served(t, o, nil)
	servedFor := func() *x509.Certificate {
		return get(t, url+"/livez", "").certificate
	}
	if err := servedFor().VerifyHostname("before.example.com"); err != nil {
		t.Error(err)
	}
	write("after.example.com")
	for servedFor().VerifyHostname("after.example.com") != nil {
		if t.Context().Err() != nil {
			t.Fatal("the new certificate is not served")
		}
	}
}

func TestAPortThatIsTakenIsSaid(t *testing.T) {
	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(served(t, servingOptions{}, nil), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = listen(t.Context(), &servingOptions{address: "127.0.0.1", port: address.Port})
	if err == nil || !strings.Contains(err.Error(), "--port") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v, want one that names --port", err)
	}
}

func TestWhenServingEndsTheProcessIsTold(t *testing.T) {
	listener, err := listen(t.Context(), &servingOptions{address: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	serve(t.Context(), listener, http.NotFoundHandler(), func(err error) { failed <- err })
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "serving health and metrics ended") {
		t.Errorf("error %v", err)
	}
}
