// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"claviger/internal/seal"
	"claviger/internal/secret"
)

func TestMACTellsRowsApart(t *testing.T) {
	t.Parallel()
	kek, other := secret.New(counting(seal.KeySize)), secret.New(make([]byte, seal.KeySize))
	type row struct {
		kek    secret.Bytes
		label  string
		fields [][]byte
	}
	f := func(s ...string) (out [][]byte) {
		for _, v := range s {
			out = append(out, []byte(v))
		}
		return out
	}
	rows := []row{
		{kek, "credential", f("ab", "c")},
		{kek, "credential", f("a", "bc")},
		{kek, "credential", f("abc")},
		{kek, "credential", f("ab", "c", "")},
		{kek, "credential", f("", "ab", "c")},
		{kek, "credential", f("c", "ab")},
		{kek, "credential", f()},
		{kek, "credential", f("")},
		{kek, "binding", f("ab", "c")},
		{other, "credential", f("ab", "c")},
	}
	for i, made := range rows {
		mac := seal.MAC(made.kek, made.label, made.fields...)
		for j, checked := range rows {
			if got := seal.CheckMAC(checked.kek, checked.label, mac[:], checked.fields...); got != (i == j) {
				t.Errorf("MAC of row %d checked on row %d: %v", i, j, got)
			}
		}
	}
}

func TestMACRefusesDamage(t *testing.T) {
	t.Parallel()
	kek, field := secret.New(counting(seal.KeySize)), []byte("row")
	mac := seal.MAC(kek, "credential", field)
	for i := range mac {
		bad := mac
		bad[i] ^= 1
		if seal.CheckMAC(kek, "credential", bad[:], field) {
			t.Errorf("a MAC with byte %d changed is accepted", i)
		}
		if seal.CheckMAC(kek, "credential", mac[:i], field) {
			t.Errorf("a MAC cut to %d bytes is accepted", i)
		}
	}
	if seal.CheckMAC(kek, "credential", append(bytes.Clone(mac[:]), 0), field) {
		t.Error("a MAC with a byte more is accepted")
	}
}

// MACs and derived keys are stored: the values, computed apart from this code, must never change.
func TestMACFormatIsFixed(t *testing.T) {
	t.Parallel()
	kek := secret.New(counting(seal.KeySize))
	mac := seal.MAC(kek, "credential", []byte("ab"), []byte("c"))
	if got, want := hex.EncodeToString(mac[:]), "c22eb7adf040997f7e15c051c5ef36335606dd65199811f5be0ad399ba59f762"; got != want {
		t.Errorf("MAC is %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(seal.DeriveKey(kek, "cursor").Reveal()), "a9178b12c864b7f6befaad1c2928b5a05692308ce99b4b9fb50374bf2ecba2f9"; got != want {
		t.Errorf("derived key is %s, want %s", got, want)
	}
}

func TestDeriveKeyRefusesOtherSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("derives from a key of %d bytes", n)
				}
			}()
			seal.DeriveKey(secret.New(make([]byte, n)), "x")
		}()
	}
}
