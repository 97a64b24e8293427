// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// disk replays what a traced process did below one directory, and knows at every moment what of
// it a power cut would have left: of a file what was written when its last completed sync began,
// of a directory the names at the beginning of its own last sync. It knows nothing of what was
// there before the trace.
type disk struct {
	root    string
	top     *node
	offsets map[string]int64       // of descriptors, for write
	appends map[string]bool        // descriptors opened with O_APPEND
	syncs   map[*sysCall]func()    // under way → what it makes durable
	ignore  func(name string) bool // names that a power cut takes in any case
}

// node is a file or a directory.
type node struct {
	directory bool
	names     map[string]*node // of a directory, as a running process sees it
	kept      map[string]*node // and as its last sync left it
	ops       []op             // on a file, in order
	synced    int              // how many of them are durable
}

// op writes data at offset, or with no data cuts the file there.
type op struct {
	offset int64
	data   string
	cut    bool
}

func newDisk(root string) *disk {
	return &disk{
		root: root, top: &node{directory: true, names: map[string]*node{}, kept: map[string]*node{}},
		offsets: map[string]int64{}, syncs: map[*sysCall]func(){}, appends: map[string]bool{},
		// What is in SQLite's shared memory is made again from the log.
		ignore: func(name string) bool { return strings.HasSuffix(name, "-shm") },
	}
}

// below is the path relative to root.
func (d *disk) below(path string) (string, bool) {
	if path == d.root {
		return ".", true
	}
	return strings.CutPrefix(path, d.root+"/")
}

// find walks to a name below root. parent is nil for root itself; found is nil for a name that
// is not there.
func (d *disk) find(name string) (parent, found *node, base string) {
	found = d.top
	if name == "." {
		return nil, found, name
	}
	for base = range strings.SplitSeq(name, "/") {
		if parent = found; parent == nil {
			return nil, nil, base
		}
		found = parent.names[base]
	}
	return parent, found, base
}

// file is the file that a descriptor argument stands for; nil when it lies elsewhere or has no
// name any more.
func (d *disk) file(s *sysCall) *node {
	name, ok := d.below(s.path(0))
	if !ok {
		return nil
	}
	_, found, _ := d.find(name)
	return found
}

// begin takes note of a sync that starts.
func (d *disk) begin(s *sysCall) error {
	if s.name != "fsync" && s.name != "fdatasync" {
		return nil
	}
	n := d.file(s)
	if n == nil {
		return nil
	}
	written, names := len(n.ops), maps.Clone(n.names)
	d.syncs[s] = func() {
		n.synced = max(n.synced, written)
		n.kept = names
	}
	return nil
}

// end applies a call that returned.
func (d *disk) end(s *sysCall) error {
	if s.result < 0 {
		return nil
	}
	switch s.name {
	case "fsync", "fdatasync":
		if durable := d.syncs[s]; durable != nil {
			durable()
		}
		return nil
	case "open", "openat", "creat":
		return d.open(s)
	case "close":
		delete(d.offsets, s.fd(0))
		delete(d.appends, s.fd(0))
		return nil
	case "lseek":
		d.offsets[s.fd(0)] = s.result
		return nil
	case "write", "pwrite64", "ftruncate":
		return d.change(s)
	case "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2":
		return d.rename(s)
	}
	for i := range s.args {
		if strings.Contains(s.args[i], d.root) {
			return fmt.Errorf("%s of %s is not understood", s.name, s.args[i])
		}
	}
	return nil
}

// name is the path that begins at an argument: a string, or a directory's descriptor and a string.
func (d *disk) name(s *sysCall, arg int) (name string, ok bool, err error) {
	base := ""
	if !strings.HasPrefix(s.args[arg], `"`) {
		base, arg = s.path(arg), arg+1
	}
	path, err := s.text(arg)
	if err != nil {
		return "", false, err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	name, ok = d.below(filepath.Clean(path))
	return name, ok, nil
}

func (d *disk) open(s *sysCall) error {
	name, ok, err := d.name(s, 0)
	fd := fmt.Sprint(s.result)
	delete(d.appends, fd)
	d.offsets[fd] = 0
	if err != nil || !ok {
		return err
	}
	parent, found, base := d.find(name)
	flags := strings.Join(s.args[1:], " ")
	if found == nil {
		if parent == nil || !(strings.Contains(flags, "O_CREAT") || s.name == "creat") {
			return fmt.Errorf("%s was opened and is not known", name)
		}
		parent.names[base] = &node{}
		found = parent.names[base]
	}
	d.appends[fd] = strings.Contains(flags, "O_APPEND")
	if strings.Contains(flags, "O_TRUNC") || s.name == "creat" {
		found.ops = append(found.ops, op{cut: true})
	}
	return nil
}

// change applies a call that changes a file through its descriptor.
func (d *disk) change(s *sysCall) error {
	n := d.file(s)
	if n == nil {
		return nil
	}
	if s.name == "ftruncate" {
		size, err := s.number(1)
		n.ops = append(n.ops, op{offset: size, cut: true})
		return err
	}
	data, err := s.text(1)
	if err != nil {
		return err
	}
	data = data[:s.result]
	fd := s.fd(0)
	offset := d.offsets[fd]
	switch {
	case s.name == "pwrite64":
		if offset, err = s.number(3); err != nil {
			return err
		}
	case d.appends[fd]:
		offset = int64(len(n.content(func(int) bool { return true })))
	default:
		d.offsets[fd] += s.result
	}
	n.ops = append(n.ops, op{offset: offset, data: data})
	return nil
}

// rename applies a call that changes names.
func (d *disk) rename(s *sysCall) error {
	name, ok, err := d.name(s, 0)
	if err != nil {
		return err
	}
	parent, found, base := d.find(name)
	if !strings.HasPrefix(s.name, "rename") {
		switch {
		case !ok:
		case parent == nil:
			return fmt.Errorf("%s of %s, which is in no known directory", s.name, name)
		case strings.HasPrefix(s.name, "mkdir"):
			parent.names[base] = &node{directory: true, names: map[string]*node{}, kept: map[string]*node{}}
		default:
			delete(parent.names, base)
		}
		return nil
	}
	second := 1
	if s.name != "rename" {
		second = 2
	}
	to, inside, err := d.name(s, second)
	if err != nil || (!ok && !inside) {
		return err
	}
	if ok != inside || found == nil {
		return fmt.Errorf("%s from %s to %s crosses the border of what is known", s.name, s.args[0], to)
	}
	target, _, as := d.find(to)
	delete(parent.names, base)
	target.names[as] = found
	return nil
}

// content is a file's content when of its operations that are not durable those survive that
// keep says.
func (n *node) content(keep func(i int) bool) []byte {
	var b []byte
	for i, o := range n.ops {
		if i >= n.synced && !keep(i) {
			continue
		}
		end := o.offset + int64(len(o.data))
		if missing := end - int64(len(b)); missing > 0 {
			b = append(b, make([]byte, missing)...)
		}
		if o.cut {
			b = b[:o.offset]
		}
		copy(b[o.offset:], o.data)
	}
	return b
}

// chance decides what of that which was not synced survives. With never it is a power cut at
// its worst, with sometimes one at random, with always the process was killed and the machine
// lives on.
type chance func() bool

func never() bool { return false }

func always() bool { return true }

func sometimes(random *rand.Rand) chance { return func() bool { return random.IntN(2) == 0 } }

// image writes what is left to dir: of the database and its log any writes that survive, of
// other files the beginning until the first that does not, and any names.
func (d *disk) image(t *testing.T, dir string, survives chance) {
	t.Helper()
	d.imageOf(t, d.top, ".", dir, survives)
}

func (d *disk) imageOf(t *testing.T, n *node, name, dir string, survives chance) {
	t.Helper()
	if !n.directory {
		keep := func(int) bool { return survives() }
		if !strings.HasPrefix(filepath.Base(name), "claviger.db") {
			until := n.synced
			for until < len(n.ops) && survives() {
				until++
			}
			keep = func(i int) bool { return i < until }
		}
		write(t, filepath.Join(dir, name), n.content(keep))
		return
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(n.kept)
	maps.Copy(all, n.names)
	for _, base := range slices.Sorted(maps.Keys(all)) {
		entry := n.kept[base]
		if entry != n.names[base] && survives() {
			entry = n.names[base]
		}
		if entry != nil && !d.ignore(base) {
			d.imageOf(t, entry, filepath.Join(name, base), dir, survives)
		}
	}
}

// TestDisk shows that the model of a power cut is neither too kind nor too hard.
func TestDisk(t *testing.T) {
	t.Parallel()
	const log = `1 openat(AT_FDCWD</x>, "/d/db", O_RDWR|O_CREAT, 0600) = 3</d/db>
1 pwrite64(3</d/db>, "aaaa", 4, 0) = 4
1 fsync(3</d/db>) = 0
1 openat(AT_FDCWD</x>, "/d", O_RDONLY) = 4</d>
1 fsync(4</d>) = 0
1 pwrite64(3</d/db>, "b", 1, 1) = 1
1 fdatasync(3</d/db> <unfinished ...>
2 pwrite64(3</d/db>, "c", 1, 2) = 1
1 <... fdatasync resumed>) = 0
2 openat(AT_FDCWD</x>, "/d/new", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 5</d/new>
2 write(5</d/new>, "one", 3) = 3
2 write(5</d/new>, "two", 3) = 3
2 fsync(5</d/new>) = 0
2 openat(AT_FDCWD</x>, "/d/db-shm", O_RDWR|O_CREAT, 0600) = 6</d/db-shm>
`
	replay := func(more string) *disk {
		d := newDisk("/d")
		if err := parseTrace(strings.NewReader(log+more), d.begin, d.end); err != nil {
			t.Fatal(err)
		}
		return d
	}
	holds := func(what string, d *disk, want map[string]string) {
		t.Helper()
		dir := t.TempDir()
		d.image(t, dir, never)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(want) {
			t.Errorf("%s: left %v, want %v", what, entries, want)
		}
		for name, content := range want {
			if got := string(read(t, filepath.Join(dir, name))); got != content {
				t.Errorf("%s: left %q in %s, want %q", what, got, name, content)
			}
		}
	}
	holds("neither a late write nor a new name", replay(""), map[string]string{"db": "abaa"})
	holds("both synced", replay("1 fdatasync(3</d/db>) = 0\n1 fsync(4</d>) = 0\n"), map[string]string{"db": "abca", "new": "onetwo"})
	holds("renamed and cut", replay("1 rename(\"/d/new\", \"/d/db\") = 0\n1 ftruncate(5</d/db>, 2) = 0\n1 fsync(5</d/db>) = 0\n1 fsync(4</d>) = 0\n"),
		map[string]string{"db": "on"})
	holds("a sync that failed", replay("1 fdatasync(3</d/db>) = -1 EIO (Input/output error)\n1 unlink(\"/d/db\") = 0\n"), map[string]string{"db": "abaa"})
	d := newDisk("/d")
	if err := parseTrace(strings.NewReader(log+"1 writev(5</d/new>, [], 0) = 0\n"), d.begin, d.end); err == nil {
		t.Error("a call that the model does not know is passed over")
	}
}
