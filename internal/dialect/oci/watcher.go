// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// watcher is one call's eye on what is settling.
type watcher struct {
	s *settling
	c *kms.Call

	seen     map[*passage]glance // guarded by s.mu; one call is one look
	deleteAt time.Time           // guarded by s.mu; of the deletion that the call cancels
}

// subject is the narrowest thing that a gate is asked about.
type subject struct {
	noun    keys.Type
	id      keys.ID
	settled keys.State
}

func (w *watcher) subject(on kms.Thing, now time.Time) subject {
	switch {
	case on.Version != nil:
		return subject{keys.TypeVersion, on.Version.ID, on.Version.Effective(now)}
	case on.Key != nil:
		return subject{keys.TypeKey, on.Key.ID, on.Key.Effective(on.Vault, now)}
	case on.Replica != nil && on.Vault.Region == w.c.Region:
		return subject{keys.TypeReplica, on.Replica.ID, on.Replica.State}
	}
	return subject{keys.TypeVault, on.Vault.ID, on.Vault.Effective(now)}
}

// gate refuses what Oracle's service refuses while a thing is on its way, and hides what is new
// from whoever did not make it.
func (w *watcher) gate(act keys.Action, on kms.Thing) error {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	about := w.subject(on, now)
	w.cancels(act, on, about.noun)
	if r := w.through(on); !r.IsZero() && w.look(s.live(s.marks[r], keys.Active)).onWay {
		return keys.NotFound(about.noun) // the replica is not there yet
	}
	if m := s.live(s.marks[about.id], about.settled); m != nil {
		g := w.look(m)
		switch {
		case g.unseen && m.isNew && (!w.c.Replica.IsZero() || w.c.Who == nil || w.c.Who.Principal != m.by):
			return keys.NotFound(about.noun)
		case g.onWay && !mayOnWay(act, m.shows, on):
			return onWay(about.noun, m.shows, act)
		}
	}
	if reads(act) {
		return nil
	}
	if on.Key != nil {
		m := s.live(s.marks[on.Vault.ID], on.Vault.Effective(now))
		if m != nil && !usable(m.shows) && w.look(m).onWay {
			return onWay(keys.TypeVault, m.shows, act)
		}
	}
	if act == keys.CreateReplica {
		if m := s.live(s.leaving[on.Vault.ID], keys.Deleted); m != nil && w.look(m).onWay {
			return onWay(keys.TypeReplica, m.shows, act)
		}
	}
	return nil
}

// through is the replica by which the thing is reached; zero at home.
func (w *watcher) through(on kms.Thing) keys.ID {
	if on.Replica != nil && on.Vault.Region != w.c.Region {
		return on.Replica.ID
	}
	return w.c.Replica
}

// look looks at a passage, once in a call.
func (w *watcher) look(m *mark) glance {
	if m == nil {
		return glance{}
	}
	g, known := w.seen[m.passage]
	if !known {
		g = w.s.look(m.passage)
		w.seen[m.passage] = g
	}
	return g
}

// cancels remembers the time of a deletion that is about to be cancelled.
func (w *watcher) cancels(act keys.Action, on kms.Thing, noun keys.Type) {
	switch {
	case act == keys.CancelVaultDeletion:
		w.deleteAt = on.Vault.DeleteAt
	case act == keys.CancelKeyDeletion:
		w.deleteAt = on.Key.DeleteAt
	case act == keys.CancelVersionDeletion && noun == keys.TypeVersion:
		w.deleteAt = on.Version.DeleteAt
	}
}

func reads(act keys.Action) bool {
	switch act {
	case keys.ReadVault, keys.ReadKey, keys.ReadVersion, keys.ListVersions, keys.ReadReplica:
		return true
	default:
		return false
	}
}

// usable reports whether a thing in a state on the way does what it is for.
func usable(s keys.State) bool { return s == updating || s == keys.BackingUp }

// mayOnWay reports whether a thing in a state on the way takes an action.
func mayOnWay(act keys.Action, shows keys.State, on kms.Thing) bool {
	switch act {
	case keys.UpdateVault, keys.UpdateKey:
		return shows == creating
	case keys.CreateReplica: // where it is being made already
		return shows == creating && on.Replica != nil
	case keys.UseVersion: // the current version is whichever the key uses
		return on.Version.ID == on.Key.Primary
	case keys.UseVault, keys.Encrypt, keys.Decrypt, keys.GenerateDataKey, keys.Sign, keys.Verify, keys.ExportKey:
		return usable(shows)
	default:
		return reads(act)
	}
}

func onWay(noun keys.Type, shows keys.State, act keys.Action) error {
	return &keys.Error{
		Kind: keys.KindTransient, Noun: noun, State: shows, Action: act,
		Hint: "the " + nounName(noun) + " is " + string(shows) + " because consistency is cloudlike: look at it or try again, a few times at most",
	}
}

// changed puts what the call did on its way.
func (w *watcher) changed(act keys.Action, on kms.Thing) {
	route, ok := ways[act]
	if !ok {
		return
	}
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	p := s.draw(act, w.c.Who.Principal)
	if route.vault != creating && route.key != creating && route.version != creating {
		p.unseen = 0 // nothing is new
	}
	put := func(id keys.ID, shows, leads keys.State) {
		if before := s.live(s.marks[id], leads); before != nil && before.shows == creating {
			return // still being made, with what was changed now
		}
		m := &mark{passage: p, shows: shows, leads: leads, isNew: shows == creating && on.Replica == nil}
		if shows == cancelling {
			m.deleteAt = w.deleteAt
		}
		s.marks[id] = m
	}
	if route.vault != "" {
		put(on.Vault.ID, route.vault, on.Vault.Effective(now))
	}
	if route.key != "" && on.Key != nil {
		put(on.Key.ID, route.key, on.Key.Effective(on.Vault, now))
	}
	if route.version != "" && on.Version != nil {
		put(on.Version.ID, route.version, on.Version.Effective(now))
	}
	if route.replica == creating {
		put(on.Replica.ID, creating, keys.Active)
	}
	if route.replica == deleting {
		s.leaving[on.Vault.ID] = &mark{passage: p, shows: deleting, leads: keys.Deleted, replica: on.Replica}
	}
}
