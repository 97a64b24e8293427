// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"claviger/internal/keys"
)

// OutcomeOK is the outcome of a call that was answered with what it asked for.
const OutcomeOK = "ok"

// Event is one call or change, told in one wide record. It has no field that could hold a
// secret: whoever fills it passes names, ids and a reason that is fit for a log. Zero fields
// are left out of the record, except Time and Outcome.
type Event struct {
	Time        time.Time         `json:"time"`                   // domain time, kept to the microsecond
	Request     string            `json:"request,omitempty"`      // request id, as answered to the caller
	Batch       string            `json:"batch,omitempty"`        // request id of the batch that the call was an item of
	Dialect     string            `json:"dialect,omitempty"`      // the API that was spoken: "oci", "alibaba", "admin"
	Operation   string            `json:"operation,omitempty"`    // wire name of the operation
	Action      keys.Action       `json:"action,omitempty"`       // what it asked for, in no cloud's words
	Principal   keys.ID           `json:"principal,omitzero"`     // who asked; zero before authentication
	Credential  keys.ID           `json:"credential,omitzero"`    // with which credential; in a session the one that asked for it
	Session     keys.ID           `json:"session,omitzero"`       // in which session
	SessionName string            `json:"session_name,omitempty"` // as who asked for it has called it
	Tenant      keys.ID           `json:"tenant,omitzero"`        // owner of the thing asked for
	Vault       keys.ID           `json:"vault,omitzero"`         //
	Replica     keys.ID           `json:"replica,omitzero"`       // of the vault: through which it was asked for, or which it is about
	Region      keys.Region       `json:"region,omitempty"`       // the replica's
	Key         keys.ID           `json:"key,omitzero"`           //
	Version     keys.ID           `json:"version,omitzero"`       //
	FromKey     keys.ID           `json:"from_key,omitzero"`      // what a ciphertext was opened with that the call
	FromVersion keys.ID           `json:"from_version,omitzero"`  // encrypted anew under Key and Version
	Outcome     string            `json:"outcome"`                // OutcomeOK, or the kind of the error
	Reason      string            `json:"reason,omitempty"`       // why it was refused, in a sentence
	Source      string            `json:"source,omitempty"`       // address of the client
	Context     map[string]string `json:"context,omitempty"`      // what the caller wants logged (OCI loggingContext), or what else there is to tell
	Revision    int64             `json:"revision,omitempty"`     // the store's revision that a mutation made
}

// appendTime appends t by RFC 3339, in UTC and always with six decimals.
func appendTime(b []byte, t time.Time) []byte {
	t = canonicalTime(t)
	b = t.AppendFormat(b, time.RFC3339) // which the standard library writes several times as fast as any other layout
	b = append(b[:len(b)-1], '.', '0', '0', '0', '0', '0', '0', 'Z')
	for micros, i := t.Nanosecond()/1000, len(b)-2; micros > 0; micros, i = micros/10, i-1 {
		b[i] = '0' + byte(micros%10)
	}
	return b
}

// AppendJSON appends the canonical encoding of e to b: one JSON object without white space,
// its members in the order of the fields of [Event] and those of Context sorted by their UTF-8
// bytes. Strings are written as RFC 8785 §3.2.2.2 says; bytes that are not UTF-8 become U+FFFD,
// and of two Context names that become equal thereby the first in byte order is kept.
func (e Event) AppendJSON(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = appendTime(b, e.Time)
	b = append(b, '"')
	b = appendText(b, "request", e.Request)
	b = appendText(b, "batch", e.Batch)
	b = appendText(b, "dialect", e.Dialect)
	b = appendText(b, "operation", e.Operation)
	b = appendText(b, "action", string(e.Action))
	b = appendID(b, "principal", e.Principal)
	b = appendID(b, "credential", e.Credential)
	b = appendID(b, "session", e.Session)
	b = appendText(b, "session_name", e.SessionName)
	b = appendID(b, "tenant", e.Tenant)
	b = appendID(b, "vault", e.Vault)
	b = appendID(b, "replica", e.Replica)
	b = appendText(b, "region", string(e.Region))
	b = appendID(b, "key", e.Key)
	b = appendID(b, "version", e.Version)
	b = appendID(b, "from_key", e.FromKey)
	b = appendID(b, "from_version", e.FromVersion)
	b = append(b, `,"outcome":`...)
	b = appendString(b, e.Outcome)
	b = appendText(b, "reason", e.Reason)
	b = appendText(b, "source", e.Source)
	b = appendContext(b, e.Context)
	if e.Revision != 0 {
		b = append(b, `,"revision":`...)
		b = strconv.AppendInt(b, e.Revision, 10)
	}
	return append(b, '}')
}

// MarshalJSON gives the canonical encoding.
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

// Hash is SHA-256 of prev followed by the canonical encoding of e: the next link of a chain of
// events that are stored one by one, as in a database. Start with a zero prev. Since the
// encoding keeps microseconds, an event whose time was stored as such has the same hash.
func (e Event) Hash(prev [32]byte) [32]byte {
	b := make([]byte, len(prev), 1024)
	copy(b, prev[:])
	return sha256.Sum256(e.AppendJSON(b))
}

var errNotCanonical = errors.New("not the canonical encoding of an event")

// ParseEvent reads exactly what [Event.AppendJSON] writes, so that one event has one encoding.
func ParseEvent(b []byte) (Event, error) {
	var e Event
	if err := strictJSON(b, &e); err != nil {
		return Event{}, err
	}
	if len(e.Context) == 0 {
		e.Context = nil
	}
	if !bytes.Equal(e.AppendJSON(make([]byte, 0, len(b))), b) {
		return Event{}, errNotCanonical
	}
	return e, nil
}

func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read JSON: more than one value")
	}
	return nil
}

// canonicalTime keeps t within the years that RFC 3339 can write.
func canonicalTime(t time.Time) time.Time {
	t = t.UTC()
	switch y := t.Year(); {
	case y > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	case y < 1:
		return time.Time{}
	}
	return t
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendText(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(appendName(b, name), s)
}

func appendID(b []byte, name string, id keys.ID) []byte {
	if id.IsZero() {
		return b
	}
	b = append(appendName(b, name), '"')
	b, _ = id.AppendText(b) // never fails
	return append(b, '"')
}

func appendContext(b []byte, context map[string]string) []byte {
	if len(context) == 0 {
		return b
	}
	var few [16]string // keeps the usual event off the heap
	names, valid := few[:0], true
	for name := range context {
		names = append(names, name)
		valid = valid && utf8.ValidString(name)
	}
	slices.Sort(names)
	if !valid {
		context = validNames(context, names)
		names = slices.Sorted(maps.Keys(context))
	}
	b = append(b, `,"context":{`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = appendString(b, context[name])
	}
	return append(b, '}')
}

func validNames(context map[string]string, sorted []string) map[string]string {
	out := make(map[string]string, len(context))
	for _, name := range sorted {
		valid := toValid(name)
		if _, taken := out[valid]; !taken {
			out[valid] = context[name]
		}
	}
	return out
}

func toValid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

const hexDigits = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = toValid(s)
	}
	b = append(b, '"')
	from := 0 // start of the bytes that need no escape and are not yet appended
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\t':
			b = append(b, '\\', 't')
		case '\n':
			b = append(b, '\\', 'n')
		case '\f':
			b = append(b, '\\', 'f')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
