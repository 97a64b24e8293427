// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"claviger/internal/objects"
	"claviger/internal/objects/objectstest"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSuite(t *testing.T) {
	t.Parallel()
	objectstest.Run(t, func(t testing.TB, _ ...string) objects.Store { return open(t, filepath.Join(t.TempDir(), "objects")) })
}

// files lists all that is below a directory, with a slash after directories.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name := strings.TrimPrefix(path, dir+"/"); name != dir {
			if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is open to others: %v %v", name, info.Mode(), err)
			}
			if !d.IsDir() {
				out = append(out, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Names that try to lead elsewhere stay inside, and nothing is left of what failed or crashed.
func TestNamesStayInside(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	dir := filepath.Join(outer, "objects")
	s := open(t, dir)
	evil := []string{"..", ".", "../../x", "/etc/passwd", "a/../../b", "..\\x", ".unfinished-1", "nul\x00", strings.Repeat("../", 300)}
	for _, part := range evil {
		for _, n := range []objects.Name{
			{Owner: part, Namespace: "n", Bucket: "b", Object: "o"},
			{Owner: "t", Namespace: part, Bucket: "b", Object: "o"},
			{Owner: "t", Namespace: "n", Bucket: part, Object: "o"},
			{Owner: "t", Namespace: "n", Bucket: "b", Object: part},
		} {
			if err := s.Put(t.Context(), n, strings.NewReader(part), int64(len(part))); err != nil {
				t.Errorf("%q: %v", n, err)
			}
		}
	}
	got := files(t, dir)
	if len(got) != 4*len(evil) {
		t.Errorf("%d objects are in %d files: %q", 4*len(evil), len(got), got)
	}
	for _, name := range got {
		if !regexp.MustCompile(`^([a-z0-9_%-][a-z0-9_.%-]*/){3}[a-z0-9_%-][a-z0-9_.%-]*$`).MatchString(name) {
			t.Errorf("an object is in %q", name)
		}
	}
	if outside, err := os.ReadDir(outer); err != nil || len(outside) != 1 {
		t.Errorf("beside the directory there are %v %v", outside, err)
	}
	if err := os.WriteFile(filepath.Join(dir, unfinished+"7"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if again := files(t, dir); len(again) != len(got) {
		t.Errorf("after a crash there are %q", again)
	}
}

// What is not a file of ours is not read: a link out of the directory, a directory.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "objects"))
	n := objects.Name{Owner: "t", Namespace: "n", Bucket: "b", Object: "o"}
	if err := s.Put(t.Context(), n, bytes.NewReader(nil), 0); err != nil {
		t.Fatal(err)
	}
	secret, object := filepath.Join(dir, "secret"), filepath.Join(dir, "objects/t/n/b/o")
	err := errors.Join(os.WriteFile(secret, []byte("hush"), 0o600), os.Remove(object), os.Symlink(secret, object))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), n); err == nil {
		t.Error("a link out of the directory is followed")
	}
	if err := errors.Join(os.Remove(object), os.Mkdir(object, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), n); err == nil {
		t.Error("a directory is an object")
	}
	if _, err := Open(filepath.Join(dir, "none", "objects")); err == nil {
		t.Error("a directory without a parent is made")
	}
	if _, err := Open(secret); err == nil {
		t.Error("a file is a directory of objects")
	}
}

// FuzzEncode looks for two names with one file, and for a file's name that is none.
func FuzzEncode(f *testing.F) {
	f.Add("a", "A")
	f.Add("..", ".")
	f.Add(strings.Repeat("a", 300), strings.Repeat("a", 301))
	f.Add("%sha256-", "%25sha256-")
	form := regexp.MustCompile(`^[a-z0-9_%-][a-z0-9_.%-]{0,199}$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := encode(a), encode(b)
		if a != "" && !form.MatchString(x) {
			t.Errorf("%q is in the file %q", a, x)
		}
		if (a == b) != (x == y) {
			t.Errorf("%q is in %q, %q in %q", a, x, b, y)
		}
	})
}
