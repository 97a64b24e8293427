// SPDX-License-Identifier: Apache-2.0

// Package objectstest is the suite that every kind of object storage passes.
package objectstest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"claviger/internal/objects"
)

// Owner is whose the suite's objects are.
const Owner = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

// Run runs the suite. open makes an empty storage that has, or makes, the buckets that are named.
func Run(t *testing.T, open func(t testing.TB, buckets ...string) objects.Store) {
	t.Run("RoundTrip", func(t *testing.T) { roundTrip(t, open(t, "backups")) })
	t.Run("Names", func(t *testing.T) { names(t, open(t, "backups", "other.bucket")) })
	t.Run("Failures", func(t *testing.T) { failures(t, open(t, "backups")) })
	t.Run("Concurrent", func(t *testing.T) { concurrent(t, open(t, "backups")) })
}

func named(object string) objects.Name {
	return objects.Name{Owner: Owner, Namespace: "acme", Bucket: "backups", Object: object}
}

func put(t testing.TB, s objects.Store, n objects.Name, content []byte) {
	t.Helper()
	if err := s.Put(t.Context(), n, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatalf("put %+v: %v", n, err)
	}
}

func get(t testing.TB, s objects.Store, n objects.Name) []byte {
	t.Helper()
	body, size, err := s.Get(t.Context(), n)
	if err != nil {
		t.Fatalf("get %+v: %v", n, err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil || (size != -1 && size != int64(len(content))) {
		t.Fatalf("get %+v: %d bytes, said to be %d: %v", n, len(content), size, err)
	}
	return content
}

func roundTrip(t *testing.T, s objects.Store) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	for _, content := range [][]byte{[]byte("first"), {}, large, []byte("last")} {
		put(t, s, named("key.backup"), content)
		if got := get(t, s, named("key.backup")); !bytes.Equal(got, content) {
			t.Fatalf("put %d bytes, got %d", len(content), len(got))
		}
	}
	half := bytes.NewReader([]byte("half read"))
	if _, err := io.CopyN(io.Discard, half, 5); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), named("half"), half, 9); err != nil || string(get(t, s, named("half"))) != "half read" {
		t.Errorf("a body that was read before: %v", err)
	}
}

// names stores an object under each of many names that must not be one another's.
func names(t *testing.T, s objects.Store) {
	all := []objects.Name{
		named("a"), named("A"), named("a/b"), named("a%2fb"), named("a%2Fb"), named("a+b"), named("a b"), named("é"), named("e\u0301"),
		named("~tilde"), named("=&?#:;@!$'()*,[]{}|^`\"<>\\"), named("%"), named("dots.in.name"),
		named(strings.Repeat("long", 256)), named(strings.Repeat("long", 255) + "lonG"),
		{Owner: Owner, Namespace: "acme", Bucket: "other.bucket", Object: "a"},
		{Owner: Owner, Namespace: "ACME", Bucket: "backups", Object: "a"},
		{Owner: "00000000-9dc0-11d1-b245-5ffdce74fad2", Namespace: "acme", Bucket: "backups", Object: "a"},
	}
	for i, n := range all {
		if part := n.Check(); part != "" {
			t.Errorf("%+v: the %s is refused", n, part)
		}
		put(t, s, n, []byte{byte(i)})
	}
	for i, n := range all {
		if got := get(t, s, n); len(got) != 1 || got[0] != byte(i) {
			t.Errorf("%+v holds what was put under %v", n, got)
		}
	}
}

func failures(t *testing.T, s objects.Store) {
	put(t, s, named("kept"), []byte("before"))
	for what, n := range map[string]objects.Name{
		"object": named("none"), "bucket": {Owner: Owner, Namespace: "acme", Bucket: "no-such-bucket", Object: "kept"},
		"namespace": {Owner: Owner, Namespace: "nobody", Bucket: "backups", Object: "kept"},
		"owner":     {Owner: "00000000-9dc0-11d1-b245-5ffdce74fad2", Namespace: "acme", Bucket: "backups", Object: "kept"},
	} {
		if body, _, err := s.Get(t.Context(), n); !errors.Is(err, objects.ErrNotFound) {
			t.Errorf("an unknown %s: %v %v, want ErrNotFound", what, body, err)
		}
	}
	broken := errors.New("disk on fire")
	for what, body := range map[string]io.ReadSeeker{
		"breaks off": breaking{bytes.NewReader(make([]byte, 1000)), broken}, "is too short": bytes.NewReader(make([]byte, 999)),
	} {
		if err := s.Put(t.Context(), named("kept"), body, 1000); err == nil {
			t.Errorf("a body that %s is stored", what)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(over, named("kept"), strings.NewReader("after"), 5); !errors.Is(err, context.Canceled) {
		t.Errorf("put with a context that is over: %v", err)
	}
	if got := get(t, s, named("kept")); string(got) != "before" {
		t.Errorf("after failed puts it holds %.20q", got)
	}
}

// breaking is a body that cannot be read to its end.
type breaking struct {
	*bytes.Reader
	err error
}

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p[:min(len(p), 100)])
	if err == io.EOF || b.Len() < 500 {
		return 0, b.err
	}
	return n, err
}

// concurrent puts one object many times at once: it is always one of them, whole.
func concurrent(t *testing.T, s objects.Store) {
	put(t, s, named("shared"), bytes.Repeat([]byte{0xff}, 5000))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			content := bytes.Repeat([]byte{byte(i)}, 5000)
			if err := s.Put(t.Context(), named("shared"), bytes.NewReader(content), 5000); err != nil {
				t.Error(err)
			}
			body, _, err := s.Get(t.Context(), named("shared"))
			if err != nil {
				t.Error(err)
				return
			}
			defer body.Close()
			got, err := io.ReadAll(body)
			if err != nil || len(got) != 5000 || !bytes.Equal(got, bytes.Repeat(got[:1], 5000)) {
				t.Errorf("got %d bytes of several objects: %v", len(got), err)
			}
		})
	}
	all.Wait()
}
