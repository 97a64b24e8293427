// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"claviger/internal/porttest"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(withBuilds{m}, map[string]func(){"claviger": main})
}

// withBuilds runs tests with a directory for what they build and share, which it names in the
// environment.
type withBuilds struct{ testscript.TestingM }

// Run implements [testscript.TestingM].
func (w withBuilds) Run() int {
	dir, err := os.MkdirTemp("", "claviger-builds-")
	if err == nil {
		err = os.Setenv("CLAVIGER_TEST_BUILDS", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for builds:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	return w.TestingM.Run()
}

// TestScripts runs the scripts of testdata/script against the command as a process of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition:           condition,
		Setup: func(env *testscript.Env) error {
			// Whatever the server leaves in its temporary directory, the script can see.
			tmp := filepath.Join(env.WorkDir, ".tmp")
			env.Setenv("TMPDIR", tmp)
			env.Setenv("GORACE", os.Getenv("GORACE")) // the commands are this binary
			return os.MkdirAll(tmp, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":   awaitFile,
			"ready":   readyEnv,
			"free":    freePorts,
			"http":    httpGet,
			"value":   jsonValue,
			"empty":   emptyDir,
			"refused": portRefused,
			"example": example,
			"exits":   exits,
			"term":    terminate,

			"https":       httpsGet,
			"host":        hostGet,
			"certificate": certificate,
		},
	})
}

// awaitFile waits until a file is there: "await FILE". It fails when the process that would
// write it ends before, which the script's time limit tells.
func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	if !eventually(func() bool { return exists(path) }) {
		ts.Fatalf("%s did not appear", args[0])
	}
}

// eventually looks at a condition that announces itself in no other way, until it is true or
// a minute is over.
func eventually(condition func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for hung := time.After(time.Minute); !condition(); {
		select {
		case <-tick.C:
		case <-hung:
			return condition()
		}
	}
	return true
}

// readyEnv sets variables from a ready file: "ready FILE [PREFIX]".
func readyEnv(ts *testscript.TestScript, _ bool, args []string) {
	awaitFile(ts, false, args)
	r, err := readReadyFile(ts.MkAbs(args[0]))
	ts.Check(err)
	prefix := ""
	if len(args) > 1 {
		prefix = args[1]
	}
	for name, value := range map[string]string{
		"ADMIN": r.Admin.Endpoint, "TOKEN": r.Admin.Token, "TENANCY": r.OCI.Tenancy, "USER": r.OCI.User,
		"KEYFILE": r.OCI.PrivateKeyFile, "OCICONFIG": r.OCI.ConfigFile, "VAULT": r.OCI.VaultID, "FINGERPRINT": r.OCI.Fingerprint,
		"VAULTURL": r.OCI.ManagementEndpoint, "ACCOUNT": r.Alibaba.AccountID, "ACCESSKEY": r.Alibaba.AccessKeyID, "SECRET": r.Alibaba.AccessKeySecret,
	} {
		ts.Setenv(prefix+name, value)
	}
}

// freePorts sets a variable to the first of n free ports in a row: "free NAME N".
func freePorts(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	first, err := porttest.Row(n)
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(first))
}

// httpGet gets a URL and compares the status: "http STATUS URL [TOKEN]". The body becomes the
// file "body".
func httpGet(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	if len(args) > 2 {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	answers(ts, req, args[0], nil)
}

// hostGet sends a request for one host to another address: "host STATUS BASE URL".
func hostGet(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, args[2], nil)
	ts.Check(err)
	req.Host = strings.TrimPrefix(args[1], "https://")
	answers(ts, req, args[0], nil)
}

// httpsGet gets a URL and trusts nobody but the certificate of a file: "https STATUS FILE URL".
func httpsGet(ts *testscript.TestScript, _ bool, args []string) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ts.ReadFile(args[1]))) {
		ts.Fatalf("%s holds no certificate", args[1])
	}
	req, err := http.NewRequest(http.MethodGet, args[2], nil)
	ts.Check(err)
	answers(ts, req, args[0], pool)
}

// answers sends a request and compares the status. Connections that are refused are tried
// again: a server may be starting.
func answers(ts *testscript.TestScript, req *http.Request, status string, trusted *x509.CertPool) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted},
	}}
	var resp *http.Response
	var err error
	eventually(func() bool {
		resp, err = client.Do(req)
		return !errors.Is(err, syscall.ECONNREFUSED)
	})
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("body"), body, 0o600))
	if strconv.Itoa(resp.StatusCode) != status {
		ts.Fatalf("GET %s is answered %d, want %s: %s", req.URL, resp.StatusCode, status, body)
	}
}

// certificate makes a certificate for 127.0.0.1 that signs itself: "certificate NAME" writes
// NAME.pem and NAME.key.
func certificate(ts *testscript.TestScript, _ bool, args []string) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: args[0]}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, key, err := certify(template, nil, nil)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

// jsonValue sets a variable to a member of the JSON that the last command printed: "value NAME
// a.0.b".
func jsonValue(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for _, step := range strings.Split(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("there are only %d elements at %s", len(at), args[1])
			}
			v = at[i]
		default:
			ts.Fatalf("there is no %s", args[1])
		}
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// emptyDir wants a directory to be empty: "empty DIR".
func emptyDir(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if (len(entries) == 0) == neg {
		ts.Fatalf("%s holds %v", args[0], entries)
	}
}

// portRefused wants nobody to listen at a URL: "refused URL".
func portRefused(ts *testscript.TestScript, _ bool, args []string) {
	c, err := net.Dial("tcp", strings.TrimPrefix(args[0], "http://"))
	if err == nil {
		_ = c.Close()
		ts.Fatalf("somebody listens at %s", args[0])
	}
}

// example writes the first TOML example of a page of docs that begins with a line: "example
// PAGE FILE LINE".
func example(ts *testscript.TestScript, _ bool, args []string) {
	page, err := os.ReadFile(filepath.Join(docsDir, args[0]))
	ts.Check(err)
	found := regexp.MustCompile("(?s)```toml\n(" + regexp.QuoteMeta(args[2]) + ".*?)```").FindSubmatch(page)
	if found == nil {
		ts.Fatalf("%s has no example that begins with %q", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), found[1], 0o600))
}

// docsDir is absolute, since scripts run elsewhere.
var docsDir = func() string {
	dir, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		panic(err)
	}
	return dir
}()

// terminate asks all background processes to end, as a service manager does: "term".
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

// exits runs the command in this process and compares its exit code: "exits CODE ARG...".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	var out, talk strings.Builder
	env := []string{}
	for _, name := range []string{"CLAVIGER_READY_FILE", "CLAVIGER_CONFIG", "CLAVIGER_ADMIN_TOKEN"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	full := make([]string, len(args[1:]))
	for i, a := range args[1:] {
		full[i] = strings.ReplaceAll(a, "@", ts.MkAbs(".")+string(filepath.Separator))
	}
	code := run(context.Background(), full, env, stdio{in: strings.NewReader(""), out: &out, err: &talk})
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code is %d, want %s\n%s%s", code, args[0], out.String(), talk.String())
	}
	if code != exitOK && talk.Len() == 0 {
		ts.Fatalf("the command failed without a word")
	}
}
