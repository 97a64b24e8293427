// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for base, dial := range map[string]string{
		"http://127.0.0.1:7443": "127.0.0.1:7443", "http://kms.example/": "kms.example:80", "https://kms.example": "kms.example:443",
		"https://[::1]:7443": "[::1]:7443",
		"kms.example:7443":   "", "ftp://kms.example": "", "http://": "", "http://kms.example/path": "", "http://kms.example?a=b": "", "%": "",
	} {
		a, err := parseAddress(base, nil)
		if dial == "" {
			if err == nil {
				t.Errorf("%q is no base URL and leads to %s", base, a.dial)
			}
			continue
		}
		if err != nil || a.dial != dial || (a.tls != nil) != strings.HasPrefix(base, "https") {
			t.Errorf("%q leads to %q, %v; want %q", base, a.dial, err, dial)
		}
	}
}

func reading(text string) *conn {
	return &conn{in: bufio.NewReaderSize(strings.NewReader(text), 16<<10)}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, body string
		status           int // 0: it is refused
		last             bool
	}{
		{"a length", "HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\nX: y\r\n\r\n{}rest", "{}", 200, false},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nB\r\n0123456789a\r\n0\r\nTrailer: x\r\n\r\n", "abc0123456789a", 200, false},
		{"no body", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "", 204, true},
		{"an error", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "", 429, false},
		{"neither length nor chunks", "HTTP/1.1 200 OK\r\n\r\nbody", "", 0, false},
		{"another protocol", "SSH-2.0-OpenSSH\r\n\r\n", "", 0, false},
		{"no status", "HTTP/1.1 OK2 \r\n\r\n", "", 0, false},
		{"a wrong length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", 0, false},
		{"too long", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "", 0, false},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "", 0, false},
		{"a chunk that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "", 0, false},
	} {
		a, err := reading(c.text).read()
		if c.status == 0 {
			if err == nil {
				t.Errorf("%s: %d %q, want a refusal", c.name, a.status, a.body)
			}
			continue
		}
		if err != nil || a.status != c.status || string(a.body) != c.body || a.last != c.last {
			t.Errorf("%s: %d %q, last %t, %v", c.name, a.status, a.body, a.last, err)
		}
	}
}

// FuzzRead reads what net/http reads, or refuses it.
func FuzzRead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := reading(string(text)).read()
		if err != nil {
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			return // it is stricter
		}
		body, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode == a.status && len(res.TransferEncoding) == 0 && res.ContentLength == int64(len(a.body)) && !bytes.Equal(body, a.body) {
			t.Errorf("read %q, net/http reads %q", a.body, body)
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1005 0 0 0 150 50 0 0 20 0 9 0 123 1000000 77 18446744073709551615 1 1 0 0 0 0 0 0 0"
	u, ok := parseStat([]byte(line))
	if !ok || u.cpu != 200*tick || u.rss == 0 || u.rss%77 != 0 {
		t.Errorf("read %+v, %t", u, ok)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1 2", strings.Replace(line, "150", "x", 1)} {
		if _, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (claviger) S 1 42 42 0 -1 4194560 1005 0 0 0 150 50 0 0 20 0 9 0 123 1000000 77 1"))
	f.Fuzz(func(_ *testing.T, text []byte) { parseStat(text) })
}
