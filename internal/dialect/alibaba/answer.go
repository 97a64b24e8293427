// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// Reply writes the answer of a success.
func (w *wire) Reply(x *dialect.Exchange, resp any) {
	in := x.Params.(*exchange)
	form := w.formOf(x.Op.Name)
	room := 512
	if s, ok := resp.(sized); ok {
		room += s.size()
	}
	d := document{buf: in.params.room(room), xml: in.xml}
	if in.xml && form.declared {
		d.buf = append(d.buf, xmlDeclaration...)
	}
	root := form.root
	if in.xml {
		d.name(root)
	} else {
		d.buf = append(d.buf, '{')
	}
	if form.idFirst {
		d.text("RequestId", x.Call.RequestID)
	}
	resp.(content).write(&d)
	if !form.idFirst {
		d.text("RequestId", x.Call.RequestID)
	}
	if in.xml {
		d.closing(root)
	} else {
		d.buf = append(d.buf, '}')
	}
	media := mediaJSON
	if in.xml {
		media = mediaXML
	}
	if k, ok := resp.(keyed); ok && w.d.cfg.SoftwareHSM && k.about().Protection == keys.HSM {
		x.Header()[dialect.ProtectionHeader] = []string{"software"}
	}
	send(x, http.StatusOK, "", media, d.buf)
	in.params.scratch = d.buf
	w.over(x, in)
}

// sized is an answer that is longer than most.
type sized interface{ size() int }

// keyed is an answer about one key.
type keyed interface{ about() *keys.Key }

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`

// form is how an operation's answer is laid out around its content.
type form struct {
	root     string // XML only
	idFirst  bool   // RequestId stands before the content
	declared bool   // XML begins with a declaration
}

// formOf is the form of an operation's page. The pages of CreateKeyVersion and
// DescribeKeyVersion show theirs in full: root, order, and no declaration.
func (w *wire) formOf(operation string) form {
	f := form{root: operation + "Response", declared: true}
	switch operation {
	case "CreateKeyVersion":
		f = form{root: "KMS"}
	case "DescribeKeyVersion":
		f = form{root: f.root, idFirst: true}
	}
	switch w.d.cfg.XMLRoot {
	case RootKMS:
		f.root = "KMS"
	case RootAction:
		f.root = operation + "Response"
	case RootByOperation:
	}
	return f
}

// The values of Content-Type, shared by all answers and never written to.
var (
	mediaJSON     = []string{"application/json"}
	mediaXML      = []string{"application/xml"}
	mediaErrorXML = []string{"text/xml;charset=utf-8"} // exactly this, or the Go SDK does not read it
)

// Fail writes the answer of a refusal: every member that any of the cloud's pages or clients
// names.
func (w *wire) Fail(x *dialect.Exchange, e *keys.Error) {
	operation := ""
	if x.Op != nil {
		operation = x.Op.Name
	}
	f := failureOf(e, operation)
	in, ok := x.Params.(*exchange)
	switch {
	case !ok:
		in = &exchange{xml: asksXML(x.Request)}
	case in.dryRun:
		f = dryRunFailure(f)
	}
	if t, ok := errors.AsType[*dialect.Throttled](e); ok {
		x.Header()["X-Acs-Retry-After"] = []string{strconv.FormatInt(max(1, t.RetryAfter.Milliseconds()), 10)}
	}
	d := document{buf: make([]byte, 0, 512), xml: in.xml}
	if in.xml {
		d.buf = append(d.buf, xmlDeclaration...)
		d.name("Error")
	} else {
		d.buf = append(d.buf, '{')
	}
	d.number("HttpStatus", f.status)
	d.text("RequestId", x.Call.RequestID)
	d.text("HostId", strings.ToValidUTF8(x.Request.Host, "?"))
	d.text("Code", string(f.code))
	d.text("Message", f.message)
	d.text("Recommend", "https://api.aliyun.com/troubleshoot?q="+string(f.code)+"&product="+productOf(operation))
	media := mediaJSON
	if in.xml {
		d.closing("Error")
		media = mediaErrorXML
	} else {
		d.buf = append(d.buf, '}')
	}
	send(x, f.status, string(f.code), media, d.buf)
}

// asksXML looks for the format in a request that could not be read.
func asksXML(r *http.Request) bool {
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, value, _ := strings.Cut(pair, "="); name == "Format" {
			return strings.EqualFold(value, "XML")
		}
	}
	return false
}

// send writes an answer and forgets it: it may hold a plaintext.
func send(x *dialect.Exchange, status int, c string, media []string, body []byte) {
	h := x.Header()
	h["Content-Type"] = media
	x.Write(status, c, body)
	clear(body)
}
