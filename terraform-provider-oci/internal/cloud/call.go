// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
)

// Retry says for how long a request is repeated that may succeed later. Zero repeats nothing.
type Retry struct {
	Throttled time.Duration // after 429
	Faulty    time.Duration // after 5xx, a transient state (409), a connection that broke
	Unreached time.Duration // when nothing accepts connections: a server that starts, or a wrong address

	// StatesAreFinal repeats nothing after 409.
	StatesAreFinal bool
}

// DefaultRetry has the bounds of Oracle's provider, except that it gives up soon where nobody listens.
func DefaultRetry() Retry {
	return Retry{Throttled: 10 * time.Minute, Faulty: 2 * time.Minute, Unreached: 5 * time.Second}
}

// Pauses between attempts: they double from the first to the longest. Retry-After wins.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// tokenKey is where a call's retry token lies in its context.
type tokenKey struct{}

// repeatable gives all attempts of one call the same retry token, so that a request which was carried
// out and whose answer was lost is not carried out again. Operations without a token have no header.
func repeatable(r *http.Request) error {
	const header = "opc-retry-token"
	if token, ok := r.Context().Value(tokenKey{}).(string); ok && r.Header.Get(header) != "" {
		r.Header.Set(header, token)
	}
	return nil
}

// Call sends a request, again while Retry allows it, and returns the answer. An error is a *Refusal
// when the service answered, an *Unanswered when it did not.
func Call[Q any, R common.OCIResponse](
	ctx context.Context, c *Cloud, send func(context.Context, Q) (R, error), request Q,
) (R, error) {
	ctx = context.WithValue(ctx, tokenKey{}, common.RetryToken())
	began, pause := c.Now(), firstPause
	for {
		answer, err := send(ctx, request)
		if err == nil {
			return answer, nil
		}
		err = describe(err, answer.HTTPResponse())
		wait := max(pause, retryAfter(answer.HTTPResponse()))
		if c.Now().Sub(began)+wait > c.Retry.window(err) {
			return answer, err
		}
		if c.Pause(ctx, wait) != nil {
			return answer, err // what the service said tells more than that time was up
		}
		pause = min(2*pause, longestPause)
	}
}

// window is for how long a request may be repeated that ended in err.
func (r Retry) window(err error) time.Duration {
	var refused *Refusal
	if errors.As(err, &refused) {
		switch {
		case refused.Status == http.StatusTooManyRequests:
			return r.Throttled
		case refused.Status >= 500 && refused.Status != http.StatusNotImplemented:
			return r.Faulty
		case refused.Code == "IncorrectState" || refused.Code == "LockConflict":
			if r.StatesAreFinal {
				return 0
			}
			return r.Faulty
		}
		return 0
	}
	var sent *url.Error
	if !errors.As(err, &sent) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !sent.Timeout() {
		return 0 // never left, or nobody waits any more
	}
	switch {
	case settled(err):
		return 0
	case unconnected(err):
		return r.Unreached
	}
	return r.Faulty
}

// settled says whether the same request would fail in the same way again.
func settled(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var name *net.DNSError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &certificate) || errors.As(err, &record) ||
		errors.As(err, &name) && name.IsNotFound
}

// unconnected says whether no connection came about.
func unconnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func retryAfter(answer *http.Response) time.Duration {
	if answer == nil {
		return 0
	}
	seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0 // absent, or a date, which no key service sends
	}
	return time.Duration(seconds) * time.Second
}

// Missing says whether err is the answer for what is not there, or what the caller may not see: the
// service does not tell the two apart.
func Missing(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// Conflicts says whether err is the answer that a settled state forbids what was asked.
func Conflicts(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Status == http.StatusConflict
}

// Invalid says whether err is the answer for a value that the service does not take.
func Invalid(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Status == http.StatusBadRequest
}
