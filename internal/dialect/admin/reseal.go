// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"net/url"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Work is work of the server that goes on after the request that asked for it.
type Work struct {
	ID         string     `json:"id"`
	Action     string     `json:"action"`
	Vault      string     `json:"vault,omitempty"`
	Status     string     `json:"status"`          // ACCEPTED, IN_PROGRESS, SUCCEEDED, FAILED
	Percent    int        `json:"percent"`         // of the work that is done
	Error      string     `json:"error,omitempty"` // why it failed
	Notes      []string   `json:"notes,omitempty"` // what it did
	CreatedAt  time.Time  `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}

// Finished reports whether the work is over, one way or the other.
func (w *Work) Finished() bool { return w.FinishedAt != nil }

func workOf(w *keys.WorkRequest) *Work {
	out := &Work{
		ID: w.ID.String(), Action: string(w.Action), Vault: idOf(w.Vault), Status: string(w.Status), Percent: w.Percent,
		CreatedAt: w.CreatedAt, FinishedAt: timeOf(w.FinishedAt),
	}
	for _, n := range w.Errors {
		out.Error = n.Text
	}
	for _, n := range w.Logs {
		out.Notes = append(out.Notes, n.Text)
	}
	return out
}

func (a *API) resealVault(ctx context.Context, c *kms.Call, r *vaultRequest) (*Work, error) {
	v, err := a.findVault(ctx, "id", r.ID)
	if err != nil {
		return nil, err
	}
	out, err := a.service.ResealVault(ctx, c, kms.VaultRef{ID: v.ID})
	if err != nil {
		return nil, err
	}
	return workOf(out.Work), nil
}

type workRequest struct {
	ID string `path:"id"`
}

func (a *API) work(ctx context.Context, c *kms.Call, r *workRequest) (*Work, error) {
	id, err := keys.ParseID(r.ID)
	if err != nil {
		return nil, keys.NotFound(keys.TypeWork)
	}
	w, err := a.service.WorkRequest(ctx, c, kms.WorkRef{ID: id})
	if err != nil {
		return nil, err
	}
	return workOf(w), nil
}

// ResealVault begins to reseal a vault, or finds that work when it is under way.
func (c *Client) ResealVault(ctx context.Context, id string) (*Work, error) {
	return post[*Work](ctx, c, "/vaults/"+url.PathEscape(id)+"/reseal", nil)
}

// Work tells how far some work has come.
func (c *Client) Work(ctx context.Context, id string) (*Work, error) {
	return get[*Work](ctx, c, "/work-requests/"+url.PathEscape(id))
}
