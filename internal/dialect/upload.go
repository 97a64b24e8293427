// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"crypto/fips140"
	"crypto/md5" //nolint:gosec // clouds let uploads be checked by MD5; it protects nothing
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Uploader is a [Wire] with operations whose body is a file: too large for memory, and of no use
// before all of it is there. Their caller is authenticated by the request's head; then the body
// goes into a temporary file, and Decode finds it in the exchange's Upload.
type Uploader interface {
	// Uploads reports whether the request's body is a file. It is asked first of all.
	Uploads(x *Exchange) bool
}

// Upload is a request's body in a temporary file. Nobody has compared the sums with anything yet.
type Upload struct {
	SHA256 [sha256.Size]byte
	MD5    [md5.Size]byte

	file kms.File
}

// Take hands the file over: who takes it closes it. What nobody takes the pipeline closes.
func (u *Upload) Take() kms.File {
	f := u.file
	u.file = nil
	return f
}

const (
	uploadIdle = 30 * time.Second // how long an upload may stand still
	uploadMost = time.Hour        // and how long it may take
)

// upload receives the body. The call holds nothing while it does: a revocation does not wait for
// an upload, and what comes of it is asked again who may.
func (p *Pipeline) upload(x *Exchange) (err error) {
	x.Call.End()
	r, most := x.Request, p.Service.MaxUpload()
	if r.ContentLength > most {
		return tooLarge(most)
	}
	f, err := p.Service.NewUpload()
	if err != nil {
		return err
	}
	x.Upload = &Upload{file: f}
	pace := newPace(x.w)
	defer pace.stop()
	sha, sum := sha256.New(), &sum5{}
	from := &pacedReader{from: r.Body, pace: pace}
	n, err := io.Copy(io.MultiWriter(sha, sum, onlyWriter{f}), from)
	switch {
	case from.err != nil:
		return keys.Malformed(fmt.Errorf("read body: %w", from.err))
	case err != nil:
		return kms.FileError(err)
	case r.ContentLength >= 0 && n != r.ContentLength:
		return keys.Malformed(fmt.Errorf("read body: %w", io.ErrUnexpectedEOF))
	}
	sha.Sum(x.Upload.SHA256[:0])
	x.Upload.MD5 = sum.sum()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read upload: %w", err)
	}
	return nil
}

// dropUpload removes what nobody took.
func (x *Exchange) dropUpload() {
	if x.Upload != nil && x.Upload.file != nil {
		_ = x.Upload.file.Close() // a temporary file that nobody wants
	}
}

// onlyWriter hides what else a file may do: io.Copy must not go around the other writers.
type onlyWriter struct{ io.Writer }

// sum5 is MD5, also where only approved algorithms may protect something: this one protects nothing.
type sum5 struct{ h hash.Hash }

func (s *sum5) Write(p []byte) (n int, err error) {
	fips140.WithoutEnforcement(func() {
		if s.h == nil {
			s.h = md5.New() //nolint:gosec // see the import
		}
		n, err = s.h.Write(p)
	})
	return n, err
}

func (s *sum5) sum() (out [md5.Size]byte) {
	fips140.WithoutEnforcement(func() {
		if s.h == nil {
			s.h = md5.New() //nolint:gosec // see the import
		}
		s.h.Sum(out[:0])
	})
	return out
}

// pace lets an upload take longer than other requests may, as long as it moves.
type pace struct {
	idle, most *time.Timer
}

func newPace(w http.ResponseWriter) *pace {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Time{}) // a connection without deadlines has none to lift
	_ = connection.SetWriteDeadline(time.Time{})
	end := func() { _ = connection.SetReadDeadline(time.Unix(1, 0)) }
	return &pace{idle: time.AfterFunc(uploadIdle, end), most: time.AfterFunc(uploadMost, end)}
}

func (p *pace) stop() {
	p.idle.Stop()
	p.most.Stop()
}

// pacedReader reads a body and remembers what went wrong with it.
type pacedReader struct {
	from io.Reader
	pace *pace
	err  error
}

func (r *pacedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		r.pace.idle.Reset(uploadIdle)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
