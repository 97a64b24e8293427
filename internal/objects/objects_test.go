// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		namespace, bucket, object string
		want                      string
	}{
		{"acme", "backups", "key", ""},
		{"Acme_1-x", "My.bucket_1", "a/b c/é~%", ""},
		{strings.Repeat("n", 100), strings.Repeat("b", 256), strings.Repeat("o", 1024), ""},
		{"", "b", "o", "namespace"},
		{"a.b", "b", "o", "namespace"},
		{"a/b", "b", "o", "namespace"},
		{strings.Repeat("n", 101), "b", "o", "namespace"},
		{"n", "", "o", "bucket"},
		{"n", "..", "o", "bucket"},
		{"n", ".", "o", "bucket"},
		{"n", "a/b", "o", "bucket"},
		{"n", strings.Repeat("b", 257), "o", "bucket"},
		{"n", "b", "", "object"},
		{"n", "b", "\xff", "object"},
		{"n", "b", "a\x00b", "object"},
		{"n", "b", "a\r\nb", "object"},
		{"n", "b", "..", "object"},
		{"n", "b", "a/../b", "object"},
		{"n", "b", "/a", "object"},
		{"n", "b", "a//b", "object"},
		{"n", "b", "a/", "object"},
		{"n", "b", strings.Repeat("o", 1025), "object"},
	} {
		n := Name{Namespace: c.namespace, Bucket: c.bucket, Object: c.object}
		if got := n.Check(); got != c.want {
			t.Errorf("%.80q: the %q is refused, want %q", n, got, c.want)
		}
	}
}

func TestURIsAreNotShown(t *testing.T) {
	t.Parallel()
	at := Location{URI: "https://h/p/hush"}
	encoded, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(encoded), fmt.Sprint(at), fmt.Sprintf("%+v %#v %q %x %s", at, at, at.URI, at.URI, &at)} {
		if strings.Contains(text, "hush") || strings.Contains(text, "68757368") {
			t.Errorf("shown: %s", text)
		}
	}
}

func TestStorageThatIsNotConfigured(t *testing.T) {
	t.Parallel()
	none := &Storage{}
	for _, at := range []Location{{URI: "https://h"}, {Name: Name{Namespace: "n", Bucket: "b", Object: "o"}}} {
		if err := none.Put(t.Context(), at, nil, 0); !errors.Is(err, ErrRefused) {
			t.Errorf("put: %v", err)
		}
		if _, _, err := none.Get(t.Context(), at); !errors.Is(err, ErrRefused) {
			t.Errorf("get: %v", err)
		}
	}
}
