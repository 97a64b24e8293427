// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"context"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

func pemOf(certificate []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}

// looks are what Await sees, one after the other; an error stands for itself.
type looks []any

func (l *looks) next(context.Context) (string, error) {
	seen := (*l)[0]
	if len(*l) > 1 {
		*l = (*l)[1:]
	}
	if err, ok := seen.(error); ok {
		return "", err
	}
	return seen.(string), nil
}

func TestAwait(t *testing.T) {
	t.Parallel()
	unknown := &Refusal{Status: 404}
	known := "DONE"
	for name, test := range map[string]struct {
		wait  Wait
		known *string
		sees  looks
		says  string        // of the error; "" for success
		slept time.Duration // at most
	}{
		"at once":            {Wait{Until: []string{"DONE"}}, nil, looks{"DONE"}, "", 0},
		"known before":       {Wait{Until: []string{"DONE"}}, &known, looks{errors.New("looked")}, "", 0},
		"on the way":         {Wait{Until: []string{"DONE"}, While: []string{"DOING"}}, nil, looks{"DOING", "DOING", "DONE"}, "", 200 * time.Millisecond},
		"something else":     {Wait{Until: []string{"DONE"}, While: []string{"DOING"}}, nil, looks{"DOING", "GONE"}, "became GONE instead of DONE", time.Second},
		"unknown at first":   {Wait{Until: []string{"DONE"}, New: true}, nil, looks{unknown, unknown, "DONE"}, "", time.Second},
		"unknown for long":   {Wait{Until: []string{"DONE"}, New: true}, nil, looks{unknown}, "404", 2 * time.Minute},
		"not there any more": {Wait{Until: []string{"DONE"}}, nil, looks{unknown}, "404", 0},
		"refused":            {Wait{Until: []string{"DONE"}, New: true}, nil, looks{&Refusal{Status: 401}}, "401", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, clock := testCloud(t, Options{})
			_, err := Await(t.Context(), c, test.wait, test.known, test.sees.next, func(s string) string { return s })
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
			if clock.slept() > test.slept {
				t.Errorf("waited for %s, want at most %s", clock.slept(), test.slept)
			}
		})
	}
}

func TestAwait_TimeUp(t *testing.T) {
	t.Parallel()
	c, _ := testCloud(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Await(ctx, c, Wait{Until: []string{"DONE"}, While: []string{"DOING"}}, nil, (&looks{"DOING"}).next, func(s string) string { return s })
	if err == nil || !strings.Contains(err.Error(), "still DOING, not DONE") {
		t.Error(err)
	}
}

func TestRotating(t *testing.T) {
	t.Parallel()
	c, _ := testCloud(t, Options{})
	done, err := c.Rotating(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.Rotating(t.Context(), "b")
	if err != nil {
		t.Fatalf("another key waits: %v", err)
	}
	other()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Rotating(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("two rotate one key: %v", err)
	}
	in := make(chan func())
	go func() {
		next, err := c.Rotating(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		in <- next
	}()
	done()
	(<-in)()
}

func TestHost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ domain, done, host, want string }{
		{"", "", "https://kms.us-ashburn-1.oraclecloud.com", "https://kms.us-ashburn-1.oraclecloud.com"},
		{"example.org", "", "https://kms.us-ashburn-1.oraclecloud.com", "https://kms.us-ashburn-1.example.org"},
		{"example.org", "", "http://127.0.0.1:7443", "http://127.0.0.1:7443"},
		{"example.org", "us-ashburn-1.oraclecloud.com", "https://kms.us-ashburn-1.oraclecloud.com", "https://kms.us-ashburn-1.oraclecloud.com"},
	} {
		c, _ := testCloud(t, Options{Domain: test.domain, DomainDone: test.done})
		if got := c.host(test.host); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestCheckEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, says := range map[string]string{
		"http://127.0.0.1:7443": "", "https://a.example.org": "", "a.example.org:443": "", "http://[::1]:80": "",
		"": "is not an address", "http://": "is not an address", "ftp://a": "is not an address", "http://a b": "is not an address",
		"http://a/": "ends with a slash", "http://a/b": "leave the rest away", "http://a?b": "leave the rest away", "http://u@a": "leave the rest away",
		"http://a#": "leave the rest away",
	} {
		if err := CheckEndpoint(endpoint); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", endpoint, err, says)
		}
	}
}

func TestCheckPurpose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		endpoint string
		purpose  Purpose
		says     string
	}{
		{"https://abc-management.kms.us-ashburn-1.oraclecloud.com", ManagementPurpose, ""},
		{"https://abc-crypto.kms.us-ashburn-1.oraclecloud.com", CryptoPurpose, ""},
		{"https://abc-crypto.kms.us-ashburn-1.oraclecloud.com", ManagementPurpose, "is the crypto endpoint"},
		{"https://abc-management.kms.us-ashburn-1.oraclecloud.com", CryptoPurpose, "is the management endpoint"},
		{"https://kms.us-ashburn-1.oraclecloud.com", CryptoPurpose, "is the vault service"},
		{"https://kms.example.org:7444", ManagementPurpose, ""},
		{"http://127.0.0.1:7444", ManagementPurpose, ""},
	} {
		if err := CheckPurpose(test.endpoint, test.purpose); (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
