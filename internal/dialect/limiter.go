// SPDX-License-Identifier: Apache-2.0

package dialect

import (
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

// Throttled is the error of a request over the rate. RetryAfter is when the next one fits.
type Throttled struct{ RetryAfter time.Duration }

func (t *Throttled) Error() string { return fmt.Sprintf("next request fits in %v", t.RetryAfter) }

// Admit takes one request out of the tenant's bucket, or answers KindThrottled with a
// [Throttled] as its cause.
func (l *Limiter) Admit(tenant keys.ID, class string) error {
	rate, ok := l.rates[class]
	if !ok || rate <= 0 {
		return nil
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
	wait := time.Duration((1 - b.tokens) / rate * float64(time.Second))
	return &keys.Error{
		Kind: keys.KindThrottled, Field: class, Err: &Throttled{RetryAfter: wait},
		Hint: fmt.Sprintf("more than %g requests per second in class %s for this tenant", rate, class),
	}
}
