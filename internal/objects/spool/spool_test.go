// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claviger/internal/objects"
)

func TestSpool(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "spool")
	d, err := Open(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	write := func(f objects.File, n int) error { return second(io.WriteString(f, strings.Repeat("x", n))) }
	fresh := func(most int64) objects.File {
		f, err := d.New(most)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b := fresh(60), fresh(1000)
	if err := errors.Join(write(a, 10), write(a, 50)); err != nil {
		t.Error(err)
	}
	if err := write(a, 1); !errors.Is(err, objects.ErrTooLarge) {
		t.Errorf("beyond its own bound: %v", err)
	}
	if err := write(b, 41); !errors.Is(err, objects.ErrFull) {
		t.Errorf("beyond the bound of all: %v", err)
	}
	if err := write(b, 40); err != nil || d.Used() != 100 {
		t.Errorf("up to the bound: %v, %d used", err, d.Used())
	}
	if at, err := a.Seek(0, io.SeekStart); at != 0 || err != nil {
		t.Error(at, err)
	}
	if content, err := io.ReadAll(a); err != nil || string(content) != strings.Repeat("x", 60) || a.Size() != 60 {
		t.Errorf("%q of %d bytes, %v", content, a.Size(), err)
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil || d.Used() != 40 {
		t.Errorf("closed: %v, %d used", err, d.Used())
	}
	if err := errors.Join(write(b, 60), b.Close()); err != nil || d.Used() != 0 {
		t.Errorf("%v, %d used", err, d.Used())
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 0 {
		t.Errorf("left are %v %v", entries, err)
	}
}

// What a process that was killed has left is removed by the next, and nothing else is.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	for _, name := range []string{prefix + "123", "other"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 1 || entries[0].Name() != "other" {
		t.Errorf("left are %v %v", entries, err)
	}
	f, err := d.New(10)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range first(os.ReadDir(path)) {
		if info, err := e.Info(); err != nil || (strings.HasPrefix(e.Name(), prefix) && info.Mode().Perm() != 0o600) {
			t.Errorf("%s is open to others", e.Name())
		}
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if _, err := d.New(10); err == nil {
		t.Error("a file is made in a directory that is gone")
	}
}

func second[T any](_ T, err error) error { return err }

func first[T any](v T, _ error) T { return v }
