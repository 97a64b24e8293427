// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/store"
)

// StoreBackup says what a backup of a whole store is made of. All but Recipients and Progress are required.
type StoreBackup struct {
	Store      store.Store // also a [store.Dumper]
	Seal       seal.Seal
	Recipients archive.Recipients // nobody: the backup is encrypted under the root key
	Rand       io.Reader
	Now        time.Time
	Software   string
	Progress   Progress
}

// WriteStoreBackup writes everything in a store to w, as it is at one revision. The rows are as they
// lie, with their material sealed; the KEKs of the system, under which all of that is, are opened and
// lie in the archive, whose lock alone says who can open it. Neither writes wait for it nor does it
// wait for them, where the store lets them get on; w should not be slow.
func WriteStoreBackup(ctx context.Context, b StoreBackup, w io.Writer) (*Manifest, error) {
	from, ok := b.Store.(store.Dumper)
	if !ok {
		return nil, errors.New("this store cannot be dumped")
	}
	id, err := keys.NewID(b.Rand)
	if err != nil {
		return nil, err
	}
	out := &storeDump{b: b, ctx: ctx, w: w, manifest: &Manifest{
		ID: id, Kind: archive.KindStore, CreatedAt: b.Now.UTC().Truncate(time.Microsecond), Tenants: []archive.Named{}, WithKeys: true, Software: b.Software,
	}}
	defer out.wipe()
	if err := from.Dump(ctx, out.open, out.take); err != nil {
		return nil, err
	}
	return out.manifest, out.archive.Finish()
}

// storeDump writes a dump into an archive.
type storeDump struct {
	b           StoreBackup
	ctx         context.Context
	w           io.Writer
	manifest    *Manifest
	begin       archive.StoreBegin
	archive     *archive.StoreWriter
	done, total int
}

func (d *storeDump) wipe() {
	d.begin.Wipe()
	if d.archive != nil {
		d.archive.Wipe()
	}
}

func (d *storeDump) open(dump *store.Dump) (err error) {
	d.manifest.Revision = dump.Head.Revision
	d.begin = archive.StoreBegin{Schema: dump.Schema, Revision: dump.Head.Revision, Events: dump.Head.Events, Hash: dump.Head.Hash[:]}
	for _, t := range dump.Tables {
		d.begin.Tables = append(d.begin.Tables, archive.StoreTable(t))
		d.total += t.Rows
		switch t.Name {
		case "vaults":
			d.manifest.Counts.Vaults = t.Rows
		case "keys":
			d.manifest.Counts.Keys = t.Rows
		case "versions":
			d.manifest.Counts.Versions = t.Rows
		}
	}
	for _, row := range dump.System {
		if err := seal.CheckRoot(d.b.Seal, row.Root); err != nil {
			return err
		}
		kek, err := d.b.Seal.Unwrap(d.ctx, row.Sealed, systemAAD(row.Generation))
		if err != nil {
			return fmt.Errorf("unwrap system KEK with root key %s: %w", d.b.Seal.ID(), err)
		}
		d.begin.System = append(d.begin.System, archive.StoreKEK{Generation: row.Generation, CreatedAt: row.CreatedAt, Key: kek})
	}
	d.archive, err = archive.NewStoreWriter(d.ctx, d.w, d.manifest, archive.Lock{Root: d.b.Seal, Recipients: d.b.Recipients}, d.b.Rand, &d.begin)
	return err
}

func (d *storeDump) take(rows store.Rows) error {
	for _, row := range rows.Rows {
		if err := d.archive.Row(rows.Table, row); err != nil {
			return err
		}
	}
	d.done += len(rows.Rows)
	if d.b.Progress != nil {
		d.b.Progress(d.done, d.total)
	}
	return d.ctx.Err()
}

// StoreRestore says what a whole store is restored from, and into what.
type StoreRestore struct {
	Archive  io.Reader
	Opener   archive.Opener
	From     string      // the archive's name, for people
	Store    store.Store // empty, and a [store.Loader]
	Seal     seal.Seal   // that the store will be under; it may be another than the one before
	Progress Progress
}

// CheckStoreBackup reads a whole archive, and answers what it is of. Whatever is wrong with it shows here,
// before anything is changed.
func CheckStoreBackup(ctx context.Context, from io.Reader, o archive.Opener, progress Progress) (*archive.Header, *archive.StoreBegin, error) {
	r, err := archive.NewStoreReader(ctx, bufio.NewReader(from), o)
	if err != nil {
		return nil, nil, err
	}
	defer r.Wipe()
	rows := &archiveRows{ctx: ctx, r: r, progress: progress}
	for {
		if _, err := rows.next(); errors.Is(err, io.EOF) && !archive.IsRefusal(err) {
			return r.Header(), r.Begin(), nil
		} else if err != nil {
			return nil, nil, err
		}
	}
}

// RestoreStore fills an empty store from an archive, which [CheckStoreBackup] has read. Until it has come
// to its end, nothing is served from the store; run again, it begins anew.
func RestoreStore(ctx context.Context, x StoreRestore) error {
	into, ok := x.Store.(store.Loader)
	if !ok {
		return errors.New("this store cannot be filled")
	}
	r, err := archive.NewStoreReader(ctx, bufio.NewReader(x.Archive), x.Opener)
	if err != nil {
		return err
	}
	defer r.Wipe()
	b := r.Begin()
	d := &store.Dump{Schema: b.Schema, Head: store.Head{Revision: b.Revision, Events: b.Events, Hash: [32]byte(b.Hash)}}
	for _, t := range b.Tables {
		d.Tables = append(d.Tables, store.DumpTable(t))
	}
	for _, k := range b.System {
		sealed, err := x.Seal.Wrap(ctx, k.Key, systemAAD(k.Generation))
		if err != nil {
			return fmt.Errorf("wrap system KEK: %w", err)
		}
		d.System = append(d.System, &store.KEK{Generation: k.Generation, Root: x.Seal.ID(), Sealed: sealed, CreatedAt: k.CreatedAt})
	}
	rows := &archiveRows{ctx: ctx, r: r, progress: x.Progress}
	return into.Load(ctx, "claviger backup restore", x.From, d, rows.next)
}

// archiveRows reads the rows of an archive, some at a time.
type archiveRows struct {
	ctx      context.Context
	r        *archive.StoreReader
	progress Progress
	done     int
	table    int
	ahead    []any // of the table after
	over     bool
}

// restoreRows is how many rows are filled in at once.
const restoreRows = 1000

func (a *archiveRows) next() (store.Rows, error) {
	out := store.Rows{Table: a.table}
	if a.ahead != nil {
		out.Rows, a.ahead = append(out.Rows, a.ahead), nil
	}
	for len(out.Rows) < restoreRows && !a.over {
		table, row, err := a.r.Next()
		if errors.Is(err, io.EOF) && !archive.IsRefusal(err) {
			a.over = true
			break
		}
		if err != nil {
			return store.Rows{}, err
		}
		if table != a.table && len(out.Rows) > 0 {
			a.table, a.ahead = table, row
			break
		}
		a.table, out.Table = table, table
		out.Rows = append(out.Rows, row)
	}
	if len(out.Rows) == 0 && a.over {
		return store.Rows{}, io.EOF
	}
	a.done += len(out.Rows)
	if a.progress != nil {
		total := 0
		for _, t := range a.r.Begin().Tables {
			total += t.Rows
		}
		a.progress(a.done, total)
	}
	return out, a.ctx.Err()
}
