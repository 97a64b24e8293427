// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"net/http"
	"testing"
	"time"

	"claviger/internal/dialect"
)

// A source whose signatures do not verify is told to wait, as the cloud's gateway does, and whoever
// has verified there before is not held back by it.
func TestFailedSignaturesOfASource(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) {
		cfg.Guard = dialect.NewGuard(dialect.GuardConfig{Failures: 2, Now: cfg.Now})
	})
	key := c.newKey(t)
	stranger := c.Other
	stranger.Secret = "wrong"
	seen := map[string]int{}
	var last reply
	for i := range 40 {
		if i%2 == 0 {
			last = c.callAs(t, stranger, "ListKeys")
		} else {
			last = c.callACS3(t, stranger, "ListKeys")
		}
		seen[last.code()]++
	}
	if seen["400 SignatureDoesNotMatch"] != 10 || seen["400 Throttling"] != 30 {
		t.Errorf("answers %v, want 10 that do not verify and 30 throttled", seen)
	}
	if last.header.Get("X-Acs-Retry-After") == "" || last.header.Get(dialect.HintHeader) == "" {
		t.Errorf("refused with the headers %v", last.header)
	}
	if r := c.call(t, "Encrypt", "KeyId="+key, "Plaintext=aGVsbG8="); r.status != http.StatusOK {
		t.Errorf("who has verified before is answered %s", r)
	}
	if r := c.callAs(t, c.Other, "ListKeys"); r.code() != "400 Throttling" {
		t.Errorf("who has not is answered %s", r)
	}
	c.Clock.Add(time.Second)
	if r := c.callAs(t, c.Other, "ListKeys"); r.status != http.StatusOK {
		t.Errorf("a second later: %s", r)
	}
	unknown := c.Other
	unknown.AccessKey = "LTAIunknown"
	for range 40 {
		last = c.callAs(t, unknown, "ListKeys")
	}
	if last.code() != "400 Throttling" {
		t.Errorf("unknown access keys are looked up without end: %s", last)
	}
}
