// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"claviger/internal/kms/kmstest"
)

// lines is a log that may be written to while it is read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestStrangersWriteLittleIntoLogs sends what nobody has signed, with texts as long as a header
// may be, and looks how much of them is kept.
func TestStrangersWriteLittleIntoLogs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 512<<10)
	for name, change := range map[string]func(*http.Request){
		"path": func(r *http.Request) { r.URL.Path = "/" + long },
		"key id": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), `keyId="`, `keyId="`+long, 1))
		},
		"header that is not there": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), `headers="`, `headers="`+long+" ", 1))
		},
		"signed header": func(r *http.Request) {
			r.Header.Set("X-Long", strings.Repeat("\xff", len(long)))
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), `headers="`, `headers="x-long `, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := new(lines)
			w := kmstest.New(t)
			r := newRigOn(t, w, func(c *Config) { c.Log = slog.New(slog.NewJSONHandler(log, nil)) })
			req := r.signer(r.Tenant).request(t, r.Clock.Now(), "GET", r.region.URL+"/20180608/vaults?compartmentId=x", nil, nil)
			change(req)
			if got := send(t, req); got.status != http.StatusUnauthorized && got.status != http.StatusNotFound {
				t.Errorf("answered %d %s", got.status, got.body)
			}
			r.region.Close() // waits until the request is logged
			const most = 4 << 10
			if n := len(log.String()); n == 0 || n > most {
				t.Errorf("the log has %d bytes of one request", n)
			}
			events := w.Audit.Events()
			if last := events[len(events)-1]; len(last.AppendJSON(nil)) > most || last.Reason == "" {
				t.Errorf("the audit record has %d bytes", len(last.AppendJSON(nil)))
			}
		})
	}
}
