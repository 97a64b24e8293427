// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestProgress listens to a backup and a restore.
func TestProgress(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	listen := func(what string) (kms.Progress, func()) {
		last, end := 0, 0
		return func(done, total int) {
				if done != last+1 || (end != 0 && total != end) {
					t.Errorf("%s: %d of %d after %d of %d", what, done, total, last, end)
				}
				last, end = done, total
			}, func() {
				if last != end || end == 0 {
					t.Errorf("%s: ends at %d of %d", what, last, end)
				}
			}
	}
	var b bytes.Buffer
	progress, ended := listen("backup")
	must(t, w, func(c *kms.Call) error {
		return second(w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: life.vault}, true, &b, progress))
	})
	ended()
	to := anew(t, w)
	progress, ended = listen("restore")
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(b.Bytes()), progress))
	})
	ended()
}

// TestBackupIsOfOneRevision changes a vault while its backup is being written: none of that is in it.
func TestBackupIsOfOneRevision(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	before := contentOf(t, w, life.vault)
	revision := head(t, w).Revision
	var b bytes.Buffer
	changing := writerFunc(func(p []byte) (int, error) {
		rotate(t, w, life.aes) // waits for its commit
		return b.Write(p)
	})
	must(t, w, func(c *kms.Call) error {
		m, err := w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: life.vault}, true, changing, nil)
		if err == nil && m.Revision != revision {
			t.Errorf("the backup is of revision %d, want %d", m.Revision, revision)
		}
		return err
	})
	to := anew(t, w)
	if err := restoreVault(t, to, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	asBefore(t, before, contentOf(t, to, life.vault))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestBackupsThatCannotBeWritten fails the writer, the spool, and the audit log.
func TestBackupsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	trouble := errors.New("no space left")
	full := false
	w := kmstest.New(t, kmstest.With(func(cfg *kms.Config) {
		cfg.Backup.Spool = func() (kms.Spool, error) {
			if full {
				return nil, trouble
			}
			return &fileLike{}, nil
		}
	}))
	life := newLifeOf(t, w)
	write := func(out writerFunc) error {
		return as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.WriteKeyBackup(t.Context(), c, kms.KeyRef{ID: life.aes}, out, nil))
		})
	}
	if err := write(func(p []byte) (int, error) { return len(p), nil }); err != nil {
		t.Fatal(err)
	}
	if err := write(func([]byte) (int, error) { return 0, trouble }); !errors.Is(err, trouble) {
		t.Errorf("the writer fails: %v", err)
	}
	full = true
	if err := write(func(p []byte) (int, error) { return len(p), nil }); !errors.Is(err, trouble) {
		t.Errorf("there is no spool: %v", err)
	}
	full = false
	ctx, cancel := context.WithCancel(t.Context())
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.WriteKeyBackup(ctx, c, kms.KeyRef{ID: life.aes}, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), nil))
	})
	want(t, "given up", err, keys.KindUnavailable)
}

// fileLike is a spool that is read and written at one position, as a file is.
type fileLike struct {
	b  []byte
	at int
}

func (f *fileLike) Write(p []byte) (int, error) {
	f.b = append(f.b[:f.at], p...)
	f.at = len(f.b)
	return len(p), nil
}

func (f *fileLike) Read(p []byte) (int, error) {
	n := copy(p, f.b[f.at:])
	f.at += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *fileLike) Seek(offset int64, _ int) (int64, error) {
	f.at = int(offset)
	return offset, nil
}

func (f *fileLike) Close() error { return nil }
