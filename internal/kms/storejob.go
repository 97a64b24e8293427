// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"claviger/internal/keys"
)

// StoreFile takes a backup of the whole store. Nobody finds it before Commit.
type StoreFile interface {
	io.Writer
	// Commit makes what was written durable, and answers where it is.
	Commit() (name string, err error)
	// Abort removes it. After Commit it does nothing.
	Abort() error
}

// StoreBackupState is how far a backup of the whole store has come that this process makes or made.
type StoreBackupState struct {
	Running     bool
	Done, Total int // rows
	StartedAt   time.Time
	Manifest    *Manifest // of the one that is done; nil otherwise
	File        string    // where that is
	Err         error     // why the last one failed; nil otherwise
}

// storeJob is the one backup of the whole store at a time.
type storeJob struct {
	mu    sync.Mutex
	state StoreBackupState // guarded by mu
}

func (j *storeJob) begin(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.Running {
		return false
	}
	j.state = StoreBackupState{Running: true, StartedAt: now}
	return true
}

func (j *storeJob) change(f func(*StoreBackupState)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f(&j.state)
}

// StartStoreBackup begins a backup of the whole store, for the server's administrator alone. It goes
// on after the answer; see [Service.StoreBackup].
func (s *Service) StartStoreBackup(ctx context.Context, c *Call) error {
	if err := s.administers(ctx, c, keys.BackupVault); err != nil {
		return err
	}
	refuse := func(e *keys.Error) error { return s.refuse(ctx, s.event(c, keys.BackupVault), e) }
	if s.backup.Store == nil {
		return refuse(&keys.Error{Kind: keys.KindUnsupported, Field: "backup", Hint: "this server has no directory for backups of the whole store"})
	}
	end, err := s.begin()
	if err != nil {
		return err
	}
	if !s.storeJob.begin(s.clock.Now()) {
		end()
		return refuse(&keys.Error{Kind: keys.KindTransient, Field: "backup", Hint: "a backup of the whole store is being made already"})
	}
	go func() {
		defer end()
		manifest, file, err := s.backUpStore(s.jobs.ctx)
		if err != nil {
			s.log.ErrorContext(ctx, "back up the whole store", "request_id", c.RequestID, "error", err)
		}
		s.storeJob.change(func(state *StoreBackupState) {
			state.Running, state.Manifest, state.File, state.Err = false, manifest, file, err
		})
	}()
	return nil
}

func (s *Service) backUpStore(ctx context.Context) (_ *Manifest, name string, err error) {
	now := s.clock.Now()
	f, err := s.backup.Store(now)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, f.Abort()) }()
	m, err := WriteStoreBackup(ctx, StoreBackup{
		Store: s.store, Seal: s.root, Recipients: s.backup.Recipients, Rand: s.rand, Now: now, Software: s.backup.Software,
		Progress: func(done, total int) {
			s.storeJob.change(func(state *StoreBackupState) { state.Done, state.Total = done, total })
		},
	}, f)
	if err != nil {
		return nil, "", err
	}
	name, err = f.Commit()
	return m, name, err
}

// StoreBackup tells of the newest backup of the whole store that this process began.
func (s *Service) StoreBackup(ctx context.Context, c *Call) (StoreBackupState, error) {
	if err := s.administers(ctx, c, keys.ReadIdentity); err != nil {
		return StoreBackupState{}, err
	}
	var out StoreBackupState
	s.storeJob.change(func(state *StoreBackupState) { out = *state })
	return out, nil
}

// administers records a call that the server's administrator alone may make.
func (s *Service) administers(ctx context.Context, c *Call, act keys.Action) error {
	_, err := read(ctx, s, c, act, func(m *mutation) (nothing, error) {
		if !m.who.System() {
			return nothing{}, &keys.Error{Kind: keys.KindDenied, Action: act}
		}
		return nothing{}, nil
	})
	return err
}
