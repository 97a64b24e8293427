// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/server"
)

// site is the server as it is run with host names for vaults: two vaults of one tenant on one listener.
type site struct {
	*rig
	address  string
	hosts    [2]string // of the vaults
	keys     [2]string // a key in each, by its OCID
	signerOf *signer
	audited  int // events before the test's own
}

func newSite(t *testing.T) *site {
	t.Helper()
	r := newRig(t, nil)
	s := &site{rig: r, signerOf: r.signer(r.Tenant)}
	srv := server.New(server.Options{ReadHeaderTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute, Connections: 100, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	names := server.NewHosts("http://{vault}.kms.example.org", "{vault}")
	c := r.Call(t, r.Tenant)
	defer c.End()
	second, err := r.CreateVault(t.Context(), c, kms.NewVault{Name: "second", Kind: keys.SharedVault})
	if err != nil {
		t.Fatal(err)
	}
	for i, vault := range []keys.ID{r.Tenant.Vault, second.ID} {
		label, err := names.Reserve(vault.String())
		if err == nil {
			err = names.Open(label, r.dialect.VaultHandler(kmstest.Region, vault))
		}
		if err != nil {
			t.Fatal(err)
		}
		s.hosts[i] = label + ".kms.example.org"
		s.keys[i] = r.call(t, r.Tenant, "POST", r.vaultURL(&keys.Vault{ID: vault, Region: kmstest.Region})+"/20180608/keys", map[string]any{
			"compartmentId": r.Tenant.Names[Name], "displayName": "k", "protectionMode": "SOFTWARE", "keyShape": map[string]any{"algorithm": "AES", "length": 32},
		}).object(t)["id"].(string)
	}
	end, err := srv.Bind("127.0.0.1:0")
	if err == nil {
		region := r.dialect.RegionHandler(kmstest.Region)
		err = end.Serve(&server.Front{
			OCI: region, Alibaba: region, Hosts: names, Advertise: "http://kms.example.org",
			Health: server.NewHealth(r.Ready, r.Writable, slog.New(slog.DiscardHandler)),
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.audited = end.Address(), len(r.Audit.Events())
	return s
}

// signed is a signed request as it is written: its first line, Host and all other headers apart, so that a
// test can write them in its own way.
type signed struct {
	host, target, headers, body string
}

// get reads the key of a vault, signed for the host of another or the same; target may be in absolute form.
func (s *site) get(t *testing.T, key, host int, target string) signed {
	t.Helper()
	path := "/20180608/keys/" + s.keys[key]
	if target == "" {
		target = path
	}
	target = strings.ReplaceAll(target, "{path}", path)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.hosts[host]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Date", s.Clock.Now().UTC().Format(http.TimeFormat))
	if !strings.HasPrefix(target, "/") {
		req.URL.Opaque = target // as it is signed
	}
	s.signerOf.sign(t, req, nil)
	return s.written(t, req, target, "")
}

// encrypt is a signed POST for the first vault.
func (s *site) encrypt(t *testing.T) signed {
	t.Helper()
	body := string(bodyBytes(t, map[string]any{"keyId": s.keys[0], "plaintext": "aGVsbG8="}))
	req := s.signerOf.request(t, s.Clock.Now(), "POST", "http://"+s.hosts[0]+"/20180608/encrypt", nil, []byte(body))
	return s.written(t, req, "/20180608/encrypt", body)
}

func (s *site) written(t *testing.T, req *http.Request, target, body string) signed {
	t.Helper()
	var b bytes.Buffer
	if err := req.Header.Write(&b); err != nil {
		t.Fatal(err)
	}
	return signed{host: req.URL.Host, target: target, headers: b.String(), body: body}
}

// line writes a request with its first line and whatever stands for Host.
func (q signed) line(first, host string) string {
	return first + "\r\n" + host + q.headers + "\r\n"
}

func (q signed) get() string { return q.line("GET "+q.target+" HTTP/1.1", "Host: "+q.host+"\r\n") }

// post writes a request with the headers that say where it ends.
func (q signed) post(framing string) string {
	return q.line("POST "+q.target+" HTTP/1.1", "Host: "+q.host+"\r\n"+framing)
}

// probe asks for health: it is answered if the connection is still of use, and if the server takes what
// comes after a request for a request of its own.
const probe = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// exchange sends bytes and the probe on one connection, and tells what came back until its end: the
// statuses of answers, "alive" for the probe's.
func (s *site) exchange(t *testing.T, text string) (out []string, last reply) {
	t.Helper()
	c := dialRaw(t, "127.0.0.1", s.address)
	go func() { _, _ = io.WriteString(c, text+probe) }() // the server need not take all of it
	for {
		if _, err := c.in.Peek(1); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the connection is not closed: %v", err)
			}
			return out, last
		}
		p, err := c.answer()
		switch {
		case err != nil && !errors.Is(err, syscall.ECONNRESET): // which ends a connection of which not all was read
			return append(out, "broken"), last
		case p.status == http.StatusOK && strings.TrimSpace(string(p.body)) == "ok":
			out = append(out, "alive")
		default:
			out, last = append(out, fmt.Sprint(p.status)), p
		}
	}
}

// acted counts the calls since the start that did what they asked for.
func (s *site) acted() int {
	n := 0
	for _, ev := range s.Audit.Events()[s.audited:] {
		if ev.Outcome == audit.OutcomeOK {
			n++
		}
	}
	return n
}

// What a proxy and this server could read in different ways is refused, or answered once, by the vault
// of the host that was signed; and nothing that follows it is taken for another request where its end is in doubt.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, second := s.get(t, 0, 0, ""), s.get(t, 1, 1, "")
	post := s.encrypt(t)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(post.body))
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(post.body), post.body)
	hostOf := func(h int) string { return "Host: " + s.hosts[h] + "\r\n" }
	absolute := s.get(t, 0, 0, "http://"+s.hosts[0]+"{path}")
	hello := clientHello(t)
	for name, c := range map[string]struct {
		send string
		want string // answers, and whether the connection goes on
		acts int    // calls that are carried out
	}{
		"as clients send it":        {first.get(), "200 alive", 1},
		"another vault":             {second.get(), "200 alive", 1},
		"signed for another host":   {first.line("GET "+first.target+" HTTP/1.1", hostOf(1)), "401 alive", 0},
		"another vault's key":       {s.get(t, 0, 1, "").get(), "404 alive", 0},
		"unknown host":              {first.line("GET "+first.target+" HTTP/1.1", "Host: other.kms.example.org\r\n"), "404 alive", 0},
		"pipelined":                 {first.get() + second.get() + first.get(), "200 200 200 alive", 3},
		"after a refused one":       {"GET / HTTP/1.1\r\n\r\n" + first.get(), "400", 0},
		"after the last one":        {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"Connection: close\r\n") + second.get(), "200", 1},
		"absolute form":             {absolute.get(), "200 alive", 1},
		"absolute, signed as path":  {first.line("GET http://"+first.host+first.target+" HTTP/1.1", hostOf(0)), "401 alive", 0},
		"absolute, another Host":    {absolute.line("GET "+absolute.target+" HTTP/1.1", hostOf(1)), "200 alive", 1}, // RFC 9112 §3.2.2: Host is ignored
		"absolute to another vault": {first.line("GET http://"+s.hosts[1]+first.target+" HTTP/1.1", hostOf(0)), "401 alive", 0},
		"two Hosts":                 {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+hostOf(1)), "400", 0},
		"the same Host twice":       {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+hostOf(0)), "400", 0},
		"no Host":                   {first.line("GET "+first.target+" HTTP/1.1", ""), "400", 0},
		"empty Host":                {first.line("GET "+first.target+" HTTP/1.1", "Host:\r\n"), "404 alive", 0},
		"Host with a space":         {first.line("GET "+first.target+" HTTP/1.1", "Host: a b\r\n"), "400", 0},
		"Host with a path":          {first.line("GET "+first.target+" HTTP/1.1", "Host: "+s.hosts[0]+"/x\r\n"), "400", 0},

		"body as clients send it": {post.post(length) + post.body, "200 alive", 1},
		"two lengths":             {post.post(length+fmt.Sprintf("Content-Length: %d\r\n", len(post.body)+1)) + post.body, "400", 0},
		"two lengths in one":      {post.post(fmt.Sprintf("Content-Length: %d, %d\r\n", len(post.body), len(post.body)+1)) + post.body, "400", 0},
		"the same length twice":   {post.post(length+length) + post.body, "200 alive", 1}, // RFC 9112 §6.3: one of them
		"signed length":           {post.post(fmt.Sprintf("Content-Length: +%d\r\n", len(post.body))) + post.body, "400", 0},
		"negative length":         {post.post("Content-Length: -1\r\n") + post.body, "400", 0},
		"hexadecimal length":      {post.post("Content-Length: 0x10\r\n") + post.body, "400", 0},
		"empty length":            {post.post("Content-Length:\r\n") + post.body, "400", 0},
		"too short a length":      {post.post("Content-Length: 5\r\n") + post.body, "401 400", 0}, // and the rest is no request
		"length and chunks":       {post.post(length+"Transfer-Encoding: chunked\r\n") + chunks, "401", 0},
		"chunks and no length":    {post.post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + chunks, "401", 0},
		"chunks":                  {post.post("Transfer-Encoding: chunked\r\n") + chunks, "401", 0}, // the length is to be signed
		"chunks that hide one":    {post.post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + first.get(), "401", 0},
		"chunks in 1.0":           {post.line("POST "+post.target+" HTTP/1.0", hostOf(0)+"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + first.get(), "401", 0},
		"another encoding":        {post.post("Transfer-Encoding: xchunked\r\n") + chunks, "501", 0},
		"no encoding":             {post.post("Transfer-Encoding: identity\r\n") + post.body, "501", 0},
		"two encodings":           {post.post("Transfer-Encoding: gzip, chunked\r\n") + chunks, "501", 0},
		"chunked twice":           {post.post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + chunks, "501", 0},
		"encoding with a control": {post.post("Transfer-Encoding: \x0bchunked\r\n") + chunks, "400", 0},
		"encoding's name":         {post.post("Transfer-Encoding : chunked\r\n") + chunks, "400", 0},
		"chunk without a size":    {post.post("Transfer-Encoding: chunked\r\n") + "x\r\n" + post.body + "\r\n0\r\n\r\n" + first.get(), "400", 0},
		"chunk ends in a bare LF": {post.post("Transfer-Encoding: chunked\r\n") + "0\n\n" + first.get(), "400", 0},

		"bare LF":                {strings.ReplaceAll(first.get(), "\r\n", "\n"), "200 alive", 1},
		"bare CR":                {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"X: a\rContent-Length: 5\r\n"), "400", 0},
		"NUL in a header":        {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"X: a\x00b\r\n"), "400", 0},
		"space before the colon": {first.line("GET "+first.target+" HTTP/1.1", "Host : "+s.hosts[0]+"\r\n"), "400", 0},
		"space in a name":        {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"X Y: z\r\n"), "400", 0},
		"header without a name":  {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+": z\r\n"), "400", 0},
		"header without a colon": {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"X\r\n"), "400", 0},
		"folded first header":    {first.line("GET "+first.target+" HTTP/1.1", " X: y\r\n"+hostOf(0)), "400", 0},
		"folded header":          {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"X: y\r\n z\r\n"), "200 alive", 1}, // RFC 9112 §5.2: read as one line
		"folded encoding":        {post.post(length+"Transfer-Encoding:\r\n chunked\r\n") + chunks, "401", 0},
		"over-long header":       {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"X: "+strings.Repeat("x", server.MaxHeaderBytes+8192)+"\r\n"), "431", 0},
		"over-long target":       {"GET /" + strings.Repeat("x", server.MaxHeaderBytes+8192) + " HTTP/1.1\r\n\r\n", "431", 0},

		"control in the target":  {first.line("GET "+first.target+"\x01 HTTP/1.1", hostOf(0)), "400", 0},
		"NUL in the target":      {first.line("GET "+first.target+"\x00 HTTP/1.1", hostOf(0)), "400", 0},
		"tab in the target":      {first.line("GET "+first.target+"\t HTTP/1.1", hostOf(0)), "400", 0},
		"space in the target":    {first.line("GET "+first.target+" x HTTP/1.1", hostOf(0)), "400", 0},
		"no target":              {first.line("GET HTTP/1.1", hostOf(0)), "400", 0},
		"fragment":               {first.line("GET "+first.target+"#x HTTP/1.1", hostOf(0)), "401 alive", 0}, // it was not signed
		"line before the first":  {"\r\n" + first.get(), "400", 0},
		"lower-case method":      {first.line("get "+first.target+" HTTP/1.1", hostOf(0)), "405 alive", 0}, // though it verifies
		"control in the method":  {first.line("G\x01ET "+first.target+" HTTP/1.1", hostOf(0)), "400", 0},
		"CONNECT":                {first.line("CONNECT "+s.hosts[0]+":80 HTTP/1.1", hostOf(0)), "404 alive", 0},
		"asterisk":               {first.line("GET * HTTP/1.1", hostOf(0)), "404 alive", 0},
		"HTTP/1.0":               {first.line("GET "+first.target+" HTTP/1.0", hostOf(0)), "200", 1},
		"HTTP/1.0, kept alive":   {first.line("GET "+first.target+" HTTP/1.0", hostOf(0)+"Connection: keep-alive\r\n") + second.get(), "200", 1},
		"HTTP/1.0 without Host":  {first.line("GET "+first.target+" HTTP/1.0", ""), "404", 0},
		"HTTP/0.9":               {"GET " + first.target + "\r\n", "400", 0},
		"HTTP/2":                 {first.line("GET "+first.target+" HTTP/2.0", hostOf(0)), "505", 0},
		"lower-case version":     {first.line("GET "+first.target+" http/1.1", hostOf(0)), "400", 0},
		"preface of HTTP/2":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "505", 0},
		"ClientHello":            {hello, "400", 0},
		"upgrade to HTTP/2":      {first.line("GET "+first.target+" HTTP/1.1", hostOf(0)+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), "200 alive", 1},
		"another expectation":    {post.post(length+"Expect: something\r\n") + post.body, "417", 0},
		"batch over its size":    {"POST " + dialect.BatchPath + " HTTP/1.1\r\n" + hostOf(0) + "Content-Length: 99\r\n\r\n" + first.get(), "401", 0},
		"key's other spelling":   {first.line("GET /20180608//keys/"+s.keys[0]+" HTTP/1.1", hostOf(0)), "404 alive", 0},
		"body of another's size": {post.post("Content-Length: 0\r\n") + post.body, "401 400", 0},
	} {
		if testing.Short() && strings.HasPrefix(name, "over-long") {
			continue // net/http keeps such a connection for half a second
		}
		before := s.acted()
		got, last := s.exchange(t, c.send)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: answered %q, want %q: %s %s", name, strings.Join(got, " "), c.want, last.body, last.hint())
		}
		if n := s.acted() - before; n != c.acts {
			t.Errorf("%s: %d calls are carried out, want %d", name, n, c.acts)
		}
	}
}

// clientHello is what a client of TLS says first.
func clientHello(t *testing.T) string {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: "kms.example.org"}).HandshakeContext(t.Context())
		_ = near.Close()
	}()
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// Who expects 100 Continue hears it once the body is wanted, and not before the caller is known where
// the header tells who it is; then he is answered once.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	post := s.encrypt(t)
	c := dialRaw(t, "127.0.0.1", s.address)
	c.write(t, post.post(fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue\r\n", len(post.body))))
	line, err := c.in.ReadString('\n')
	if rest, _ := c.in.ReadString('\n'); err != nil || line+rest != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q, %v", line+rest, err)
	}
	c.write(t, post.body+probe)
	if p, err := c.answer(); err != nil || p.status != http.StatusOK {
		t.Errorf("%v %v", p, err)
	}
	if p, err := c.answer(); err != nil || !strings.HasPrefix(string(p.body), "ok") {
		t.Errorf("the connection does not go on: %v %v", p, err)
	}
	if n := s.acted(); n != 1 {
		t.Errorf("%d calls are carried out", n)
	}
	batch := "POST " + dialect.BatchPath + " HTTP/1.1\r\nHost: " + s.hosts[0] + "\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
	if got, _ := s.exchange(t, batch); !slices.Equal(got, []string{"401"}) {
		t.Errorf("a batch of nobody's is answered %q", got)
	}
}

// A body that ends before its length is refused, and nothing is done.
func TestBodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	post := s.encrypt(t)
	for name, text := range map[string]string{
		"length": post.post(fmt.Sprintf("Content-Length: %d\r\n", len(post.body))) + post.body[:len(post.body)-1],
		"chunks": post.post("Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s", len(post.body), post.body),
		"header": first(post.post("")),
	} {
		c := dialRaw(t, "127.0.0.1", s.address)
		c.write(t, text)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(rest)), nil); len(rest) > 0 && (err != nil || res.StatusCode != http.StatusBadRequest) {
			t.Errorf("%s: answered %q", name, rest)
		}
	}
	if n := s.acted(); n != 0 {
		t.Errorf("%d calls are carried out", n)
	}
}

// first is a request without the end of its header.
func first(text string) string { return strings.TrimSuffix(text, "\r\n") }
