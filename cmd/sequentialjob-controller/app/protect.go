package app

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

// protectBy returns a filter that asks the API server who makes a request, by its bearer token, and whether that user may get
// the path. Answers are kept for a short while.
func protectBy(kube kubernetes.Interface) (func(http.Handler) http.Handler, error) {
	const (
		reviewTimeout = 10 * time.Second
		tokenTTL      = 10 * time.Second
		allowTTL      = 10 * time.Second
		denyTTL       = 10 * time.Second
	)
	backoff := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 3}
	authenticator, _, err := authenticatorfactory.DelegatingAuthenticatorConfig{
		TokenAccessReviewClient:  kube.AuthenticationV1(),
		TokenAccessReviewTimeout: reviewTimeout,
		WebhookRetryBackoff:      &backoff,
		CacheTTL:                 tokenTTL,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	authorizer, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: kube.AuthorizationV1(),
		AllowCacheTTL:             allowTTL,
		DenyCacheTTL:              denyTTL,
		WebhookRetryBackoff:       &backoff,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	resolver := &request.RequestInfoFactory{} // no path here is one of a Kubernetes API
	unauthorized := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "a bearer token that the API server knows is needed", http.StatusUnauthorized)
	})
	return func(handler http.Handler) http.Handler {
		handler = filters.WithAuthorization(handler, authorizer, scheme.Codecs)
		handler = filters.WithAuthentication(handler, authenticator, unauthorized, nil, nil)
		return filters.WithRequestInfo(handler, resolver)
	}, nil
}
