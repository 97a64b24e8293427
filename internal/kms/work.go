// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"strconv"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// Working is what a work request is about, as seen at one moment, with the work request: a vault,
// a key, or neither where there is none yet.
type Working struct {
	Vault *Vault
	Key   *Key
	Work  *keys.WorkRequest
}

func (w *Working) identity() (keys.Type, keys.ID) {
	switch {
	case w.Key != nil:
		return w.Key.identity()
	case w.Vault != nil:
		return w.Vault.identity()
	}
	return keys.TypeWork, w.Work.ID
}

func (w *Working) records() records {
	out := records{Work: w.Work}
	switch {
	case w.Key != nil:
		out.Vault, out.Key = &w.Key.InVault, &w.Key.Key
	case w.Vault != nil:
		out.Vault = &w.Vault.Vault
	}
	return out
}

func viewWorking(r records) *Working {
	out := &Working{Work: r.Work}
	switch {
	case r.Key != nil:
		out.Key = viewKey(r.Key, r.Vault, r.At)
	case r.Vault != nil:
		out.Vault = viewVault(r.Vault, r.At)
	}
	return out
}

// newWork begins the record of a work request, outside of any transaction.
func (s *Service) newWork(act keys.Action) (*keys.WorkRequest, error) {
	id, err := keys.NewID(s.rand)
	if err != nil {
		return nil, err
	}
	return &keys.WorkRequest{ID: id, Action: act, Owner: s.node}, nil
}

// acceptWork stores a work request about a vault, or a key in it, whose work begins after the
// transaction. The template stays as it is: the transaction may run again.
func (m *mutation) acceptWork(template *keys.WorkRequest, of *keys.Vault, compartment keys.ID, affected ...keys.WorkResource) (*keys.WorkRequest, error) {
	w := *template
	w.Status = keys.WorkAccepted
	return m.putWork(&w, of, compartment, affected)
}

// finishedWork is acceptWork for work that is done in this very transaction.
func (m *mutation) finishedWork(template *keys.WorkRequest, of *keys.Vault, compartment keys.ID, affected ...keys.WorkResource) (*keys.WorkRequest, error) {
	w := *template
	w.Status, w.Percent, w.StartedAt, w.FinishedAt = keys.WorkSucceeded, 100, m.now, m.now
	return m.putWork(&w, of, compartment, affected)
}

func (m *mutation) putWork(w *keys.WorkRequest, of *keys.Vault, compartment keys.ID, affected []keys.WorkResource) (*keys.WorkRequest, error) {
	w.Tenant, w.Region, w.Vault, w.Compartment = of.Tenant, of.Region, of.ID, compartment
	w.CreatedAt, w.Resources = m.now, affected
	if m.who != nil {
		w.Creator = m.who.Principal
	}
	return w, m.tx.Put(w)
}

// settled waits a bounded time for the work of out to be over, and answers what came of it:
// the error that it failed with, or the things as they are now, whether or not it is over.
func (s *Service) settled(ctx context.Context, out *Working) (*Working, error) {
	if j := s.jobs.find(out.Work.ID); j != nil && s.patience > 0 {
		timer := time.NewTimer(s.patience)
		defer timer.Stop()
		select {
		case <-j.over:
			if j.failure != nil {
				return nil, j.failure
			}
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	now := &Working{}
	err := s.store.View(context.WithoutCancel(ctx), func(tx store.Tx) (err error) {
		*now = Working{}
		if now.Work, err = store.LoadWorkRequest(tx, out.Work.ID); err != nil || now.Work.Status == keys.WorkFailed {
			return err
		}
		t, id := out.identity()
		if t == keys.TypeWork && len(now.Work.Resources) > 0 {
			t, id = now.Work.Resources[0].Type, now.Work.Resources[0].ID
		}
		err = now.load(tx, t, id, s.clock.Now())
		if !now.Work.Finished() && out.Key == nil && out.Vault == nil {
			return now.hideOthers(err)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, &keys.Error{Kind: keys.KindToken, Hint: "what the first request with this retry token made has been deleted since"}
	case err != nil:
		return nil, translate(err)
	case now.Work.Status == keys.WorkFailed:
		note := now.Work.Errors[0]
		return nil, &keys.Error{Kind: note.Kind, Noun: note.Noun, Field: note.Field, Action: now.Work.Action, Hint: note.Text}
	}
	s.showWork(now.Work)
	return now, nil
}

// load reads what the work is about.
func (w *Working) load(tx store.Tx, t keys.Type, id keys.ID, at time.Time) (err error) {
	switch t {
	case keys.TypeKey:
		if w.Key, err = loadKeyView(tx, id, at); err == nil {
			err = busyKeys(tx, w.Key)
		}
	case keys.TypeVault:
		var v *keys.Vault
		if v, err = store.LoadVault(tx, id); err == nil {
			w.Vault = viewVault(v, at)
			err = busyVaults(tx, w.Vault)
		}
	default:
	}
	return err
}

// hideOthers leaves of a restore that is under way only what it has brought: until it was verified,
// a backup may say that it is of anything.
func (w *Working) hideOthers(err error) error {
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case w.Key != nil && w.Key.State == keys.Restoring && w.Key.Key.Vault == w.Work.Vault:
		return nil
	case w.Vault != nil && w.Vault.State == keys.Restoring && w.Vault.Tenant == w.Work.Tenant && w.Vault.Region == w.Work.Region:
		return nil
	}
	return &keys.Error{
		Kind: keys.KindUnavailable, Noun: keys.TypeWork,
		Hint: "the backup is still being read: repeat the request with its retry token, which waits for the same restore, or look for its work request",
	}
}

// showWork adds what only this node knows yet.
func (s *Service) showWork(w *keys.WorkRequest) {
	if j := s.jobs.find(w.ID); j != nil && !w.Finished() {
		w.Percent = max(w.Percent, int(j.percent.Load()))
	}
}

// WorkRef says which work request a request means. Accept is as in [KeyRef].
type WorkRef struct {
	ID     keys.ID
	Accept func(*keys.WorkRequest) bool
}

// WorkRequest reads a work request of the caller's tenant in the call's region.
func (s *Service) WorkRequest(ctx context.Context, c *Call, ref WorkRef) (*keys.WorkRequest, error) {
	return read(ctx, s, c, keys.ReadWork, func(m *mutation) (*keys.WorkRequest, error) { return s.readWork(m, ref) })
}

func (s *Service) readWork(m *mutation, ref WorkRef) (*keys.WorkRequest, error) {
	if m.who == nil {
		return nil, &keys.Error{Kind: keys.KindUnauthenticated}
	}
	w, err := store.LoadWorkRequest(m.tx, ref.ID)
	if err != nil {
		return nil, notFound(err, keys.TypeWork)
	}
	if (!m.who.System() && (ownWork(w) || w.Tenant != m.who.Tenant || w.Region != m.c.Region)) || (ref.Accept != nil && !ref.Accept(w)) {
		return nil, keys.NotFound(keys.TypeWork)
	}
	m.ev.Tenant, m.ev.Vault = w.Tenant, w.Vault
	if err := m.may(keys.ReadWork, identity.Resource{Tenant: w.Tenant, Vault: w.Vault}); err != nil {
		return nil, err
	}
	s.showWork(w)
	return w, nil
}

// ownWork reports whether work is the server's own: of the admin API, which no cloud shows.
func ownWork(w *keys.WorkRequest) bool { return w.Action == keys.ResealVault }

// WorkFilter selects work requests for a list.
type WorkFilter struct {
	Compartment string  // name in the dialect; "" is all
	Resource    keys.ID // one that they affect; zero: any
}

// WorkRequests lists the work requests of the caller's tenant in the call's region.
func (s *Service) WorkRequests(ctx context.Context, c *Call, f WorkFilter, p Page) (*List[*keys.WorkRequest], error) {
	return read(ctx, s, c, keys.ListWork, func(m *mutation) (*List[*keys.WorkRequest], error) {
		tenant := callerTenant(c)
		if err := m.may(keys.ListWork, identity.Resource{Tenant: tenant}); err != nil {
			return nil, err
		}
		q := store.WorkQuery{Tenant: tenant, Region: c.Region}
		if f.Compartment != "" {
			var err error
			if q.Compartment, err = compartmentID(m.tx, c.Dialect, tenant, f.Compartment); err != nil {
				return nil, notFound(err, keys.TypeCompartment)
			}
		}
		list := listName("work", tenant.String(), string(c.Region), f.Compartment, f.Resource.String(), strconv.FormatBool(p.Desc))
		return s.listWork(m.tx, list, q, f.Resource, p)
	})
}

// listWork fills a page. With a filter it reads on until the page is full.
func (s *Service) listWork(tx store.Tx, list string, q store.WorkQuery, resource keys.ID, p Page) (*List[*keys.WorkRequest], error) {
	var err error
	if q.Page, err = s.storePage(list, p); err != nil {
		return nil, err
	}
	out := &List[*keys.WorkRequest]{Total: -1}
	for {
		rows, err := tx.WorkRequests(q)
		if err != nil {
			return nil, err
		}
		for _, w := range rows {
			if ownWork(w) || (!resource.IsZero() && !affects(w, resource)) {
				continue
			}
			s.showWork(w)
			out.Items = append(out.Items, w)
		}
		if q.Page.Limit == 0 || len(rows) < q.Page.Limit || len(out.Items) > p.Limit {
			break
		}
		last := rows[len(rows)-1]
		q.Page.After = &store.Mark{Time: last.CreatedAt, ID: last.ID}
	}
	more := false
	if out.Items, more = cut(out.Items, p.Limit); more {
		last := out.Items[p.Limit-1]
		out.Next = s.encodeCursor(list, cursor{mark: store.Mark{Time: last.CreatedAt, ID: last.ID}})
	}
	return out, nil
}

func affects(w *keys.WorkRequest, resource keys.ID) bool {
	for _, r := range w.Resources {
		if r.ID == resource {
			return true
		}
	}
	return false
}

// WorkErrors lists why a work request failed.
func (s *Service) WorkErrors(ctx context.Context, c *Call, ref WorkRef, p Page) (*List[keys.WorkNote], error) {
	return s.workNotes(ctx, c, ref, p, "errors", func(w *keys.WorkRequest) []keys.WorkNote { return w.Errors })
}

// WorkLogs lists what a work request did.
func (s *Service) WorkLogs(ctx context.Context, c *Call, ref WorkRef, p Page) (*List[keys.WorkNote], error) {
	return s.workNotes(ctx, c, ref, p, "logs", func(w *keys.WorkRequest) []keys.WorkNote { return w.Logs })
}

func (s *Service) workNotes(ctx context.Context, c *Call, ref WorkRef, p Page, what string, of func(*keys.WorkRequest) []keys.WorkNote) (*List[keys.WorkNote], error) {
	return read(ctx, s, c, keys.ReadWork, func(m *mutation) (*List[keys.WorkNote], error) {
		w, err := s.readWork(m, ref)
		if err != nil {
			return nil, err
		}
		list := listName("work", w.ID.String(), what, strconv.FormatBool(p.Desc))
		mark, err := s.decodeCursor(list, p.Cursor)
		if err != nil {
			return nil, err
		}
		// Ordinals count from 1 in the order in which the notes were made.
		notes, from, step := of(w), 1, 1
		if p.Desc {
			from, step = len(notes), -1
		}
		if mark != nil {
			from = mark.ordinal + step
		}
		out := &List[keys.WorkNote]{Total: len(notes)}
		for at := from; at >= 1 && at <= len(notes); at += step {
			if p.Limit > 0 && len(out.Items) == p.Limit {
				out.Next = s.encodeCursor(list, cursor{ordinal: at - step})
				break
			}
			out.Items = append(out.Items, notes[at-1])
		}
		return out, nil
	})
}
