// SPDX-License-Identifier: Apache-2.0

package request

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"claviger/internal/objects"
)

// shelf is a server of pre-authenticated requests: whoever knows the token may.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte // guarded by mu; path → content
	asked   []string          // guarded by mu; hosts that requests named
}

const token = "/p/hush-hush-token/n/acme/b/backups/o/"

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Host)
	content, found := s.objects[r.RequestURI]
	switch {
	case !strings.HasPrefix(r.RequestURI, token):
		w.WriteHeader(http.StatusForbidden)
	case r.RequestURI == token+"elsewhere":
		http.Redirect(w, r, token+"there", http.StatusTemporaryRedirect)
	case r.RequestURI == token+"broken":
		w.WriteHeader(http.StatusInternalServerError)
	case r.Method == http.MethodPut:
		s.objects[r.RequestURI] = body
	case !found:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content)
	}
}

func newShelf(t testing.TB, start func(http.Handler) *httptest.Server) (*shelf, *httptest.Server) {
	t.Helper()
	s := &shelf{objects: map[string][]byte{token + "there": []byte("there")}}
	server := start(s)
	t.Cleanup(server.Close)
	return s, server
}

func open(t testing.TB, server *httptest.Server, hosts ...string) *Requests {
	t.Helper()
	cfg := Config{Hosts: hosts}
	if cert := server.Certificate(); cert != nil {
		cfg.Roots = x509.NewCertPool()
		cfg.Roots.AddCert(cert)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(http.Handler) *httptest.Server{"http": httptest.NewServer, "https": httptest.NewTLSServer} {
		_, server := newShelf(t, start)
		r := open(t, server, server.URL)
		content := bytes.Repeat([]byte("content "), 1<<16)
		body := bytes.NewReader(content)
		for range 2 { // the second time from a body that was read
			if err := r.Put(t.Context(), objects.URI(server.URL+token+"o"), body, int64(len(content))); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		got, size, err := r.Get(t.Context(), objects.URI(server.URL+token+"o"))
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(got)
		if err := errors.Join(err, got.Close()); err != nil || size != int64(len(content)) || !bytes.Equal(read, content) {
			t.Errorf("%s: %d of %d bytes: %v", name, len(read), size, err)
		}
	}
}

// What an answer means, and that no error tells the URI.
func TestAnswers(t *testing.T) {
	t.Parallel()
	s, server := newShelf(t, httptest.NewServer)
	r := open(t, server, server.URL, "http://127.0.0.1:1")
	for uri, want := range map[string]error{
		server.URL + token + "none":          objects.ErrNotFound,
		server.URL + "/p/other-token/n/b/o":  objects.ErrDenied,
		server.URL + token + "elsewhere":     nil,
		server.URL + token + "broken":        nil,
		"http://127.0.0.1:1" + token:         nil,
		"http://127.0.0.1:1" + token + "%zz": objects.ErrRefused,
	} {
		_, _, err := r.Get(t.Context(), objects.URI(uri))
		if err == nil || (want != nil && !errors.Is(err, want)) {
			t.Errorf("%s: %v, want %v", uri, err, want)
		}
		check(t, err)
		if strings.HasSuffix(uri, "none") {
			continue // a PUT makes it
		}
		err = r.Put(t.Context(), objects.URI(uri), strings.NewReader("x"), 1)
		if err == nil || (want != nil && !errors.Is(err, want)) {
			t.Errorf("put to %s: %v, want %v", uri, err, want)
		}
		check(t, err)
	}
	if s.objects[token+"there"] == nil || string(s.objects[token+"there"]) != "there" {
		t.Error("a redirect was followed")
	}
	if text := fmt.Sprintf("%v %s %q %+v %#v %x %d", uriOf(), uriOf(), uriOf(), objects.Location{URI: uriOf()}, uriOf(), uriOf(), uriOf()); strings.Contains(text, "hush") {
		t.Errorf("a URI prints as %s", text)
	}
}

func uriOf() objects.URI { return objects.URI("https://h" + token) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "://")) {
		t.Errorf("the error tells the URI: %v", err)
	}
}

// Everything but the exact hosts of the configuration is refused without a connection.
func TestForgedHosts(t *testing.T) {
	t.Parallel()
	s, server := newShelf(t, httptest.NewServer)
	address := strings.TrimPrefix(server.URL, "http://")
	port := address[strings.LastIndexByte(address, ':'):]
	r := open(t, server, "http://"+address, "objectstorage.example.org", "https://other.example.org:8443")
	for _, uri := range []string{
		"https://" + address, "http://localhost" + port, "http://127.0.0.1", "http://127.0.0.2" + port, "http://127.1" + port,
		"http://2130706433" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port, "http://" + address + "@127.0.0.1:1",
		"http://user@" + address, "http://user:pass@" + address, "http://objectstorage.example.org", "https://objectstorage.example.org:444",
		"https://objectstorage.example.org.", "https://xobjectstorage.example.org", "https://objectstorage.example.org.evil.test",
		"https://other.example.org", "https://objectstorage.example.org%00.evil.test", "https://objectstorage.example.org\\@evil.test",
		"file:///etc/passwd", "gopher://" + address, "//" + address, address, "", "http:", "http:///path", "http:" + address, "http://" + address + "#f",
		"http://169.254.169.254/latest/meta-data", "HTTP://", "ftp://objectstorage.example.org",
	} {
		_, _, err := r.Get(t.Context(), objects.URI(uri))
		if !errors.Is(err, objects.ErrRefused) {
			t.Errorf("get %q: %v, want ErrRefused", uri, err)
		}
		check(t, err)
		if err := r.Put(t.Context(), objects.URI(uri), strings.NewReader("x"), 1); !errors.Is(err, objects.ErrRefused) {
			t.Errorf("put %q: %v, want ErrRefused", uri, err)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("asked: %q", s.asked)
	}
	if _, _, err := r.Get(t.Context(), objects.URI("HTTP://"+address+token+"there")); err != nil {
		t.Errorf("another spelling of the scheme: %v", err)
	}
}

// A name that is allowed and leads into the operator's network is refused when it is connected to.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	s, server := newShelf(t, httptest.NewServer)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	r := open(t, server, "http://localhost"+port)
	_, _, err := r.Get(t.Context(), objects.URI("http://localhost"+port+token+"there"))
	if !errors.Is(err, objects.ErrRefused) || len(s.asked) != 0 {
		t.Errorf("%v, asked %q", err, s.asked)
	}
	check(t, err)
	for text, want := range map[string]bool{
		"8.8.8.8": true, "193.1.1.1": true, "2606:4700::1111": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "192.0.0.170": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false,
		"2002:a00:1::": false, "2001:0:1::": false, "fe80::1%eth0": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %t, want %t", text, got, want)
		}
	}
	if publicOnly("tcp", "no address", nil) == nil {
		t.Error("what is no address is connected to")
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"", "https://", "ftp://h", "h/path", "h?q", "h#f", "u@h", "*.example.org", "h:port", "http://h/", "a b", "h:1:2",
	} {
		if _, err := New(Config{Hosts: []string{host}}); err == nil {
			t.Errorf("the host %q is taken", host)
		}
	}
}

// FuzzAdmit looks for a URI that is let through to a host that is not in the configuration.
func FuzzAdmit(f *testing.F) {
	r, err := New(Config{Hosts: []string{"good.example.org", "http://10.0.0.5:9000"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("https://good.example.org/p/x")
	f.Add("https://good.example.org:443@evil.test/")
	f.Add("http://10.0.0.5:9000/p/x")
	f.Fuzz(func(t *testing.T, uri string) {
		u, client, err := r.admit(objects.URI(uri))
		if err != nil {
			if !errors.Is(err, objects.ErrRefused) || (len(uri) > 8 && strings.Contains(err.Error(), uri)) {
				t.Errorf("%q: %v", uri, err)
			}
			return
		}
		host := strings.ToLower(u.Host)
		if host != "good.example.org" && host != "good.example.org:443" && host != "10.0.0.5:9000" && host != "good.example.org:" {
			t.Errorf("%q is let through to %q", uri, u.Host)
		}
		if (client == r.literal) != strings.HasPrefix(host, "10.") {
			t.Errorf("%q is sent without a look at the address", uri)
		}
	})
}
