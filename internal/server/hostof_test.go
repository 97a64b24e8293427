// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestFrontKnowsItsOwnHost asks a front that routes by host for names that are and are not its own.
func TestFrontKnowsItsOwnHost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		advertise, host string
		own             bool
	}{
		{"https://kms.example.org", "kms.example.org", true},
		{"https://kms.example.org", "KMS.example.org.:443", true},
		{"https://kms.example.org:7443", "kms.example.org", true},
		{"https://kms.example.org", "kms.example.org.evil.test", false},
		{"https://kms.example.org", "", false},
		{"https://[2001:db8::1]", "[2001:db8::1]", true},
		{"https://[2001:db8::1]", "[2001:db8::1]:443", true},
		{"https://[2001:db8::1]:7443", "[2001:db8::1]", true},
		{"https://[2001:db8::1]", "[2001:db8::2]", false},
	} {
		answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		f := &Front{OCI: answer, Alibaba: answer, Hosts: NewHosts("https://{vault}.kms.example.org", "{vault}"), Advertise: tc.advertise}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = tc.host
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if got := w.Code == http.StatusNoContent; got != tc.own {
			t.Errorf("%s at %q: answered %d", tc.advertise, tc.host, w.Code)
		}
	}
}
