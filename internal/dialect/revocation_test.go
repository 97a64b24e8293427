// SPDX-License-Identifier: Apache-2.0

package dialect_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// plainWire is the least that a wire can be: every request encrypts with one key.
type plainWire struct {
	w  *kmstest.World
	op dialect.Operation
}

func newPlainWire(w *kmstest.World, key keys.ID) *plainWire {
	return &plainWire{w: w, op: dialect.Op("Encrypt", "", "", keys.Encrypt, func(ctx context.Context, c *kms.Call, _ *struct{}) ([]byte, error) {
		out, err := w.Encrypt(ctx, c, kms.EncryptRequest{Key: kms.KeyRef{ID: key}, Plaintext: []byte("hello")})
		if err != nil {
			return nil, err
		}
		return out.Ciphertext, nil
	})}
}

func (*plainWire) Dialect() string                     { return "plain" }
func (*plainWire) MaxBody() int64                      { return 1 << 10 }
func (*plainWire) RequestID(*dialect.Exchange) string  { return "id" }
func (*plainWire) Decode(*dialect.Exchange, any) error { return nil }
func (*plainWire) Reply(x *dialect.Exchange, resp any) { x.Write(http.StatusOK, "", resp.([]byte)) }
func (*plainWire) Fail(x *dialect.Exchange, e *keys.Error) {
	x.Write(http.StatusConflict, string(e.Kind), nil)
}

func (p *plainWire) Accept(ctx context.Context, x *dialect.Exchange) error {
	cred, err := p.w.Authenticate(ctx, &x.Call, identity.AccessKey, p.w.Tenant.AccessKey)
	if err != nil {
		return err
	}
	x.Call.Who, x.Call.Profile, x.Op = cred.Caller, &kmstest.Profile, &p.op
	return nil
}

// pipes is a listener of connections in memory that hold a write until somebody reads it.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestDisableWaitsUntilTheAnswerHasLeft lets a ciphertext be made and keeps its answer from
// reaching the network. Disable must not be answered before it.
func TestDisableWaitsUntilTheAnswerHasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		c := w.Call(t, w.Tenant)
		k, err := w.CreateKey(t.Context(), c, kms.NewKey{Spec: keys.AES256, Usages: keys.UsageEncrypt, Origin: keys.Generated, Protection: keys.Software})
		c.End()
		if err != nil {
			t.Fatal(err)
		}
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: &dialect.Pipeline{
			Wire: newPlainWire(w, k.ID), Service: w.Service, Region: kmstest.Region, Now: w.Clock.Now, Log: slog.New(slog.DiscardHandler),
		}}
		go func() { _ = server.Serve(l) }()
		client, far := net.Pipe()
		l.conns <- far
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: here\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the answer is made and nobody reads it
		disabled := make(chan error, 1)
		go func() {
			c := w.Call(t, w.Tenant)
			defer c.End()
			_, err := w.ChangeKeyState(context.Background(), c, kms.KeyRef{ID: k.ID}, keys.DisableKey)
			disabled <- err
		}()
		synctest.Wait()
		select {
		case err := <-disabled:
			t.Errorf("Disable was answered (%v) before the ciphertext that was made earlier", err)
			disabled <- err
		default:
		}
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || resp.ContentLength <= 0 || len(resp.TransferEncoding) > 0 {
			t.Errorf("answered %v", resp)
		}
		if err := <-disabled; err != nil {
			t.Error(err)
		}
		_ = client.Close()
		_ = server.Close()
	})
}
