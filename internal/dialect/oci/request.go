// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// input is what a request is decoded from.
type input struct {
	d       *Dialect
	x       *dialect.Exchange
	m       *match
	query   url.Values
	ignored []string
}

// request is an operation's parameters.
type request interface{ decode(in *input) error }

// Decode reads the operation's parameters. What the API does not know is ignored, as Oracle's
// service does, and named in a header of ours.
func (w *wire) Decode(x *dialect.Exchange, req any) error {
	q, decodes := req.(request)
	m, found := x.Params.(*match)
	if !decodes || !found {
		return fmt.Errorf("decode %T: no operation of this dialect", req)
	}
	in := &input{d: w.d, x: x, m: m}
	if x.Upload != nil {
		if err := checkUpload(x); err != nil {
			return err
		}
	}
	err := in.readQuery()
	if err == nil {
		err = q.decode(in)
	}
	in.ignoreHeaders()
	if len(in.ignored) > 0 {
		x.Header().Set(dialect.IgnoredHeader, ignoredText(in.ignored))
	}
	return err
}

func (in *input) readQuery() error {
	_, raw, _ := strings.Cut(in.x.Request.RequestURI, "?")
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return &keys.Error{Kind: keys.KindMalformed, Field: "query", Err: err, Hint: "the query is malformed: " + err.Error()}
	}
	for name, values := range query {
		if !in.m.op.knows(name) {
			in.ignored = append(in.ignored, name)
		} else if len(values) > 1 {
			return keys.Invalid(name, name+" is given more than once")
		}
	}
	in.query = query
	return nil
}

// ignoreHeaders names the headers of the API that this operation does not take.
func (in *input) ignoreHeaders() {
	h, takes := in.x.Request.Header, in.m.op.headers
	if len(h["If-Match"]) > 0 && takes&ifMatch == 0 {
		in.ignored = append(in.ignored, "if-match")
	}
	if len(h["Opc-Retry-Token"]) > 0 && takes&retryToken == 0 {
		in.ignored = append(in.ignored, "opc-retry-token")
	}
}

// ignoredText lists names for a header: a bounded number of plain ones.
func ignoredText(names []string) string {
	const most, longest = 20, 64
	var b strings.Builder
	for i, name := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if len(name) > longest {
			name = name[:longest] + "..."
		}
		if strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ',' }) >= 0 {
			name = strconv.QuoteToASCII(name)
		}
		b.WriteString(name)
	}
	return b.String()
}

// body reads the request's JSON object.
func (in *input) body(into fields) error {
	ignored, err := readObject(in.x.Body, into)
	in.ignored = append(in.ignored, ignored...)
	return err
}

// noBody passes over the body of an operation that takes none.
func (in *input) noBody() {
	if len(in.x.Body) > 0 && string(in.x.Body) != "{}" {
		in.ignored = append(in.ignored, "body")
	}
}

// required answers the first of the named values that is absent.
func required(fields ...[2]string) error {
	for _, f := range fields {
		if f[1] == "" {
			return keys.Missing(f[0])
		}
	}
	return nil
}

// List parameters.
const (
	defaultLimit = 100
	maxLimit     = 1000
	maxCursor    = 512
)

var listQuery = []string{"limit", "page", "sortBy", "sortOrder"}

// window reads which part of a list is asked for.
func (in *input) window() (kms.Page, error) {
	p := kms.Page{Limit: defaultLimit}
	if text, given := in.parameter("limit"); given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return p, keys.Invalid("limit", fmt.Sprintf("limit must be a number from 1 to %d", maxLimit))
		}
		p.Limit = n
	}
	if text, given := in.parameter("page"); given {
		if text == "" || len(text) > maxCursor {
			return p, keys.Invalid("page", "page must be what opc-next-page said")
		}
		p.Cursor = text
	}
	return p, nil
}

// sortOrders are the values of sortOrder: whether it descends.
var sortOrders = []named[bool]{{"ASC", false}, {"DESC", true}}

// page reads the parameters of a list. Without sortOrder, times go from the newest and names
// from the first.
func (in *input) page() (kms.Page, error) {
	p, err := in.window()
	if err != nil {
		return p, err
	}
	by, _, err := pick(in, "sortBy", []named[bool]{{"TIMECREATED", false}, {"DISPLAYNAME", true}})
	if err != nil {
		return p, err
	}
	desc, given, err := pick(in, "sortOrder", sortOrders)
	if err != nil {
		return p, err
	}
	p.ByName, p.Desc = by, desc
	if !given {
		p.Desc = !by
	}
	return p, nil
}

func (in *input) parameter(name string) (value string, given bool) {
	values, given := in.query[name]
	if !given {
		return "", false
	}
	return values[0], true
}

// pick reads a query parameter that is one of a table's names.
func pick[T any](in *input, name string, table []named[T]) (value T, given bool, err error) {
	text, given := in.parameter(name)
	if !given {
		return value, false, nil
	}
	value, ok := byName(table, text)
	if !ok {
		return value, true, keys.Invalid(name, name+" must be one of "+listNames(table))
	}
	return value, true, nil
}

// compartment reads the compartmentId that lists need.
func (in *input) compartment() (string, error) {
	id, _ := in.parameter("compartmentId")
	return id, required([2]string{"compartmentId", id})
}

// vaultRef is the vault that the path names.
func (in *input) vaultRef() (kms.VaultRef, error) {
	name := in.m.params[0]
	o, ok := parseOCID(name)
	switch {
	case !ok && mayBeCarriedOver(name, typeVault):
		return kms.VaultRef{External: name}, nil
	case !ok, o.typ != typeVault:
		return kms.VaultRef{}, keys.NotFound(keys.TypeVault)
	}
	namer := in.d.namer
	return kms.VaultRef{ID: o.id, Accept: func(v *keys.Vault) bool { return namer.VaultName(v) == name }}, nil
}

// pathKey is the key that the path names.
func (in *input) pathKey() (kms.KeyRef, error) { return in.d.keyRef(in.m.params[0]) }

// pathVersion is the key and the version that the path names.
func (in *input) pathVersion() (kms.KeyRef, kms.VersionRef, error) {
	key, err := in.pathKey()
	if err != nil {
		return key, kms.VersionRef{}, err
	}
	version, err := in.d.versionRef(in.m.params[1])
	return key, version, err
}

// keyRef says which key a name means. A name that was not generated here is looked up among
// those carried over.
func (d *Dialect) keyRef(name string) (kms.KeyRef, error) {
	o, ok := parseOCID(name)
	switch {
	case ok && o.typ == typeKey:
		return kms.KeyRef{ID: o.id, Accept: func(k *keys.Key) bool { return Visible(k) && d.namer.isKey(name, o, k) }}, nil
	case ok, !mayBeCarriedOver(name, typeKey):
		return kms.KeyRef{}, keys.NotFound(keys.TypeKey)
	}
	return kms.KeyRef{External: name, Accept: Visible}, nil
}

// versionRef says which version of a key a name means; "" is the current one.
func (d *Dialect) versionRef(name string) (kms.VersionRef, error) {
	if name == "" {
		return kms.VersionRef{}, nil
	}
	o, ok := parseOCID(name)
	switch {
	case ok && o.typ == typeKeyVersion:
		return kms.VersionRef{ID: o.id, Accept: func(v *keys.Version) bool { return d.namer.isVersion(name, v) }}, nil
	case ok, !mayBeCarriedOver(name, typeKeyVersion):
		return kms.VersionRef{}, keys.NotFound(keys.TypeVersion)
	}
	return kms.VersionRef{External: name}, nil
}

// mayBeCarriedOver reports whether name has the form of an OCID of the type.
func mayBeCarriedOver(name, typ string) bool {
	return len(name) <= maxName && strings.HasPrefix(name, "ocid1."+typ+".")
}
