package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/component-base/metrics/legacyregistry"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // requests, leader election and work queue

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/controller"
)

// servingOptions say what the process serves, where and to whom.
type servingOptions struct {
	address   string
	port      int
	tls       bool
	certFile  string
	keyFile   string
	metrics   bool
	profiling bool
}

func (o *servingOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.address, "bind-address", o.address, "Address to serve health and metrics at. Unset: all addresses.")
	flags.IntVar(&o.port, "port", o.port,
		"Port to serve health (/livez, /readyz), metrics (/metrics) and the flags (/configz) at. 0: serve nothing.")
	flags.BoolVar(&o.tls, "tls", o.tls,
		"Serve HTTPS, and all but health only to whom the API server allows to get it. "+
			"False: plain HTTP, open to everybody who reaches the port.")
	flags.StringVar(&o.certFile, "tls-cert-file", o.certFile,
		"Certificate to serve with; read again when it changes. Unset: one made at every start, which nobody can verify.")
	flags.StringVar(&o.keyFile, "tls-private-key-file", o.keyFile, "Private key that belongs to --tls-cert-file.")
	flags.BoolVar(&o.metrics, "metrics", o.metrics, "Serve metrics.")
	flags.BoolVar(&o.profiling, "profiling", o.profiling, "Serve profiles of the process at /debug/pprof/.")
}

func (o *servingOptions) validate() error {
	const maxPort = 65535
	if o.port < 0 || o.port > maxPort {
		return fmt.Errorf("--port is %d: it has to be 0 to %d", o.port, maxPort)
	}
	if o.address != "" && net.ParseIP(o.address) == nil {
		return fmt.Errorf("--bind-address is %q: it has to be an IP address", o.address)
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return errors.New("--tls-cert-file and --tls-private-key-file have to be given together")
	}
	if o.certFile != "" && !o.tls {
		return errors.New("--tls-cert-file needs --tls")
	}
	return nil
}

// endpoints are what is served.
type endpoints struct {
	live, ready []healthz.HealthChecker
	flags       *pflag.FlagSet
	// protect lets a request pass only if the API server allows it.
	protect func(http.Handler) http.Handler
	// undecodable returns the objects that a verbose /readyz names.
	undecodable func() []controller.Undecodable
}

func (e *endpoints) handler(o *servingOptions) http.Handler {
	registerBuildMetric()
	protected := http.NewServeMux()
	protected.HandleFunc("/configz", e.serveFlags)
	if o.metrics {
		protected.Handle("/metrics", legacyregistry.Handler())
	}
	if o.profiling {
		protected.HandleFunc("/debug/pprof/", pprof.Index)
		protected.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		protected.HandleFunc("/debug/pprof/profile", pprof.Profile)
		protected.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		protected.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	all := http.NewServeMux()
	healthz.InstallLivezHandler(all, e.live...)
	ready := http.NewServeMux()
	healthz.InstallReadyzHandler(ready, e.ready...)
	all.Handle("/readyz", tellUndecodable(ready, e.undecodable))
	all.Handle("/readyz/", ready)
	if o.tls {
		all.Handle("/", e.protect(protected))
	} else {
		all.Handle("/", protected)
	}
	return all
}

// serveFlags writes what every flag is set to.
func (e *endpoints) serveFlags(w http.ResponseWriter, _ *http.Request) {
	values := map[string]string{}
	e.flags.VisitAll(func(f *pflag.Flag) { values[f.Name] = f.Value.String() })
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(values) // the client is gone, then
}

// listen opens the port.
func listen(ctx context.Context, o *servingOptions) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(o.address, strconv.Itoa(o.port)))
	if err != nil {
		return nil, fmt.Errorf("--port: %w", err)
	}
	if !o.tls {
		return listener, nil
	}
	config, err := tlsConfig(ctx, o)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, config), nil
}

// serve serves until ctx is done, and returns at once. If serving ends before, failed is told why.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, failed func(error)) {
	const headerTimeout, idleTimeout, shutdownTimeout = 10 * time.Second, 90 * time.Second, time.Second
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		// HTTP/2 lets one connection ask for much and take it back at once; nothing here needs it.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	context.AfterFunc(ctx, func() {
		shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(shutdown) // whoever still reads is cut off when the process ends
	})
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serving health and metrics ended: %w", err))
		}
	}()
}

// tlsConfig returns a configuration that takes a new certificate as soon as the files have one.
func tlsConfig(ctx context.Context, o *servingOptions) (*tls.Config, error) {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	certificate, err := certificateOf(o)
	if err != nil {
		return nil, err
	}
	current := dynamiccertificates.NewDynamicServingCertificateController(base, nil, certificate, nil, nil)
	if files, ok := certificate.(*dynamiccertificates.DynamicCertKeyPairContent); ok {
		files.AddListener(current)
		go files.Run(ctx, 1)
	}
	if err := current.RunOnce(); err != nil {
		return nil, fmt.Errorf("--tls-cert-file: %w", err)
	}
	go current.Run(1, ctx.Done())
	config := base.Clone()
	config.GetConfigForClient = current.GetConfigForClient
	return config, nil
}

func certificateOf(o *servingOptions) (dynamiccertificates.CertKeyContentProvider, error) {
	if o.certFile != "" {
		files, err := dynamiccertificates.NewDynamicServingContentFromFiles("serving", o.certFile, o.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert-file: %w", err)
		}
		return files, nil
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey(v1alpha1.ControllerName, nil, []string{"localhost"})
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	static, err := dynamiccertificates.NewStaticCertKeyContent("self-signed", certificate, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return static, nil
}
