package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"
	clocktesting "k8s.io/utils/clock/testing"
)

// protected is a page behind a protection whose limits never refill: reviews of both kinds are bounded by most.
func protected(t *testing.T, server *apiServer, most int) http.Handler {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	p, err := newProtection(server.config, reviewLimits{
		tokens:   flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(1, most, clock),
		accesses: flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(1, most, clock),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") }))
}

func status(page http.Handler, path, token string) int {
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer "+token)
	answer := httptest.NewRecorder()
	page.ServeHTTP(answer, request)
	return answer.Code
}

func TestTheSameTokenIsReviewedOnce(t *testing.T) {
	for token, want := range map[string]int{"reader": http.StatusOK, "stranger": http.StatusForbidden, "made-up": http.StatusUnauthorized} {
		server := newAPIServer(t)
		page := protected(t, server, 10)
		for range 100 {
			if got := status(page, "/metrics", token); got != want {
				t.Fatalf("%s: %d, want %d", token, got, want)
			}
		}
		if reviews, accesses := server.reviews.Load(), server.accesses.Load(); reviews != 1 || accesses > 1 {
			t.Errorf("%s: %d reviews of tokens, %d of accesses for 100 requests", token, reviews, accesses)
		}
	}
}

func TestAFloodOfTokensIsNoFloodOfReviews(t *testing.T) {
	server := newAPIServer(t)
	page := protected(t, server, 10)
	if got := status(page, "/metrics", "reader"); got != http.StatusOK {
		t.Fatalf("%d, want 200", got)
	}
	answers := map[int]int{}
	for i := range 1000 {
		answers[status(page, "/metrics", fmt.Sprint("made-up-", i))]++
	}
	if answers[http.StatusTooManyRequests] != 991 || answers[http.StatusUnauthorized] != 9 || server.reviews.Load() != 10 {
		t.Errorf("answers %v after %d reviews, want 10", answers, server.reviews.Load())
	}
	if got := status(page, "/metrics", "stranger"); got != http.StatusTooManyRequests {
		t.Errorf("%d for a token that was not known before, want 429", got)
	}
}

// Prometheus comes by less often than answers are kept.
func TestAFloodOfTokensKeepsNobodyOutWhoWasLetInBefore(t *testing.T) {
	server := newAPIServer(t)
	limit := flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(1, 1, clocktesting.NewFakePassiveClock(time.Unix(0, 0)))
	look := limitUnknownTokens(reviewTokens(kubernetes.NewForConfigOrDie(server.config)), limit)
	for range 2 {
		if _, ok, err := look(t.Context(), "reader"); !ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
	}
	if _, _, err := look(t.Context(), "stranger"); err == nil {
		t.Error("the limit does not hold for others")
	}
}

func TestAFloodOfPathsIsNoFloodOfReviews(t *testing.T) {
	server := newAPIServer(t)
	page := protected(t, server, 10)
	answers := map[int]int{}
	for i := range 1000 {
		answers[status(page, fmt.Sprint("/debug/pprof/", i), "stranger")]++
	}
	if answers[http.StatusTooManyRequests] != 990 || answers[http.StatusForbidden] != 10 || server.accesses.Load() != 10 {
		t.Errorf("answers %v after %d reviews, want 10", answers, server.accesses.Load())
	}
}

func TestWithoutTheAPIServerNobodyIsLetIn(t *testing.T) {
	server := newAPIServer(t)
	server.config.Host = "http://127.0.0.1:1"
	if got := status(protected(t, server, 10), "/metrics", "reader"); got != http.StatusUnauthorized {
		t.Errorf("%d, want 401", got)
	}
}
