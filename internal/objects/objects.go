// SPDX-License-Identifier: Apache-2.0

// Package objects is where backups are put and fetched from: object storage, as a bucket's objects
// or through pre-authenticated requests. It holds the words and the contracts; the kinds of storage
// are in the packages below it.
//
// An object is written whole or not at all, and read as it was written. What is stored is opaque
// here and encrypted before it comes here; storage need not be trusted with it.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The errors of every kind of storage. Any other error is one of the storage's own: its network,
// its disk, its answer.
var (
	ErrNotFound = errors.New("no such object")
	ErrDenied   = errors.New("the object storage refuses the request")
	// ErrRefused is for what this server does not ask of anybody: an address that its
	// configuration does not allow.
	ErrRefused = errors.New("not allowed by the configuration")
)

// Name names an object. Owner sets tenants apart: the same names of two owners are two objects.
type Name struct {
	Owner     string // a tenant, as its cloud calls it
	Namespace string // of its buckets, in the tenant's words
	Bucket    string
	Object    string
}

// The most bytes of the parts of a name. An object's is that of S3 and Oracle.
const (
	maxNamespace = 100
	maxBucket    = 256
	maxObject    = 1024
)

// plain reports whether a part of a name has nothing but ASCII letters, digits and some other bytes.
func plain(part string, most int, others string) bool {
	for _, c := range []byte(part) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(others, c) >= 0:
		default:
			return false
		}
	}
	return part != "" && len(part) <= most
}

// Check says which part of a name could not be one: "namespace", "bucket" or "object", "" for
// none of them.
func (n *Name) Check() (part string) {
	switch {
	case !plain(n.Namespace, maxNamespace, "_-"):
		return "namespace"
	case !plain(n.Bucket, maxBucket, "._-") || strings.Trim(n.Bucket, ".") == "":
		return "bucket"
	case n.Object == "" || len(n.Object) > maxObject || !utf8.ValidString(n.Object) || strings.ContainsAny(n.Object, "\x00\r\n") || winding(n.Object):
		return "object"
	}
	return ""
}

// winding reports whether an object's name has steps that a server on the way might walk: they
// would lead to another object than was signed for.
func winding(object string) bool {
	for step := range strings.SplitSeq(object, "/") {
		if step == "" || step == "." || step == ".." {
			return true
		}
	}
	return false
}

// Store keeps objects by name. It is safe for concurrent use.
type Store interface {
	// Put stores the size bytes of body, from its beginning, in place of what has the name.
	Put(ctx context.Context, n Name, body io.ReadSeeker, size int64) error
	// Get reads an object. The size is -1 where the storage does not tell it. The caller closes
	// body; ctx ends the reading too.
	Get(ctx context.Context, n Name) (body io.ReadCloser, size int64, err error)
}

// URI is a pre-authenticated request: whoever has it has the right that it carries. It does not
// print itself.
type URI string

// Format never shows the URI, whatever the verb.
func (URI) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[uri]") }

// MarshalText never shows the URI.
func (URI) MarshalText() ([]byte, error) { return []byte("[uri]"), nil }

// Requests carries out pre-authenticated requests. It is safe for concurrent use.
type Requests interface {
	// Put sends the size bytes of body, from its beginning.
	Put(ctx context.Context, to URI, body io.ReadSeeker, size int64) error
	// Get is [Store.Get].
	Get(ctx context.Context, from URI) (body io.ReadCloser, size int64, err error)
}

// Location says where a backup is: a name, or a request, and never both.
type Location struct {
	Name Name
	URI  URI
}

// Storage is both ways to objects. One that is nil refuses.
type Storage struct {
	Buckets  Store
	Requests Requests
}

var errNoBuckets = fmt.Errorf("no object storage is configured: %w", ErrRefused)

// Put stores a backup.
func (s *Storage) Put(ctx context.Context, at Location, body io.ReadSeeker, size int64) error {
	switch {
	case at.URI != "" && s.Requests != nil:
		return s.Requests.Put(ctx, at.URI, body, size)
	case at.URI == "" && s.Buckets != nil:
		return s.Buckets.Put(ctx, at.Name, body, size)
	}
	return errNoBuckets
}

// Get reads a backup.
func (s *Storage) Get(ctx context.Context, at Location) (body io.ReadCloser, size int64, err error) {
	switch {
	case at.URI != "" && s.Requests != nil:
		return s.Requests.Get(ctx, at.URI)
	case at.URI == "" && s.Buckets != nil:
		return s.Buckets.Get(ctx, at.Name)
	}
	return nil, 0, errNoBuckets
}

// The errors of a [Spool].
var (
	ErrTooLarge = errors.New("more bytes than are allowed")
	ErrFull     = errors.New("the space for temporary files is used up")
)

// Spool holds what is too large for memory, for as long as it is needed. It is safe for concurrent
// use; a file of it belongs to one goroutine at a time.
type Spool interface {
	// New makes an empty file of at most the given number of bytes.
	New(most int64) (File, error)
}

// File is a temporary file. A write beyond its bound is ErrTooLarge, one beyond the spool's
// ErrFull. Close removes it.
type File interface {
	io.ReadWriteSeeker
	io.Closer
	Size() int64
}
