// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"claviger/internal/seal"
	"claviger/internal/seal/sealtest"
	"claviger/internal/secret"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	sealtest.Run(t, func(t *testing.T) func() seal.Seal {
		root := make([]byte, seal.KeySize)
		rand.Read(root)
		return func() seal.Seal {
			s, err := seal.NewLocal(secret.Copy(root), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestNewMemory(t *testing.T) {
	t.Parallel()
	a, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.ID() == b.ID() {
		t.Error("two memory seals have the same root key")
	}
	if _, err := seal.NewMemory(iotest.ErrReader(errNoRand)); !errors.Is(err, errNoRand) {
		t.Errorf("without randomness: %v", err)
	}
}

var errNoRand = errors.New("no randomness")

func TestLocalRefusesRootOfWrongSize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := seal.NewLocal(secret.New(make([]byte, n)), rand.Reader); err == nil {
			t.Errorf("a root key of %d bytes is accepted", n)
		}
	}
}

func TestCloseWipesTheRoot(t *testing.T) {
	t.Parallel()
	root := bytes.Repeat([]byte{0x5a}, seal.KeySize)
	s, err := seal.NewLocal(secret.New(root), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(root, make([]byte, seal.KeySize)) {
		t.Error("the root key is still in memory after close")
	}
}

func TestSealIsNotPrintable(t *testing.T) {
	t.Parallel()
	root := bytes.Repeat([]byte("rootroot"), 4)
	s, err := seal.NewLocal(secret.New(root), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d", "%o"} {
		if text := fmt.Sprintf(form, s); text != "seal "+s.ID() {
			t.Errorf("%s shows more than the ID", form)
		}
	}
}

// The ID is stored with every database: it must never change for a given root key.
func TestRootIDIsFixed(t *testing.T) {
	t.Parallel()
	s, err := seal.NewLocal(secret.New(counting(seal.KeySize)), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const want = "425574e02fa7ae61"
	if s.ID() != want {
		t.Errorf("ID of root key 00…1f is %s, want %s", s.ID(), want)
	}
	if raw := sha256.Sum256(counting(seal.KeySize)); strings.HasPrefix(fmt.Sprintf("%x", raw), s.ID()) {
		t.Error("the ID is a plain hash of the root key")
	}
}

// counting is 00 01 02 …
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}
