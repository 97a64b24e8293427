// SPDX-License-Identifier: Apache-2.0

// Package s3 keeps objects in a store that speaks Amazon's S3: PutObject and GetObject with
// path-style addresses, signed with AWS Signature Version 4, and nothing else of it. An object
// of up to 5 GiB goes in one request.
//
// The bucket is the name's; the key is {owner}/{namespace}/{object}, so that no two names meet.
package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"claviger/internal/objects"
	"claviger/internal/objects/transfer"
	"claviger/internal/secret"
)

// Config says where the store is. All but Wait is required.
type Config struct {
	Endpoint  string // base URL: scheme, host and port
	Region    string // as signed, such as us-east-1
	AccessKey string
	SecretKey secret.Bytes
	Client    *transfer.Client
	Now       func() time.Time                           // the machine's
	Wait      func(context.Context, time.Duration) error // before a request is repeated; nil: by the machine's clock
}

// Store is a bucket store. It is safe for concurrent use.
type Store struct {
	cfg  Config
	base *url.URL
}

// New makes a store. It asks nothing of the endpoint yet.
func New(cfg Config) (*Store, error) {
	base, err := url.Parse(cfg.Endpoint)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || strings.Trim(base.Path, "/") != "" {
		return nil, fmt.Errorf("%q is not the base URL of an S3 store, such as https://s3.eu-central-1.amazonaws.com", cfg.Endpoint)
	}
	if cfg.Wait == nil {
		cfg.Wait = wait
	}
	return &Store{cfg: cfg, base: base}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// emptySHA256 is the hash of no payload.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Put implements [objects.Store].
func (s *Store) Put(ctx context.Context, n objects.Name, body io.ReadSeeker, size int64) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what is to be stored: %w", err)
	}
	h := sha256.New()
	if copied, err := io.Copy(h, io.LimitReader(body, size)); err != nil || copied != size {
		return fmt.Errorf("read what is to be stored: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	payload := hex.EncodeToString(h.Sum(nil))
	res, err := s.send(ctx, http.MethodPut, n, payload, func() (io.Reader, error) {
		_, err := body.Seek(0, io.SeekStart)
		return io.LimitReader(body, size), err
	}, size)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return res.Body.Close()
}

// Get implements [objects.Store].
func (s *Store) Get(ctx context.Context, n objects.Name) (io.ReadCloser, int64, error) {
	res, err := s.send(ctx, http.MethodGet, n, emptySHA256, nil, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("get object: %w", err)
	}
	return res.Body, res.ContentLength, nil
}

// pauses are before the second and the third try.
var pauses = [...]time.Duration{200 * time.Millisecond, time.Second}

// send sends a request, again where trying again may help, and answers a success.
func (s *Store) send(ctx context.Context, method string, n objects.Name, payload string, body func() (io.Reader, error), size int64) (*http.Response, error) {
	for try := 0; ; try++ {
		res, again, err := s.once(ctx, method, n, payload, body, size)
		if err == nil || !again || try == len(pauses) || ctx.Err() != nil {
			return res, err
		}
		if err := s.cfg.Wait(ctx, pauses[try]); err != nil {
			return nil, err
		}
	}
}

func (s *Store) once(ctx context.Context, method string, n objects.Name, payload string, body func() (io.Reader, error), size int64) (_ *http.Response, again bool, err error) {
	var content io.Reader = http.NoBody
	if body != nil && size > 0 {
		if content, err = body(); err != nil {
			return nil, false, fmt.Errorf("read what is to be stored: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, s.base.Scheme+"://"+s.base.Host, content)
	if err != nil {
		return nil, false, err
	}
	r.URL.Path, r.URL.RawPath = pathOf(n)
	r.ContentLength = size
	if method == http.MethodPut {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	sig := signer{accessKey: s.cfg.AccessKey, secretKey: string(s.cfg.SecretKey.Reveal()), region: s.cfg.Region}
	sig.sign(r, payload, s.cfg.Now())
	r.Header.Set("User-Agent", "claviger")
	res, err := s.cfg.Client.Do(r)
	if err != nil {
		return nil, true, err
	}
	if res.StatusCode == http.StatusOK {
		return res, false, nil
	}
	defer res.Body.Close()
	return nil, res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests, refusal(res)
}

// pathOf is an object's path, as it is and as it is sent.
func pathOf(n objects.Name) (path, raw string) {
	path = "/" + n.Bucket + "/" + n.Owner + "/" + n.Namespace + "/" + n.Object
	return path, escape(path, true)
}

// refusal reads an error of S3.
func refusal(res *http.Response) error {
	var body struct{ Code string }
	_ = xml.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&body) // the status alone tells enough
	text := fmt.Sprintf("the store answered %d", res.StatusCode)
	if plain(body.Code) {
		text += " " + body.Code
	}
	switch res.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w", text, objects.ErrNotFound)
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("%s: %w", text, objects.ErrDenied)
	}
	return errors.New(text)
}

// plain tells an error code from anything else that an answer may hold.
func plain(code string) bool {
	return code != "" && len(code) <= 64 && strings.IndexFunc(code, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
}
