// SPDX-License-Identifier: Apache-2.0

// Package bucket runs object storage beside a test: an S3 store whose every request must carry
// the signature that Amazon's own signer makes, and a server of pre-authenticated requests.
package bucket

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// The credentials and the region of every store here.
const (
	AccessKey = "AKIACONFORMANCE"
	SecretKey = "conformance/secret+key"
	Region    = "eu-test-1"
)

// Store is a running S3 store.
type Store struct {
	URL             string
	CredentialsFile string // as the server's settings want it

	t       testing.TB
	backend *s3mem.Backend

	mu      sync.Mutex
	refused []string // guarded by mu; why requests were turned away
}

// Start runs a store with these buckets until the test ends.
func Start(t testing.TB, buckets ...string) *Store {
	t.Helper()
	s := &Store{t: t, backend: s3mem.New(), CredentialsFile: filepath.Join(t.TempDir(), "s3")}
	if err := os.WriteFile(s.CredentialsFile, []byte(AccessKey+"\n"+SecretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range buckets {
		if err := s.backend.CreateBucket(name); err != nil {
			t.Fatal(err)
		}
	}
	inner := gofakes3.New(s.backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify(r, body)
		}
		if err != nil {
			s.mu.Lock()
			s.refused = append(s.refused, err.Error())
			s.mu.Unlock()
			http.Error(w, "<Error><Code>SignatureDoesNotMatch</Code></Error>", http.StatusForbidden)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// verify signs the request anew with Amazon's signer and compares.
func verify(r *http.Request, body []byte) error {
	const form = "20060102T150405Z"
	credential, rest, _ := strings.Cut(r.Header.Get("Authorization"), ",SignedHeaders=")
	names, signature, _ := strings.Cut(rest, ",Signature=")
	at, err := time.Parse(form, r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return fmt.Errorf("signed at %q", r.Header.Get("X-Amz-Date"))
	}
	if want := fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request", AccessKey, at.Format("20060102"), Region); credential != want {
		return fmt.Errorf("signed by %q, want %q", credential, want)
	}
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if r.Header.Get("X-Amz-Content-Sha256") != payload {
		return errors.New("the payload is another than was signed")
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.RequestURI, nil)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(names, ";") {
		if name != "host" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	credentials := aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}
	if err := signer.SignHTTP(r.Context(), credentials, again, payload, "s3", Region, at); err != nil {
		return err
	}
	if _, want, _ := strings.Cut(again.Header.Get("Authorization"), "Signature="); want != signature {
		return fmt.Errorf("the signature over %s of %s %s is %s, Amazon's is %s", names, r.Method, r.RequestURI, signature, want)
	}
	return nil
}

// Object reads an object.
func (s *Store) Object(t testing.TB, bucket, key string) []byte {
	t.Helper()
	got, err := s.backend.GetObject(bucket, key, nil)
	if err != nil {
		t.Fatalf("read object %s of bucket %s: %v", key, bucket, err)
	}
	defer got.Contents.Close()
	content, err := io.ReadAll(got.Contents)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Put stores an object behind everybody's back.
func (s *Store) Put(t testing.TB, bucket, key string, content []byte) {
	t.Helper()
	if _, err := s.backend.PutObject(bucket, key, nil, bytes.NewReader(content), int64(len(content)), nil); err != nil {
		t.Fatal(err)
	}
}

// Check fails the test if a request was turned away.
func (s *Store) Check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, why := range s.refused {
		t.Errorf("the S3 store refused a request: %s", why)
	}
}

// Shelf is a server of pre-authenticated requests: whoever has the URI may.
type Shelf struct {
	URL string // of one object, for PUT and GET

	mu      sync.Mutex
	content []byte // guarded by mu
}

// NewShelf runs a shelf until the test ends.
func NewShelf(t testing.TB) *Shelf {
	t.Helper()
	const path = "/p/token-that-nobody-may-see/n/acme/b/backups/o/it"
	s := &Shelf{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case err != nil || r.RequestURI != path || (r.Method == http.MethodGet && s.content == nil):
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodPut:
			s.content = body
		default:
			_, _ = w.Write(s.content)
		}
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL + path
	return s
}
