// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"claviger/internal/keys"
)

// decodable is a request of an operation: it reads its parameters, all of them, and leaves
// it to the reader to remember what was wrong first.
type decodable interface{ read(r *reader) }

// reader reads an operation's parameters. A required one that is absent is missing, one that
// is present and empty is invalid unless said otherwise.
type reader struct {
	p      *params
	xml    bool // the answer's format
	dryRun bool // DryRun=true was read
	err    error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) invalid(name, hint string) { r.fail(keys.Invalid(name, hint)) }

// optional is a string and whether it was sent.
func (r *reader) optional(name string) (string, bool) { return r.p.get(name) }

// text is a required string that is not empty.
func (r *reader) text(name string) string {
	v, ok := r.p.get(name)
	switch {
	case !ok:
		r.fail(keys.Missing(name))
	case v == "":
		r.invalid(name, name+" is empty")
	}
	return v
}

// counted is an optional string of at most most characters.
func (r *reader) counted(name string, most int) string {
	v, _ := r.p.get(name)
	if len(v) > most && utf8.RuneCountInString(v) > most {
		r.invalid(name, fmt.Sprintf("%s may have at most %d characters", name, most))
	}
	return v
}

// integer is an optional number of lowest to highest; absent or empty gives absent.
func (r *reader) integer(name string, absent, lowest, highest int) int {
	v, ok := r.p.get(name)
	if !ok || v == "" {
		return absent
	}
	n, err := digits(v)
	if err != nil || n < lowest || n > highest {
		r.invalid(name, fmt.Sprintf("%s takes a whole number of %d to %d", name, lowest, highest))
		return absent
	}
	return n
}

// digits reads a number of at most ten decimal digits and nothing else.
func digits(s string) (int, error) {
	if s == "" || len(s) > 10 || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(s)
}

// boolean is an optional truth value, in any case; absent or empty is false and not sent.
func (r *reader) boolean(name string) (value, sent bool) {
	v, ok := r.p.get(name)
	switch {
	case !ok, v == "":
		return false, false
	case strings.EqualFold(v, "true"):
		return true, true
	case strings.EqualFold(v, "false"):
		return false, true
	}
	r.invalid(name, name+" takes true or false")
	return false, true
}

// elements reads a repeat list: name.N, whose one member is called "", or name.N.Member for
// the given members, with N from 1 to most. The elements come in the order of N.
func (r *reader) elements(name string, most int, members ...string) []map[string]string {
	found := map[int]map[string]string{}
	for i := range r.p.list {
		q := &r.p.list[i]
		rest, ok := strings.CutPrefix(q.name, name+".")
		if !ok {
			continue
		}
		number, member, _ := strings.Cut(rest, ".")
		if !slices.Contains(members, member) {
			continue
		}
		q.used = true
		n, err := digits(number)
		if err != nil || n < 1 || n > most || strconv.Itoa(n) != number {
			r.invalid(name, fmt.Sprintf("%s is a list of at most %d: %s.1, %s.2 and so on", name, most, name, name))
			return nil
		}
		if found[n] == nil {
			found[n] = map[string]string{}
		}
		found[n][member] = q.value
	}
	out := make([]map[string]string, 0, len(found))
	for _, n := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[n])
	}
	return out
}

// dry reads DryRun.
func (r *reader) dry() bool {
	v, _ := r.boolean("DryRun")
	r.dryRun = v
	return v
}

// bytes is required standard base64 (RFC 4648 §4) of at most most bytes.
func (r *reader) bytes(name string, most int) []byte {
	v := r.text(name)
	if r.err != nil {
		return nil
	}
	b, ok := decodeBase64(v)
	switch {
	case !ok:
		r.invalid(name, name+" is not standard base64 with padding")
	case len(b) > most:
		r.invalid(name, fmt.Sprintf("%s may have at most %d bytes after base64 decoding", name, most))
	}
	return b
}

// decodeBase64 reads canonical standard base64: padded, no line breaks, no stray bits, so
// that encoding what it gives makes s again.
func decodeBase64(s string) ([]byte, bool) {
	if len(s)%4 != 0 || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil
}

// maxContext is the size of an encryption context: characters of all names and values.
const maxContext = 8192

// context is an encryption context, as one JSON text or flattened into name.key=value. One
// that is absent, empty, null or {} is nil.
func (r *reader) context(name string) map[string]string {
	var out map[string]string
	if v, ok := r.p.get(name); ok {
		var err error
		if out, err = parseStrings(v); err != nil {
			r.invalid(name, name+" is not a JSON object of strings with each name once")
			return nil
		}
	}
	fromJSON := len(out) > 0
	r.p.below(name, func(key, value string) {
		if fromJSON {
			r.invalid(name, name+" is given both as JSON and flattened")
			return
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = value
	})
	total := 0
	for k, v := range out {
		total += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	if total > maxContext {
		r.invalid(name, fmt.Sprintf("%s may have at most %d characters in total", name, maxContext))
	}
	return out
}

// refused answers a parameter that asks for what this server does not do, if it was sent with
// a value at all.
func (r *reader) refused(name string, e *keys.Error) {
	if v, ok := r.p.get(name); ok && v != "" {
		r.fail(e)
	}
}

// interval reads an optional RotationInterval: a whole number with its unit d, h, m or s.
func (r *reader) interval(name string) time.Duration {
	v, ok := r.p.get(name)
	if !ok || v == "" {
		return 0
	}
	d, ok := parseInterval(v)
	if !ok || !rotationWindow.Contains(d) {
		r.invalid(name, fmt.Sprintf("%s takes a whole number and its unit d, h, m or s, such as 365d, of %d to %d days",
			name, rotationWindow.Min/keys.Day, rotationWindow.Max/keys.Day))
		return 0
	}
	return d
}

func parseInterval(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'd':
		unit = keys.Day
	case 'h':
		unit = time.Hour
	case 'm':
		unit = time.Minute
	case 's':
		unit = time.Second
	default:
		return 0, false
	}
	n, err := digits(s[:len(s)-1])
	if err != nil || n > int(10*366*keys.Day/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// page reads PageNumber and PageSize.
func (r *reader) page() page { return r.pageOf(defaultPageSize) }

// pageOf is page with another size where the request does not say.
func (r *reader) pageOf(size int) page {
	return page{
		number: r.integer("PageNumber", 1, 1, maxPage),
		size:   r.integer("PageSize", size, 1, maxPageSize),
	}
}

// page is a numbered page of a list.
type page struct{ number, size int }

const (
	defaultPageSize = 10
	maxPageSize     = 100
	maxPage         = math.MaxInt32
)

func (p page) offset() int { return (p.number - 1) * p.size }
