package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
)

// errTooManyReviews says that the API server is not asked now.
var errTooManyReviews = errors.New("too many requests that the API server has to be asked about")

// protection lets a request pass if the API server knows its bearer token and allows that user to get the path. What the API
// server says is kept for a short while.
type protection struct {
	authenticator authenticator.Request
	authorizer    authorizer.Authorizer
}

// reviewLimits bound how often the API server is asked: everybody who reaches the port can make up tokens, and whoever has one
// can make up paths.
type reviewLimits struct {
	tokens, accesses flowcontrol.PassiveRateLimiter
}

func newReviewLimits() reviewLimits {
	const perSecond, atOnce = 5, 20
	return reviewLimits{
		tokens:   flowcontrol.NewTokenBucketPassiveRateLimiter(perSecond, atOnce),
		accesses: flowcontrol.NewTokenBucketPassiveRateLimiter(perSecond, atOnce),
	}
}

// newProtection returns a protection that asks the API server of this configuration, which should have no limit of its own.
func newProtection(config *rest.Config, limits reviewLimits) (*protection, error) {
	const ttl = 10 * time.Second
	tokens, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	config = rest.CopyConfig(config)
	config.RateLimiter = failFast{limits.accesses}
	accesses, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	allowed, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: accesses.AuthorizationV1(),
		AllowCacheTTL:             ttl,
		DenyCacheTTL:              ttl,
		WebhookRetryBackoff:       &wait.Backoff{Steps: 1}, // whoever asked can ask again
	}.New()
	if err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	reviewed := limitUnknownTokens(reviewTokens(tokens), limits.tokens)
	return &protection{
		authenticator: group.NewAuthenticatedGroupAdder(bearertoken.New(tokencache.New(reviewed, false, ttl, ttl))),
		authorizer:    allowed,
	}, nil
}

// protect is a filter.
func (p *protection) protect(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok, err := p.authenticator.AuthenticateRequest(r)
		if err != nil && refuseBusy(w, err) {
			return
		}
		if !ok {
			http.Error(w, "a bearer token that the API server knows is needed", http.StatusUnauthorized)
			return
		}
		verb := strings.ToLower(r.Method)
		decision, reason, err := p.authorizer.Authorize(r.Context(), authorizer.AttributesRecord{User: who.User, Verb: verb, Path: r.URL.Path})
		switch {
		case decision == authorizer.DecisionAllow:
			handler.ServeHTTP(w, r)
		case err != nil && refuseBusy(w, err):
		case err != nil:
			klog.FromContext(r.Context()).Error(err, "The API server could not be asked who may read", "path", r.URL.Path)
			http.Error(w, "the API server could not be asked whether this is allowed", http.StatusInternalServerError)
		default:
			http.Error(w, fmt.Sprintf("User %q cannot %s path %q: %s", who.User.GetName(), verb, r.URL.Path, reason), http.StatusForbidden)
		}
	})
}

// refuseBusy answers a request that was not looked at for want of reviews, and says whether it was one.
func refuseBusy(w http.ResponseWriter, err error) bool {
	if !errors.Is(err, errTooManyReviews) {
		return false
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, errTooManyReviews.Error(), http.StatusTooManyRequests)
	return true
}

// reviewTokens asks the API server about each token.
func reviewTokens(kube kubernetes.Interface) authenticator.TokenFunc {
	return func(ctx context.Context, token string) (*authenticator.Response, bool, error) {
		review, err := kube.AuthenticationV1().TokenReviews().Create(ctx,
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		if err != nil {
			klog.FromContext(ctx).Error(err, "The API server could not be asked whose token it is")
			return nil, false, err
		}
		if !review.Status.Authenticated {
			return nil, false, nil // its error says only that it knows no such token; this answer is kept
		}
		known := review.Status.User
		info := &user.DefaultInfo{Name: known.Username, UID: known.UID, Groups: known.Groups, Extra: map[string][]string{}}
		for key, values := range known.Extra {
			info.Extra[key] = values
		}
		return &authenticator.Response{User: info}, true, nil
	}
}

// limitUnknownTokens looks at no more tokens than the limit allows. Tokens that were good within the last hour do not count:
// a flood of others must not keep those out who read the metrics.
func limitUnknownTokens(look authenticator.TokenFunc, limit flowcontrol.PassiveRateLimiter) authenticator.TokenFunc {
	const maxKnown, keep = 1000, time.Hour
	known := cache.NewLRUExpireCache(maxKnown)
	return func(ctx context.Context, token string) (*authenticator.Response, bool, error) {
		key := sha256.Sum256([]byte(token))
		if _, ok := known.Get(key); !ok && !limit.TryAccept() {
			return nil, false, errTooManyReviews
		}
		who, ok, err := look(ctx, token)
		switch {
		case ok:
			known.Add(key, nil, keep)
		case err == nil:
			known.Remove(key)
		}
		return who, ok, err
	}
}

// failFast refuses what is over its limit instead of holding it up.
type failFast struct{ flowcontrol.PassiveRateLimiter }

// Accept does not wait: nothing here calls it.
func (f failFast) Accept() { f.TryAccept() }

// Wait does not wait.
func (f failFast) Wait(context.Context) error {
	if !f.TryAccept() {
		return errTooManyReviews
	}
	return nil
}
