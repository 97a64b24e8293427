// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Consistency says when a change shows to clients.
type Consistency string

// The two kinds.
const (
	// Strict shows every change settled, in the answer to whoever made it. It is the default.
	Strict Consistency = "strict"
	// Cloudlike shows changes as Oracle's service does: first a state on the way, such as
	// CREATING, in which most operations are refused, and what is new not to everybody at once.
	Cloudlike Consistency = "cloudlike"
)

// States on the way from one to another that the core does not know: there such changes are
// whole when they are answered. Backups and restores take their time there too.
const (
	creating   keys.State = "CREATING"
	enabling   keys.State = "ENABLING"
	disabling  keys.State = "DISABLING"
	updating   keys.State = "UPDATING"
	scheduling keys.State = "SCHEDULING_DELETION"
	cancelling keys.State = "CANCELLING_DELETION"
	deleting   keys.State = "DELETING"
)

// way is what an action shows on its way, of each thing that it is about.
type way struct{ vault, replica, key, version keys.State }

var ways = map[keys.Action]way{
	keys.CreateVault:           {vault: creating},
	keys.UpdateVault:           {vault: updating},
	keys.MoveVault:             {vault: updating},
	keys.ScheduleVaultDeletion: {vault: scheduling},
	keys.CancelVaultDeletion:   {vault: cancelling},
	keys.BackupVault:           {vault: keys.BackingUp},
	keys.RestoreVaultBackup:    {vault: keys.Restoring},
	keys.CreateReplica:         {replica: creating},
	keys.DeleteReplica:         {replica: deleting},

	keys.CreateKey:           {key: creating},
	keys.UpdateKey:           {key: updating},
	keys.MoveKey:             {key: updating},
	keys.EnableKey:           {key: enabling},
	keys.DisableKey:          {key: disabling},
	keys.ScheduleKeyDeletion: {key: scheduling},
	keys.CancelKeyDeletion:   {key: cancelling},
	keys.BackupKey:           {key: keys.BackingUp},
	keys.RestoreKeyBackup:    {key: keys.Restoring},

	keys.Rotate:                  {key: updating, version: creating},
	keys.ScheduleVersionDeletion: {version: scheduling},
	keys.CancelVersionDeletion:   {version: cancelling},
}

// How long a change is on its way: as many looks at what it changes as are drawn, whoever looks,
// be it by reading, listing or being refused, so that whoever tries again comes through, and
// nobody waits for time to pass. What nobody looks at settles by domain time.
const (
	mostLooks  = 3 // that show the state on the way; at least one does
	mostUnseen = 2 // before these, that do not show what is new
	settleTime = 5 * time.Minute
	mostOnWay  = 4096 // changes at once; over it the oldest has settled
)

// settling is what shows of changes that have not settled, in memory. It only ever looks at what
// has happened: a revocation is true when it is answered, whatever is shown of it.
type settling struct {
	now  func() time.Time // domain time
	seed uint64

	mu      sync.Mutex
	drawn   map[keys.Action]uint64 // how often; guarded by mu, as is all below
	marks   map[keys.ID]*mark
	leaving map[keys.ID]*mark // vault → its replica that was deleted
	order   []*passage        // oldest first
}

// passage is one change on its way.
type passage struct {
	began  time.Time
	by     keys.ID // principal
	unseen int     // looks that are left without what is new
	looks  int     // and those that show the state on the way
	over   bool
}

// mark is a thing that a passage changes.
type mark struct {
	*passage
	shows    keys.State
	leads    keys.State // what it settles in; what becomes something else meanwhile shows that
	isNew    bool
	deleteAt time.Time     // that was cancelled, which shows until then
	replica  *keys.Replica // that is leaving
}

func newSettling(now func() time.Time, seed uint64) *settling {
	s := &settling{now: now, seed: seed}
	s.forget()
	return s
}

// forget settles everything, and begins the seed's sequence anew.
func (s *settling) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drawn = map[keys.Action]uint64{}
	s.marks, s.leaving = map[keys.ID]*mark{}, map[keys.ID]*mark{}
	s.order = nil
}

// draw begins a passage. Each action has a sequence of its own, so that what one client does
// shows the same whatever others do beside it.
func (s *settling) draw(act keys.Action, by keys.ID) *passage {
	in := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.seed), s.drawn[act])
	s.drawn[act]++
	chance := sha256.Sum256(append(in, act...))
	p := &passage{began: s.now(), by: by, looks: 1 + int(chance[0])%mostLooks, unseen: int(chance[1]) % (mostUnseen + 1)}
	s.order = append(s.order, p)
	if len(s.order) > mostOnWay {
		s.end(s.order[0])
		s.order = s.order[1:]
	}
	return p
}

// end settles a passage.
func (s *settling) end(p *passage) {
	p.over = true
	for _, marks := range []map[keys.ID]*mark{s.marks, s.leaving} {
		for id, m := range marks {
			if m.passage == p {
				delete(marks, id)
			}
		}
	}
}

// live is the mark of a thing whose settled state is given, or nil.
func (s *settling) live(m *mark, settled keys.State) *mark {
	switch {
	case m == nil:
		return nil
	case m.over, m.leads != settled, s.now().Sub(m.began) > settleTime:
		s.end(m.passage)
		return nil
	}
	return m
}

// glance is what one look sees of a passage.
type glance struct{ unseen, onWay bool }

// look counts one look at a passage.
func (s *settling) look(p *passage) glance {
	switch {
	case p.unseen > 0:
		p.unseen--
		return glance{unseen: true, onWay: true}
	case p.looks > 0:
		p.looks--
		return glance{onWay: true}
	}
	s.end(p)
	return glance{}
}

// shown is the state that a thing is shown in, and the time of a deletion that is being cancelled.
func (s *settling) shown(id keys.ID, settled keys.State) (state keys.State, deleteAt time.Time) {
	if s == nil {
		return settled, time.Time{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.live(s.marks[id], settled)
	if m == nil {
		return settled, time.Time{}
	}
	return m.shows, m.deleteAt
}

// listed is whether a list shows a thing, which counts as a look at it.
func (s *settling) listed(id keys.ID, settled keys.State) bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.live(s.marks[id], settled)
	return m == nil || !s.look(m.passage).unseen || !m.isNew
}

// left is the replica of a vault that was deleted and still shows, or nil. It counts as a look.
func (s *settling) left(vault keys.ID) *keys.Replica {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.live(s.leaving[vault], keys.Deleted)
	if m == nil || !s.look(m.passage).onWay {
		return nil
	}
	return m.replica
}

// vault is a vault as it is shown: itself, or a copy on its way.
func (s *settling) vault(v *kms.Vault) *kms.Vault {
	state, deleteAt := s.shown(v.ID, v.State)
	if state == v.State {
		return v
	}
	out := *v
	if out.State = state; !deleteAt.IsZero() {
		out.DeleteAt = deleteAt
	}
	return &out
}

// key is vault for keys.
func (s *settling) key(k *kms.Key) *kms.Key {
	state, deleteAt := s.shown(k.ID, k.State)
	if state == k.State {
		return k
	}
	out := *k
	if out.State = state; !deleteAt.IsZero() {
		out.DeleteAt = deleteAt
	}
	return &out
}

// version is vault for key versions.
func (s *settling) version(v *kms.Version) *kms.Version {
	state, deleteAt := s.shown(v.ID, v.State)
	if state == v.State {
		return v
	}
	out := *v
	out.State, out.Version.State = state, state
	if !deleteAt.IsZero() {
		out.Version.DeleteAt = deleteAt
	}
	return &out
}

// watch makes a call see changes on their way, and put its own on it.
func (s *settling) watch(c *kms.Call) {
	if s == nil {
		return
	}
	w := &watcher{s: s, c: c, seen: map[*passage]glance{}}
	c.Gate, c.Changed = w.gate, w.changed
}
