// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"claviger/internal/config"
	"claviger/internal/dialect/admin"
)

// adminFlags say where the server's admin API is and what opens it.
type adminFlags struct {
	ReadyFile      string `help:"Ready file of a dev server: says all that is needed." placeholder:"FILE" group:"Server"`
	Config         string `help:"Configuration of a server on this machine: says all that is needed." placeholder:"FILE" group:"Server"`
	AdminEndpoint  string `help:"Base URL of the admin API." placeholder:"URL" group:"Server"`
	AdminTokenFile string `help:"File with the admin token. The token itself may be in $$CLAVIGER_ADMIN_TOKEN." placeholder:"FILE" group:"Server"`
	CAFile         string `name:"ca-file" help:"CA certificate (PEM) of the server." placeholder:"FILE" group:"Server"`
	JSON           bool   `name:"json" help:"Print JSON, for programs."`
}

// client is a client of the server that the flags name. The most explicit flag wins.
func (f *adminFlags) client(a *app) (*admin.Client, error) {
	var endpoint, token, ca string
	switch {
	case f.AdminEndpoint != "":
		endpoint = f.AdminEndpoint
	case f.ReadyFile != "":
		r, err := readReadyFile(f.ReadyFile)
		if err != nil {
			return nil, err
		}
		endpoint, token = r.Admin.Endpoint, r.Admin.Token
		if r.CA != nil {
			ca = r.CA.File
		}
	case f.Config != "":
		c, err := config.Load(f.Config)
		if err != nil {
			return nil, usageError{err}
		}
		endpoint = adminURL(c)
		if token, err = readToken(c.Admin.TokenFile); err != nil {
			return nil, err
		}
	default:
		return nil, usageError{errors.New("say which server: --ready-file for a dev server, --config for one on this machine, " +
			"or --admin-endpoint with --admin-token-file")}
	}
	switch {
	case f.AdminTokenFile != "":
		var err error
		if token, err = readToken(f.AdminTokenFile); err != nil {
			return nil, err
		}
	case a.env["CLAVIGER_ADMIN_TOKEN"] != "":
		token = a.env["CLAVIGER_ADMIN_TOKEN"]
	}
	if token == "" {
		return nil, usageError{errors.New("the admin token is missing: give --admin-token-file or $CLAVIGER_ADMIN_TOKEN")}
	}
	if f.CAFile != "" {
		ca = f.CAFile
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("read CA certificate: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA certificate: no certificate in %s", ca)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return &admin.Client{Endpoint: endpoint, Token: token, HTTP: &http.Client{Transport: transport, Timeout: 5 * time.Minute}}, nil
}

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read admin token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// show prints a thing: as JSON, or as text for people.
func show(a *app, asJSON bool, thing any, text func()) error {
	if !asJSON {
		text()
		return nil
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(thing)
}

// table prints rows under a heading, in columns.
func (a *app) table(heading []string, rows [][]string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		for i, cell := range row {
			row[i] = clean(cell)
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t ")) // nobody to tell
	}
	_ = w.Flush()
}

// fields prints names with values, leaving out what is empty.
func (a *app) fields(pairs ...string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", pairs[i], clean(pairs[i+1])) // nobody to tell
		}
	}
	_ = w.Flush()
}

// clean keeps names that somebody chose from moving a terminal's cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// confirmFlag guards what cannot be undone.
type confirmFlag struct {
	Yes bool `help:"Do not ask."`
}

// confirm asks for name again. Where nobody can be asked, --yes must have been given.
func (f confirmFlag) confirm(a *app, what, name string) error {
	if f.Yes {
		return nil
	}
	if !a.terminal() {
		return usageError{fmt.Errorf("this would %s %s, which cannot be undone: add --yes", what, name)}
	}
	_, _ = fmt.Fprintf(a.err, "This will %s %s, which cannot be undone.\nType its name again to go on: ", what, clean(name))
	typed, _ := bufio.NewReader(a.in).ReadString('\n') // what came before the end is no name
	if strings.TrimRight(typed, "\r\n") != name {
		return errors.New("not confirmed; nothing was done")
	}
	return nil
}
