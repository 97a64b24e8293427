// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// marshal writes a model. The models are plain, so that this cannot fail for a reason of the
// request's.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Errorf("encode %T: %w", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

const timeForm = "2006-01-02T15:04:05.000Z"

// timeText is a time as OCI writes it: UTC, milliseconds.
func timeText(t time.Time) string { return t.UTC().Format(timeForm) }

// timeOrNull is nil for the zero time.
func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := timeText(t)
	return &s
}

// deletionTime is the time of a scheduled deletion, in whole seconds; nil when there is none.
func deletionTime(t time.Time) *string { return timeOrNull(t.Truncate(time.Second)) }

// textOrNull is nil for "".
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// appendMember appends a comma, a name and a string that needs no escaping: an identifier, an
// enum or base64.
func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(append(b, value...), '"')
}
