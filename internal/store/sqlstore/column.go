// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"claviger/internal/keys"
)

// The column types convert a record's field where it lies, in both directions: a pointer to
// the field, converted to a pointer to one of them, is both a query's argument and a scan's
// destination. Fields of basic types need no conversion.

// idCol is 16 bytes; the zero ID is stored as such, so that it takes part in unique indexes.
type idCol keys.ID

// Value implements [driver.Valuer].
func (c *idCol) Value() (driver.Value, error) { return c[:], nil }

// Scan implements [sql.Scanner].
func (c *idCol) Scan(src any) error { return scanFixed(c[:], src) }

// hashCol is 32 bytes.
type hashCol [32]byte

// Value implements [driver.Valuer].
func (c *hashCol) Value() (driver.Value, error) { return c[:], nil }

// Scan implements [sql.Scanner].
func (c *hashCol) Scan(src any) error { return scanFixed(c[:], src) }

func scanFixed(dst []byte, src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(dst) {
		return fmt.Errorf("stored value is %T, want %d bytes", src, len(dst))
	}
	copy(dst, b)
	return nil
}

// blobCol is bytes of any length; none at all is NULL.
type blobCol []byte

// Value implements [driver.Valuer].
func (c *blobCol) Value() (driver.Value, error) {
	if len(*c) == 0 {
		return nil, nil
	}
	return []byte(*c), nil
}

// Scan implements [sql.Scanner].
func (c *blobCol) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*c = nil
	case []byte:
		*c = append(blobCol(nil), b...)
	default:
		return fmt.Errorf("stored value is %T, want bytes", src)
	}
	return nil
}

// timeCol is microseconds since 1970 UTC; the zero time is NULL.
type timeCol time.Time

// Value implements [driver.Valuer].
func (c *timeCol) Value() (driver.Value, error) {
	if time.Time(*c).IsZero() {
		return nil, nil
	}
	return time.Time(*c).UnixMicro(), nil
}

// Scan implements [sql.Scanner].
func (c *timeCol) Scan(src any) error {
	switch n := src.(type) {
	case nil:
		*c = timeCol{}
	case int64:
		*c = timeCol(time.UnixMicro(n).UTC())
	default:
		return fmt.Errorf("stored time is %T, want an integer", src)
	}
	return nil
}

// restoredFromCol and restoredAtCol are the two halves of what a record was restored from. One that never was
// has the zero ID and no time.
type (
	restoredFromCol struct{ of **keys.Restoration }
	restoredAtCol   struct{ of **keys.Restoration }
)

// nobody is the zero ID, which nothing writes.
var nobody keys.ID

// Value implements [driver.Valuer].
func (c restoredFromCol) Value() (driver.Value, error) {
	if *c.of == nil {
		return nobody[:], nil
	}
	return (*c.of).From[:], nil
}

// Scan implements [sql.Scanner].
func (c restoredFromCol) Scan(src any) error {
	var id idCol
	if err := id.Scan(src); err != nil {
		return err
	}
	if was := *c.of; was != nil {
		*c.of = restoration(keys.ID(id), was.At)
	} else if !keys.ID(id).IsZero() {
		*c.of = restoration(keys.ID(id), time.Time{})
	}
	return nil
}

// Value implements [driver.Valuer].
func (c restoredAtCol) Value() (driver.Value, error) {
	if *c.of == nil {
		return nil, nil
	}
	return (*timeCol)(&(*c.of).At).Value()
}

// Scan implements [sql.Scanner].
func (c restoredAtCol) Scan(src any) error {
	var t timeCol
	if err := t.Scan(src); err != nil {
		return err
	}
	if was := *c.of; was != nil {
		*c.of = restoration(was.From, time.Time(t))
	} else if !time.Time(t).IsZero() {
		*c.of = restoration(keys.ID{}, time.Time(t))
	}
	return nil
}

// restoration is nil without both halves. It is a new one, since copies of a record share theirs.
func restoration(from keys.ID, at time.Time) *keys.Restoration {
	if from.IsZero() && at.IsZero() {
		return nil
	}
	return &keys.Restoration{From: from, At: at}
}

// durationCol is a duration in microseconds.
type durationCol time.Duration

// Value implements [driver.Valuer].
func (c *durationCol) Value() (driver.Value, error) { return time.Duration(*c).Microseconds(), nil }

// Scan implements [sql.Scanner].
func (c *durationCol) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("stored duration is %T, want an integer", src)
	}
	*c = durationCol(time.Duration(n) * time.Microsecond)
	return nil
}

// boolCol is 0 or 1.
type boolCol bool

// Value implements [driver.Valuer].
func (c *boolCol) Value() (driver.Value, error) {
	if *c {
		return int64(1), nil
	}
	return int64(0), nil
}

// Scan implements [sql.Scanner].
func (c *boolCol) Scan(src any) error {
	n, ok := src.(int64)
	if !ok || n < 0 || n > 1 {
		return fmt.Errorf("stored value is %T, want 0 or 1", src)
	}
	*c = n == 1
	return nil
}

// namesCol is a JSON object; an empty one is read as nil.
type namesCol keys.Names

// Value implements [driver.Valuer].
func (c *namesCol) Value() (driver.Value, error) {
	if len(*c) == 0 {
		return "{}", nil
	}
	return toJSON(map[string]string(*c))
}

// Scan implements [sql.Scanner].
func (c *namesCol) Scan(src any) error {
	*c = nil
	return fromJSON(src, "{}", (*map[string]string)(c))
}

// tagsCol is a JSON object; empty maps are read as nil.
type tagsCol keys.Tags

type tagsJSON struct {
	Plain      map[string]string            `json:"plain,omitempty"`
	Namespaced map[string]map[string]string `json:"namespaced,omitempty"`
}

// Value implements [driver.Valuer].
func (c *tagsCol) Value() (driver.Value, error) {
	if len(c.Plain) == 0 && len(c.Namespaced) == 0 {
		return "{}", nil
	}
	return toJSON(tagsJSON(*c))
}

// Scan implements [sql.Scanner].
func (c *tagsCol) Scan(src any) error {
	*c = tagsCol{}
	var doc tagsJSON
	if err := fromJSON(src, "{}", &doc); err != nil {
		return err
	}
	*c = tagsCol(doc)
	return nil
}

// idsCol is a JSON array of UUIDs; an empty one is read as nil.
type idsCol []keys.ID

// Value implements [driver.Valuer].
func (c *idsCol) Value() (driver.Value, error) {
	if len(*c) == 0 {
		return "[]", nil
	}
	return toJSON([]keys.ID(*c))
}

// Scan implements [sql.Scanner].
func (c *idsCol) Scan(src any) error {
	*c = nil
	return fromJSON(src, "[]", (*[]keys.ID)(c))
}

// actionsCol is a JSON array; an empty one is read as nil.
type actionsCol []keys.Action

// Value implements [driver.Valuer].
func (c *actionsCol) Value() (driver.Value, error) {
	if len(*c) == 0 {
		return "[]", nil
	}
	return toJSON([]keys.Action(*c))
}

// Scan implements [sql.Scanner].
func (c *actionsCol) Scan(src any) error {
	*c = nil
	return fromJSON(src, "[]", (*[]keys.Action)(c))
}

// workResourcesCol is a JSON array; an empty one is read as nil.
type workResourcesCol []keys.WorkResource

type workResourceJSON struct {
	Type   keys.Type       `json:"type"`
	ID     keys.ID         `json:"id"`
	Vault  keys.ID         `json:"vault"`
	Region keys.Region     `json:"region"`
	Effect keys.WorkEffect `json:"effect"`
}

// Value implements [driver.Valuer].
func (c *workResourcesCol) Value() (driver.Value, error) {
	docs := make([]workResourceJSON, len(*c))
	for i, r := range *c {
		docs[i] = workResourceJSON(r)
	}
	return toJSON(docs)
}

// Scan implements [sql.Scanner].
func (c *workResourcesCol) Scan(src any) error {
	*c = nil
	var docs []workResourceJSON
	if err := fromJSON(src, "[]", &docs); err != nil {
		return err
	}
	for _, d := range docs {
		*c = append(*c, keys.WorkResource(d))
	}
	return nil
}

// workNotesCol is a JSON array; an empty one is read as nil.
type workNotesCol []keys.WorkNote

type workNoteJSON struct {
	At    time.Time `json:"at"`
	Kind  keys.Kind `json:"kind,omitempty"`
	Noun  keys.Type `json:"noun,omitempty"`
	Field string    `json:"field,omitempty"`
	Text  string    `json:"text"`
}

// Value implements [driver.Valuer].
func (c *workNotesCol) Value() (driver.Value, error) {
	docs := make([]workNoteJSON, len(*c))
	for i, n := range *c {
		docs[i] = workNoteJSON(n)
	}
	return toJSON(docs)
}

// Scan implements [sql.Scanner].
func (c *workNotesCol) Scan(src any) error {
	*c = nil
	var docs []workNoteJSON
	if err := fromJSON(src, "[]", &docs); err != nil {
		return err
	}
	for _, d := range docs {
		*c = append(*c, keys.WorkNote(d))
	}
	return nil
}

func toJSON(v any) (driver.Value, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return string(b), nil
}

func fromJSON(src any, empty string, into any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("stored document is %T, want text", src)
	}
	if s == empty {
		return nil
	}
	if err := json.Unmarshal([]byte(s), into); err != nil {
		return fmt.Errorf("decode document: %w", err)
	}
	return nil
}
