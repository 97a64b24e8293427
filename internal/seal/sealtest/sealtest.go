// SPDX-License-Identifier: Apache-2.0

// Package sealtest is the suite that every [seal.Seal] must pass.
package sealtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"claviger/internal/seal"
	"claviger/internal/secret"
)

// Root makes a new root key for one test and returns a function that opens it, each time as a
// seal of its own, as a restart of the server would. The suite closes what it opens.
type Root func(t *testing.T) (open func() seal.Seal)

// Run runs the suite.
func Run(t *testing.T, root Root) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Root)
	}{
		{"roundtrip", roundtrip},
		{"reopen", reopen},
		{"two wraps differ", wrapsDiffer},
		{"wrong aad", wrongAAD},
		{"damaged", damaged},
		{"other root", otherRoot},
		{"concurrent use", concurrent},
		{"closed", closed},
		{"cancelled", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, root)
		})
	}
}

var aad = seal.AAD{Purpose: seal.PurposeSystemKEK, Generation: 1}.Bytes()

// opened opens a seal and closes it when the test ends.
func opened(t *testing.T, open func() seal.Seal) seal.Seal {
	t.Helper()
	s := open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func key(fill byte) secret.Bytes { return secret.New(bytes.Repeat([]byte{fill}, seal.KeySize)) }

func wrap(t *testing.T, s seal.Seal, plaintext secret.Bytes) []byte {
	t.Helper()
	wrapped, err := s.Wrap(t.Context(), plaintext, aad)
	if err != nil {
		t.Fatalf("wrap: %v", err)
	}
	return wrapped
}

func mustOpen(t *testing.T, s seal.Seal, wrapped []byte, want secret.Bytes) {
	t.Helper()
	got, err := s.Unwrap(t.Context(), wrapped, aad)
	if err != nil {
		t.Fatalf("unwrap: %v", err)
	}
	if !got.Equal(want) {
		t.Fatal("unwrap gives other bytes than were wrapped")
	}
}

// mustRefuse fails if wrapped opens, or if it is refused with none of the errors in want.
func mustRefuse(t *testing.T, s seal.Seal, wrapped, aad []byte, what string, want ...error) {
	t.Helper()
	got, err := s.Unwrap(t.Context(), wrapped, aad)
	if err == nil {
		t.Fatalf("%s: opens", what)
	}
	if got.Len() != 0 {
		t.Errorf("%s: an error, but also %d bytes", what, got.Len())
	}
	var wrongRoot *seal.WrongRootError
	for _, w := range want {
		if errors.Is(err, w) || (errors.As(err, &wrongRoot) && errors.As(w, &wrongRoot)) {
			return
		}
	}
	t.Errorf("%s: refused with %q, want one of %q", what, err, want)
}

func roundtrip(t *testing.T, root Root) {
	s := opened(t, root(t))
	for _, size := range []int{1, 16, seal.KeySize, 100} {
		plaintext := secret.New(bytes.Repeat([]byte{0xa5}, size))
		wrapped := wrap(t, s, plaintext)
		if size >= 16 && bytes.Contains(wrapped, plaintext.Reveal()) {
			t.Fatalf("%d bytes: the plaintext is readable in what was wrapped", size)
		}
		mustOpen(t, s, wrapped, plaintext)
	}
}

func reopen(t *testing.T, root Root) {
	open := root(t)
	first, second := opened(t, open), opened(t, open)
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(first.ID()) {
		t.Errorf("ID %q, want 16 hex digits", first.ID())
	}
	if first.ID() != second.ID() {
		t.Errorf("ID is %s, after reopening %s", first.ID(), second.ID())
	}
	if err := seal.CheckRoot(second, first.ID()); err != nil {
		t.Errorf("check root after reopening: %v", err)
	}
	mustOpen(t, second, wrap(t, first, key(7)), key(7))
}

func wrapsDiffer(t *testing.T, root Root) {
	s := opened(t, root(t))
	if bytes.Equal(wrap(t, s, key(1)), wrap(t, s, key(1))) {
		t.Error("two wraps of the same key are equal")
	}
}

func wrongAAD(t *testing.T, root Root) {
	s := opened(t, root(t))
	wrapped := wrap(t, s, key(2))
	for what, other := range map[string][]byte{
		"no aad":             nil,
		"aad cut short":      aad[:len(aad)-1],
		"aad made longer":    append(bytes.Clone(aad), 0),
		"another purpose":    seal.AAD{Purpose: seal.PurposeTenantKEK, Generation: 1}.Bytes(),
		"another generation": seal.AAD{Purpose: seal.PurposeSystemKEK, Generation: 2}.Bytes(),
	} {
		mustRefuse(t, s, wrapped, other, what, seal.ErrOpen)
	}
}

func damaged(t *testing.T, root Root) {
	s := opened(t, root(t))
	wrapped := wrap(t, s, key(3))
	for i := range wrapped {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(wrapped)
			bad[i] ^= mask
			// The bytes that name the root key may be the damaged ones.
			mustRefuse(t, s, bad, aad, fmt.Sprintf("byte %d ^ %#x", i, mask), seal.ErrOpen, &seal.WrongRootError{})
		}
		mustRefuse(t, s, wrapped[:i], aad, fmt.Sprintf("cut to %d bytes", i), seal.ErrOpen)
	}
	mustRefuse(t, s, append(bytes.Clone(wrapped), 0), aad, "one byte more", seal.ErrOpen)
	mustOpen(t, s, wrapped, key(3))
}

func otherRoot(t *testing.T, root Root) {
	ours, theirs := opened(t, root(t)), opened(t, root(t))
	if ours.ID() == theirs.ID() {
		t.Fatalf("two root keys have the same ID %s", ours.ID())
	}
	_, err := ours.Unwrap(t.Context(), wrap(t, theirs, key(4)), aad)
	var wrong *seal.WrongRootError
	if !errors.As(err, &wrong) {
		t.Fatalf("unwrap under another root: %v, want a WrongRootError", err)
	}
	if wrong.Want != theirs.ID() || wrong.Have != ours.ID() {
		t.Errorf("refused with %q, want root keys %s and %s", err, theirs.ID(), ours.ID())
	}
	if err := seal.CheckRoot(ours, theirs.ID()); !errors.As(err, &wrong) {
		t.Errorf("check of another root: %v, want a WrongRootError", err)
	}
}

func concurrent(t *testing.T, root Root) {
	s := opened(t, root(t))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				wrapped, err := s.Wrap(t.Context(), key(byte(i)), aad)
				if err != nil {
					t.Errorf("wrap: %v", err)
					return
				}
				got, err := s.Unwrap(t.Context(), wrapped, aad)
				if err != nil || !got.Equal(key(byte(i))) {
					t.Errorf("unwrap: another key, or %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func closed(t *testing.T, root Root) {
	open := root(t)
	s := open()
	wrapped, id := wrap(t, s, key(5)), s.ID()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := s.Wrap(t.Context(), key(5), aad); !errors.Is(err, seal.ErrClosed) {
		t.Errorf("wrap after close: %v, want ErrClosed", err)
	}
	mustRefuse(t, s, wrapped, aad, "unwrap after close", seal.ErrClosed)
	if s.ID() != id {
		t.Errorf("ID after close is %s, was %s", s.ID(), id)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	mustOpen(t, opened(t, open), wrapped, key(5))
}

func cancelled(t *testing.T, root Root) {
	s := opened(t, root(t))
	wrapped := wrap(t, s, key(6))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Wrap(ctx, key(6), aad); !errors.Is(err, context.Canceled) {
		t.Errorf("wrap with a cancelled context: %v", err)
	}
	if _, err := s.Unwrap(ctx, wrapped, aad); !errors.Is(err, context.Canceled) {
		t.Errorf("unwrap with a cancelled context: %v", err)
	}
}
