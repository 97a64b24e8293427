// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"reflect"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// Load implements [store.Tx].
func (t *tx) Load(rec store.Record) error {
	r, err := describe(rec)
	if err != nil {
		return err
	}
	text, args := r.load, r.keyFields()
	if kek, ok := rec.(*store.KEK); ok && kek.Generation == 0 {
		text, args = r.list+" WHERE owner = $1 ORDER BY generation DESC LIMIT 1", args[:1]
	}
	if t.batch != nil && t.usable() == nil && t.batch.memo.load(&r) {
		t.meet(rec)
		return nil
	}
	if err := t.one(text, args, r.fields...); isNone(err) {
		return fmt.Errorf("load from %s: %w", r.name, store.ErrNotFound)
	} else if err != nil {
		return fmt.Errorf("load from %s: %w", r.name, err)
	}
	if t.batch != nil {
		t.batch.memo.keep(&r)
	}
	t.meet(rec)
	return nil
}

// meet remembers what counting a version will ask of its key.
func (t *tx) meet(rec store.Record) {
	if k, ok := rec.(*keys.Key); ok {
		t.spec = specMemo{k.ID, k.Spec, k.Protection, k.Hidden}
	}
}

// Put implements [store.Tx].
func (t *tx) Put(rec store.Record) error {
	r, err := describe(rec)
	if err != nil {
		return err
	}
	if err := t.write(); err != nil {
		return err
	}
	if err := t.endpointFree(rec); err != nil {
		return fmt.Errorf("put into %s: %w", r.name, err)
	}
	switch {
	case r.revision == nil:
		err = t.insertUnrevised(&r)
	case r.id != nil && r.id.IsZero():
		err = errors.New("the record has no id")
	case *r.revision == 0:
		err = t.insert(&r)
	default:
		err = t.update(&r)
	}
	if err != nil {
		return fmt.Errorf("put into %s: %w", r.name, err)
	}
	return nil
}

// endpointFree keeps vaults and replicas, which share their endpoints, from each other's: each
// table's own index keeps its rows apart.
func (t *tx) endpointFree(rec store.Record) error {
	var text, endpoint string
	switch r := rec.(type) {
	case *keys.Vault:
		text, endpoint = "SELECT 1 FROM replicas WHERE endpoint = $1 AND endpoint <> ''", r.Endpoint
	case *keys.Replica:
		text, endpoint = "SELECT 1 FROM vaults WHERE endpoint = $1 AND endpoint <> ''", r.Endpoint
	}
	if endpoint == "" {
		return nil
	}
	var one int
	if err := t.one(text, []any{endpoint}, &one); isNone(err) {
		return nil
	} else if err != nil {
		return err
	}
	return store.ErrExists
}

func (t *tx) insertUnrevised(r *row) error {
	text := r.table.insert
	if r.table == settingTable {
		text = r.table.upsert
	}
	n, err := t.change(1, text, r.fields...)
	if err != nil {
		return err
	}
	if n == 0 {
		return store.ErrExists
	}
	return nil
}

// numbers are the records that a run of a batch has given their new revisions.
type numbers []numbered

// numbered is where a record has its revision, and what that was before.
type numbered struct {
	at  *int64
	was int64
}

// takeBack gives the records from the nth on back the revisions that they had: whoever runs again
// with the same records must find them as they were.
func (n *numbers) takeBack(nth int) {
	given := *n
	for i := len(given) - 1; i >= nth; i-- {
		*given[i].at = given[i].was
	}
	*n = given[:nth]
}

// number gives a record this transaction's revision.
func (t *tx) number(r *row) {
	if t.numbers != nil {
		*t.numbers = append(*t.numbers, numbered{r.revision, *r.revision})
	}
	*r.revision = t.revision
}

func (t *tx) insert(r *row) error {
	t.number(r)
	n, err := t.change(1, r.table.insert, r.fields...)
	if err == nil && n == 0 {
		err = store.ErrExists
	}
	if err == nil && !r.deleted() {
		err = t.count(r, 1)
	}
	if err != nil {
		*r.revision = 0
		return err
	}
	t.announce(r, false)
	return nil
}

func (t *tx) update(r *row) (err error) {
	old := *r.revision
	defer func() {
		if err != nil {
			*r.revision = old
		}
	}()
	if t.putsOff() && t.batch.memo.overtaken(r) {
		return store.ErrConflict
	}
	uncount, err := t.beforeUpdate(r)
	if err != nil {
		return err
	}
	t.number(r)
	args := make([]any, 0, len(r.fields)+2)
	args = append(args, r.mutableFields()...)
	args = append(args, r.revision)
	args = append(args, r.keyFields()...)
	args = append(args, r.fixedFields()...)
	args = append(args, old)
	if r.stateful {
		args = append(args, r.state)
	}
	n, err := t.replace(r, args)
	switch {
	case t.engine.uniqueViolation(err):
		return store.ErrExists
	case err != nil:
		return err
	case n == 0:
		return t.explain(r, old)
	}
	if err := uncount(); err != nil {
		return err
	}
	t.announce(r, false)
	return nil
}

// replace runs the update, first as if the lasting columns stayed. Where a unique value that is taken
// would end the whole transaction, a savepoint bears it.
func (t *tx) replace(r *row, args []any) (int64, error) {
	if r.steady != "" && !t.putsOff() {
		if n, err := t.exec(r.steady, args...); err != nil || n > 0 {
			return n, err
		}
	}
	if !t.engine.abortsOnError() || !r.renamed || t.putsOff() {
		return t.change(1, r.table.update, args...)
	}
	if _, err := t.exec("SAVEPOINT replacing"); err != nil {
		return 0, err
	}
	n, err := t.exec(r.table.update, args...)
	end := "RELEASE replacing"
	if t.engine.uniqueViolation(err) {
		end = "ROLLBACK TO replacing"
	}
	if _, undone := t.exec(end); undone != nil {
		return 0, undone
	}
	return n, err
}

// beforeUpdate looks at the stored record where counters depend on what changes, and answers
// what is to be counted once it has changed.
func (t *tx) beforeUpdate(r *row) (func() error, error) {
	nothing := func() error { return nil }
	switch alias, isAlias := r.record.(*keys.Alias); {
	case r.deleted():
		stored := clone(r)
		if err := t.one(r.load, r.keyFields(), stored.fields...); isNone(err) {
			return nothing, nil
		} else if err != nil {
			return nil, err
		}
		if stored.deleted() {
			return nothing, nil
		}
		return func() error { return t.count(r, -1) }, nil
	case isAlias:
		stored := &keys.Alias{Tenant: alias.Tenant, Region: alias.Region, Name: alias.Name}
		if err := t.Load(stored); errors.Is(err, store.ErrNotFound) {
			return nothing, nil
		} else if err != nil {
			return nil, err
		}
		return func() error {
			t.tally(aliasOf(stored.Key), -1)
			t.tally(aliasOf(alias.Key), 1)
			return nil
		}, nil
	}
	return nothing, nil
}

// explain tells why an update with the given revision found nothing to replace.
func (t *tx) explain(r *row, revision int64) error {
	stored := clone(r)
	if err := t.one(r.load, r.keyFields(), stored.fields...); isNone(err) {
		return store.ErrConflict
	} else if err != nil {
		return err
	}
	switch {
	case *stored.revision != revision:
		return store.ErrConflict
	case r.sealed && sealedUnder(stored.record) > sealedUnder(r.record):
		return store.ErrConflict
	case stored.deleted() && !r.deleted():
		return errors.New("what is erased stays erased")
	}
	return fmt.Errorf("one of %v would change, which are fixed", r.fixed)
}

// Delete implements [store.Tx].
func (t *tx) Delete(rec store.Record) error {
	if err := t.write(); err != nil {
		return err
	}
	_, err := t.remove(rec)
	return err
}

// remove deletes the record with rec's identity and reports whether there was one.
func (t *tx) remove(rec store.Record) (bool, error) {
	given, err := describe(rec)
	if err != nil {
		return false, err
	}
	r := clone(&given)
	t.wrote = true // unless there is none
	if err := t.one(r.remove, given.keyFields(), r.fields...); isNone(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("delete from %s: %w", r.name, err)
	}
	if !r.deleted() {
		if err := t.count(r, -1); err != nil {
			return false, fmt.Errorf("delete from %s: %w", r.name, err)
		}
	}
	t.announce(r, true)
	return true, nil
}

// clone takes a record apart that is a copy of r's, to scan into.
func clone(r *row) *row {
	from := reflect.ValueOf(r.record).Elem()
	to := reflect.New(from.Type())
	to.Elem().Set(from)
	out, _ := describe(to.Interface()) // r was described before
	return &out
}
