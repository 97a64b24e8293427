// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tracer is the command that runs a server and writes its system calls to log: every one that
// changes a file or a name, all bytes that are written included.
func tracer(t *testing.T, log string) []string {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: whether the server syncs before it answers is not shown (apt-get install strace)")
	}
	return []string{
		"strace", "-f", "--seccomp-bpf", "-yy", "-s", "4194304", "-e", "signal=none", "-o", log, "-e",
		"trace=open,openat,creat,close,lseek,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile," +
			"copy_file_range,fsync,fdatasync,sync_file_range,syncfs,sync,truncate,ftruncate,fallocate,rename,renameat," +
			"renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir",
	}
}

// sysCall is one system call. Begin and end are lines of the log; what the process did in
// between, in other threads, is not ordered with it.
type sysCall struct {
	name       string
	args       []string // as printed; strings are in quotes
	result     int64    // -1 for an error
	begin, end int
}

// path is the file that a descriptor argument stood for: 8</data/claviger.db-wal>.
func (s *sysCall) path(arg int) string {
	_, rest, ok := strings.Cut(s.args[arg], "<")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(rest, ">")
}

// fd is a descriptor argument.
func (s *sysCall) fd(arg int) string {
	n, _, _ := strings.Cut(s.args[arg], "<")
	return n
}

// text is a string argument.
func (s *sysCall) text(arg int) (string, error) { return unquote(s.args[arg]) }

// number is a numeric argument.
func (s *sysCall) number(arg int) (int64, error) { return strconv.ParseInt(s.args[arg], 0, 64) }

// parseTrace reads what strace -f -o wrote and calls begin and end for each system call, in the
// order of the log's lines. A call that never returned has no end.
func parseTrace(r io.Reader, begin, end func(*sysCall) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	unfinished := map[string]*sysCall{} // by thread
	began := map[string]string{}        // by thread: what was printed of it
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil // an unfinished last line is that of a killed process
		}
		if err != nil {
			return err
		}
		thread, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimLeft(text, " ")
		if !ok || text == "" || text[0] == '+' || text[0] == '-' {
			continue // an exit, or a signal
		}
		call := &sysCall{begin: n}
		if _, rest, ok := strings.Cut(text, " resumed>"); ok && strings.HasPrefix(text, "<... ") {
			if call = unfinished[thread]; call == nil {
				return fmt.Errorf("line %d: %q resumes nothing", n, text)
			}
			delete(unfinished, thread)
			text = began[thread] + rest
		} else if head, ok := strings.CutSuffix(text, "<unfinished ...>"); ok {
			if call.name, call.args, _, err = parseCall(head + ") = ?"); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			unfinished[thread], began[thread] = call, head
			if err := begin(call); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			continue
		}
		resumed := call.name != ""
		if call.name, call.args, call.result, err = parseCall(text); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		call.end = n
		if !resumed {
			if err := begin(call); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if err := end(call); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// parseCall reads name(args) = result.
func parseCall(text string) (name string, args []string, result int64, err error) {
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		return "", nil, 0, fmt.Errorf("%.80q is no system call", text)
	}
	depth, quoted, from := 0, false, 0
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted, c == '>' && i > 0 && rest[i-1] == '-':
		case c == '<', c == '[', c == '{', c == '(':
			depth++
		case depth > 0 && (c == '>' || c == ']' || c == '}' || c == ')'):
			depth--
		case depth > 0:
		case c == ',' || c == ')':
			if arg := strings.TrimSpace(rest[from:i]); arg != "" {
				args = append(args, arg)
			}
			if from = i + 1; c == ')' {
				result, err = parseResult(rest[from:])
				return name, args, result, err
			}
		}
	}
	return "", nil, 0, fmt.Errorf("%.80q… has no end", text)
}

func parseResult(text string) (int64, error) {
	_, text, ok := strings.Cut(text, "= ")
	if !ok {
		return 0, fmt.Errorf("%q is no result", text)
	}
	number, _, _ := strings.Cut(text, " ")
	number, _, _ = strings.Cut(number, "<")
	if number == "?" {
		return -1, nil // the process ended in it
	}
	return strconv.ParseInt(number, 0, 64)
}

// unquote reads a string as strace prints it: C's escapes, octal ones of up to three digits.
func unquote(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", fmt.Errorf("%.80q is no whole string", s)
	}
	s = s[1 : len(s)-1]
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("%.80q ends within an escape", s)
		}
		if at := strings.IndexByte(`ntrvf"\`, s[i]); at >= 0 {
			out = append(out, "\n\t\r\v\f\"\\"[at])
			continue
		}
		digits := i
		for digits < len(s) && digits < i+3 && s[digits] >= '0' && s[digits] <= '7' {
			digits++
		}
		v, err := strconv.ParseUint(s[i:digits], 8, 8)
		if err != nil {
			return "", fmt.Errorf("escape in %.80q: %w", s, err)
		}
		out = append(out, byte(v))
		i = digits - 1
	}
	return string(out), nil
}

func TestParseTrace(t *testing.T) {
	t.Parallel()
	const log = `12 openat(AT_FDCWD</tmp>, "/d/a b", O_RDWR|O_CREAT, 0600) = 3</d/a b>
12 pwrite64(3</d/a b>, "\0\1\0012\"\\\n>), <\377", 12, 4096 <unfinished ...>
13 write(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 200 OK\r\n", 17 <unfinished ...>
12 <... pwrite64 resumed>)             = 12
12 fdatasync(3</d/a b> <unfinished ...>
13 <... write resumed>)                = 17
13 unlink("/d/none") = -1 ENOENT (No such file or directory)
12 <... fdatasync resumed>)            = 0
12 writev(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="a, b", iov_len=4}], 1) = 4
13 +++ exited with 0 +++
12 fsync(3</d/a b> <unfinished ...>
`
	var got []string
	note := func(what string) func(*sysCall) error {
		return func(s *sysCall) error {
			got = append(got, fmt.Sprintf("%s %s/%d=%d @%d-%d", what, s.name, len(s.args), s.result, s.begin, s.end))
			if s.name == "pwrite64" {
				text, err := s.text(1)
				offset, err2 := s.number(3)
				got = append(got, fmt.Sprintf("%s %q %d %v", s.path(0), text, offset, errors.Join(err, err2)))
			}
			return nil
		}
	}
	if err := parseTrace(strings.NewReader(log), note("begin"), note("end")); err != nil {
		t.Fatal(err)
	}
	write := fmt.Sprintf("/d/a b %q 4096 <nil>", "\x00\x01\x012\"\\\n>), <\xff")
	want := []string{
		"begin openat/4=3 @1-1", "end openat/4=3 @1-1",
		"begin pwrite64/4=0 @2-0", write, "begin write/3=0 @3-0", "end pwrite64/4=12 @2-4", write,
		"begin fdatasync/1=0 @5-0", "end write/3=17 @3-6",
		"begin unlink/1=-1 @7-7", "end unlink/1=-1 @7-7", "end fdatasync/1=0 @5-8",
		"begin writev/3=4 @9-9", "end writev/3=4 @9-9", "begin fsync/1=0 @11-0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, bad := range []string{"12 <... write resumed>) = 1\n", "12 write\n", "12 write(1, \"a\n", "12 write(1) = x\n"} {
		nothing := func(*sysCall) error { return nil }
		if err := parseTrace(strings.NewReader(bad), nothing, nothing); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	for _, bad := range []string{`"a"...`, `"a\"`, `"\9"`, `a`} {
		if got, err := unquote(bad); err == nil {
			t.Errorf("%s is read as %q", bad, got)
		}
	}
}
