// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"claviger/internal/keys"
)

// Limiter throttles classes of operations per tenant with token buckets, in request time. A
// class without a rate is not throttled.
type Limiter struct {
	now   func() time.Time
	rates map[string]float64 // class → requests per second, immutable
	take  Take               // instead of what follows; nil: the buckets are this process's

	mu      sync.Mutex
	buckets map[bucketKey]*bucket // guarded by mu
}

type bucketKey struct {
	tenant keys.ID
	class  string
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewLimiter makes a limiter of requests per second by class; a bucket holds one second's worth.
func NewLimiter(now func() time.Time, rates map[string]float64) *Limiter {
	return &Limiter{now: now, rates: rates, buckets: map[bucketKey]*bucket{}}
}

// Take takes a token out of a bucket that several processes share, or tells when there is one.
type Take func(ctx context.Context, tenant keys.ID, class string, rate float64) (ok bool, wait time.Duration, err error)

// NewSharedLimiter makes a limiter whose buckets are elsewhere. Without an answer from there no
// request of a class with a rate passes.
func NewSharedLimiter(take Take, rates map[string]float64) *Limiter {
	return &Limiter{rates: rates, take: take}
}

// Throttled is the error of a request over the rate. RetryAfter is when the next one fits.
type Throttled struct{ RetryAfter time.Duration }

func (t *Throttled) Error() string { return fmt.Sprintf("next request fits in %v", t.RetryAfter) }

// Admit takes one request out of the tenant's bucket, or answers KindThrottled with a
// [Throttled] as its cause.
func (l *Limiter) Admit(ctx context.Context, tenant keys.ID, class string) error {
	rate, ok := l.rates[class]
	if !ok || rate <= 0 {
		return nil
	}
	if l.take != nil {
		ok, wait, err := l.take(ctx, tenant, class, rate)
		if ok || err != nil {
			return err
		}
		return throttled(class, rate, wait)
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := bucketKey{tenant, class}
	b := l.buckets[k]
	if b == nil {
		b = &bucket{tokens: math.Max(rate, 1), at: now}
		l.buckets[k] = b
	}
	if d := now.Sub(b.at); d > 0 {
		b.tokens = math.Min(math.Max(rate, 1), b.tokens+d.Seconds()*rate)
		b.at = now
	}
	if b.tokens >= 1 {
		b.tokens--
		return nil
	}
	return throttled(class, rate, time.Duration((1-b.tokens)/rate*float64(time.Second)))
}

func throttled(class string, rate float64, wait time.Duration) error {
	return &keys.Error{
		Kind: keys.KindThrottled, Field: class, Err: &Throttled{RetryAfter: wait},
		Hint: fmt.Sprintf("more than %g requests per second in class %s for this tenant", rate, class),
	}
}
