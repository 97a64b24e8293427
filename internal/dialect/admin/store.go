// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// StoreBackup is the newest backup of the whole store that the server began, in a file of its own.
type StoreBackup struct {
	Running   bool      `json:"running"`
	Done      int       `json:"done"` // rows
	Total     int       `json:"total"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	File      string    `json:"file,omitempty"` // on the server's machine, once it is there
	ID        keys.ID   `json:"id,omitzero"`    // of the archive
	Revision  int64     `json:"revision,omitempty"`
	Error     string    `json:"error,omitempty"` // why it failed
}

func (a *API) backUpStore(ctx context.Context, c *kms.Call, _ *noParams) (*StoreBackup, error) {
	if err := a.service.StartStoreBackup(ctx, c); err != nil {
		return nil, err
	}
	return a.storeBackup(ctx, c, nil)
}

func (a *API) storeBackup(ctx context.Context, c *kms.Call, _ *noParams) (*StoreBackup, error) {
	state, err := a.service.StoreBackup(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &StoreBackup{Running: state.Running, Done: state.Done, Total: state.Total, StartedAt: state.StartedAt, File: state.File}
	if state.Manifest != nil {
		out.ID, out.Revision = state.Manifest.ID, state.Manifest.Revision
	}
	if state.Err != nil {
		out.Error = state.Err.Error()
	}
	return out, nil
}

// BackUpStore begins a backup of the whole store.
func (c *Client) BackUpStore(ctx context.Context) (StoreBackup, error) {
	return post[StoreBackup](ctx, c, "/store/backup", nil)
}

// StoreBackup tells how far the newest backup of the whole store has come.
func (c *Client) StoreBackup(ctx context.Context) (StoreBackup, error) {
	return get[StoreBackup](ctx, c, "/store/backup")
}
