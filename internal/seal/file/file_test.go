// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"claviger/internal/seal"
	"claviger/internal/seal/sealtest"
	"claviger/internal/secret"
)

func created(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.key")
	if err := Create(path, rand.Reader); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSuite(t *testing.T) {
	t.Parallel()
	sealtest.Run(t, func(t *testing.T) func() seal.Seal {
		path := created(t)
		return func() seal.Seal {
			s, err := Open(path, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestCreateMakesAPrivateFile(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(created(t))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode is %v, want -rw-------", info.Mode())
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	t.Parallel()
	path := created(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Create(path, rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a root key: %v, want fs.ErrExist", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(empty, rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over an empty file: %v, want fs.ErrExist", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := Create(link, rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a link: %v, want fs.ErrExist", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the root key has changed, or %v", err)
	}
}

func TestCreateLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noRand := errors.New("no randomness")
	if err := Create(filepath.Join(dir, "root.key"), iotest.ErrReader(noRand)); !errors.Is(err, noRand) {
		t.Errorf("create without randomness: %v", err)
	}
	if err := Create(filepath.Join(dir, "missing", "root.key"), rand.Reader); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("create in a missing directory: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOpenRefusesMissingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "root.key")
	_, err := Open(path, rand.Reader)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "claviger init") {
		t.Errorf("open a missing file: %v, want fs.ErrNotExist and what to do", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open has created the file: %v", err)
	}
}

func TestOpenRefusesOpenModes(t *testing.T) {
	t.Parallel()
	path := created(t)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o440} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, rand.Reader)
		if err == nil || !strings.Contains(err.Error(), "chmod 600") || !strings.Contains(err.Error(), path) {
			t.Errorf("mode %04o: %v, want a refusal that says what to do", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, rand.Reader); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestOpenRefusesDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, rand.Reader); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("open a directory: %v", err)
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	t.Parallel()
	path := created(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keyAt := len(magic) + len(warning) + len(keyField)
	keyText := string(good[keyAt:][:2*seal.KeySize])
	refused := func(what string, text []byte, want string) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, rand.Reader)
		if err == nil {
			t.Errorf("%s: opens", what)
			return
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: refused with %q, want %q and the path", what, err, want)
		}
		if strings.Contains(err.Error(), keyText[:8]) {
			t.Errorf("%s: the error shows the key", what)
		}
	}
	for i := range good {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= mask
			refused("flipped byte", bad, "")
		}
	}
	for n := len(magic); n < len(good); n++ {
		refused("truncated", good[:n], "truncated")
	}
	refused("empty", nil, "empty")
	refused("only a part of the first line", good[:8], "not a root key file")
	refused("with a byte more", append(bytes.Clone(good), '\n'), "too long")
	refused("much more", bytes.Repeat(good, 100), "too long")
	refused("something else", []byte("-----BEGIN PRIVATE KEY-----\n"), "not a root key file")
	refused("another version", bytes.Replace(good, []byte("key/1"), []byte("key/2"), 1), "version")
	other := bytes.Clone(good)
	copy(other[keyAt:], "zz")
	refused("no hexadecimal", other, "not hexadecimal")
	copy(other[keyAt:], strings.Repeat("ab", seal.KeySize))
	refused("another key under the checksum", other, "checksum")
	refused("CR LF", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), "version")
}

// Operators keep this file for years: the text below must open for ever.
func TestFormatIsFixed(t *testing.T) {
	t.Parallel()
	const text = "claviger-root-key/1\n" +
		"# Secret. Back it up apart from the database: without this file nothing in it can be opened.\n" +
		"key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n" +
		"check 54d81d1727553419\n"
	path := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if s.ID() != "425574e02fa7ae61" {
		t.Errorf("ID is %s", s.ID())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(render(secret.New(make([]byte, seal.KeySize))))
	f.Add([]byte(magic))
	f.Add([]byte("claviger-root-key/2\n"))
	f.Add(bytes.Repeat([]byte{'a'}, fileSize))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := parse(text)
		if err != nil {
			if root.Len() != 0 {
				t.Fatal("an error, but also a key")
			}
			return
		}
		if !bytes.Equal(render(root), text) {
			t.Fatal("a file that parses is not the one that is written for its key")
		}
		if !bytes.Contains(text, []byte(hex.EncodeToString(root.Reveal()))) {
			t.Fatal("the key is not the one in the file")
		}
	})
}
