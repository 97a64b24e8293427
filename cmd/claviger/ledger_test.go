// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"
)

// The states of keys and versions, as the admin API names them.
const (
	enabled  = "ENABLED"
	disabled = "DISABLED"
	pending  = "PENDING_DELETION"
	deleted  = "DELETED"
)

// ledger is what a client of the server knows to be true, because it was answered.
type ledger struct {
	mu sync.Mutex // guards what workers share: all fields, and the fields of hub

	keys  []*knownKey // in order of creation
	hub   *knownKey   // one that every worker rotates
	maybe int         // creations of keys that were not answered, and not repeated

	clock time.Time // domain time, as answered last

	mutations map[string]string // request id → what was answered in this run
	calls     map[string]string // the same for data calls
	repeats   []step            // not answered, and to be repeated with their token
}

// knownKey is one key. Except for the hub it belongs to one worker at a time.
type knownKey struct {
	name, alibaba string // in its clouds
	algorithm     string
	state         string
	before        string   // the state before its deletion was scheduled
	doubt         []string // the states that calls would have led to which were not answered
	versions      []*knownVersion
	maybe         int // rotations that were not answered, and not repeated
	used          []use
	checked       int       // how many of used were checked after a restart
	touched       bool      // in this run
	until         time.Time // when it is erased, as seen last
}

type knownVersion struct {
	name, state string
	doubt       []string
	until       time.Time
}

// waits reports whether the key or a version of it may have been erased since it was seen.
func (k *knownKey) waits() bool {
	return k.state == pending || slices.ContainsFunc(k.versions, func(v *knownVersion) bool { return v.state == pending })
}

// use is what a key was used for: a ciphertext that must open, or a signature that must verify.
type use struct {
	version    string // its OCID, or its id where the ciphertext has that
	plaintext  string // base64
	ciphertext string // or signature
}

// step is one call of a worker.
type step struct {
	what     string
	key      *knownKey // nil for a creation
	mutation bool
	send     func(context.Context, *caller) answer
	done     func(answer) // the server answered with a success
	lost     func()       // it did not answer
	token    bool         // it can be repeated, and happens once
	late     bool         // it may come too late
}

// longestJump is by how many days the clock is moved at most.
const longestJump = 12

// worker makes random calls, one after the other.
type worker struct {
	*ledger
	random *mathrand.Rand
	own    []*knownKey
	made   int // keys in this run
	rsa    bool
	moving bool // the clock moves, so what is pending deletion may be erased at any time
}

// next picks a call that the state of the key allows.
func (w *worker) next() step {
	switch n := w.random.IntN(100); {
	case n < 8:
		return w.rotate(w.hub)
	case n < 16:
		return w.seal(w.hub)
	case len(w.own) == 0 || n < 22 && w.made < 3:
		w.made++
		return w.create()
	}
	recent := w.own[max(0, len(w.own)-8):]
	k := recent[w.random.IntN(len(recent))]
	k.touched = true
	switch k.state {
	case deleted:
		return w.seal(w.hub)
	case pending:
		return w.pick(w.cancel, w.cancelAlibaba)(k)
	case disabled:
		return w.pick(w.enable, w.enableAlibaba, w.schedule, w.version)(k)
	}
	return w.pick(w.seal, w.seal, w.seal, w.rotate, w.rotate, w.disable, w.disableAlibaba, w.schedule, w.scheduleAlibaba,
		w.version, w.version)(k)
}

func (w *worker) pick(of ...func(*knownKey) step) func(*knownKey) step {
	return of[w.random.IntN(len(of))]
}

func (w *worker) create() step {
	algorithm, shape := "AES", aes256()
	switch w.random.IntN(8) {
	case 0, 1, 2:
		algorithm, shape = "ECDSA", p256()
	case 3:
		if w.rsa {
			algorithm, shape = "RSA", rsa2048()
		}
	}
	token := rand.Text()
	return step{
		what: "create key", mutation: true, token: true,
		send: func(ctx context.Context, c *caller) answer { return c.createKey(ctx, "chaos", shape, token) },
		done: func(a answer) {
			k := &knownKey{name: a.text("id"), algorithm: algorithm, state: enabled, touched: true}
			k.versions = []*knownVersion{{name: a.text("currentKeyVersion"), state: enabled}}
			w.keys, w.own = append(w.keys, k), append(w.own, k)
		},
		lost: func() { w.maybe++ },
	}
}

func (w *worker) rotate(k *knownKey) step {
	token := rand.Text()
	return step{
		what: "rotate", key: k, mutation: true, token: true,
		send: func(ctx context.Context, c *caller) answer { return c.createVersion(ctx, k.name, token) },
		done: func(a answer) { k.versions = append(k.versions, &knownVersion{name: a.text("id"), state: enabled}) },
		lost: func() { k.maybe++ },
	}
}

// seal encrypts with a key, or signs with one that cannot.
func (w *worker) seal(k *knownKey) step {
	plain := make([]byte, 1+w.random.IntN(100))
	for i := range plain {
		plain[i] = byte(w.random.Uint32())
	}
	text := base64.StdEncoding.EncodeToString(plain)
	s := step{what: "use a key", key: k, lost: func() {}}
	note := func(version, ciphertext string) { k.used = append(k.used, use{version, text, ciphertext}) }
	switch {
	case k.algorithm == "ECDSA":
		s.send = func(ctx context.Context, c *caller) answer { return c.data(ctx, "sign", signature(k.name, text)) }
		s.done = func(a answer) { note(a.text("keyVersionId"), a.text("signature")) }
	case k.algorithm == "RSA":
		s.send = func(ctx context.Context, c *caller) answer {
			return c.data(ctx, "encrypt", map[string]any{"keyId": k.name, "plaintext": text, "encryptionAlgorithm": oaep})
		}
		s.done = func(a answer) { note(a.text("keyVersionId"), a.text("ciphertext")) }
	case k.alibaba != "" && w.random.IntN(2) == 0:
		s.send = func(ctx context.Context, c *caller) answer {
			return c.alibaba(ctx, "Encrypt", "KeyId", k.alibaba, "Plaintext", text)
		}
		s.done = func(a answer) { note(versionOf(a.text("CiphertextBlob")), a.text("CiphertextBlob")) }
	default:
		s.send = func(ctx context.Context, c *caller) answer {
			return c.data(ctx, "encrypt", map[string]any{"keyId": k.name, "plaintext": text})
		}
		s.done = func(a answer) { note(versionOf(a.text("ciphertext")), a.text("ciphertext")) }
	}
	return s
}

func signature(key, message string) map[string]any {
	return map[string]any{"keyId": key, "message": message, "signingAlgorithm": "ECDSA_SHA_256"}
}

// versionOf reads the version's id from the envelope of an AES ciphertext.
func versionOf(ciphertext string) string {
	raw, err := base64.StdEncoding.DecodeString(ciphertext)
	if err != nil || len(raw) < 36 {
		return ""
	}
	return string(raw[:36])
}

// late reports whether what is pending deletion may be erased before a call arrives.
func (w *worker) late(state string, until time.Time) bool {
	return state == pending && (w.moving || !until.IsZero() && until.Before(w.clock.Add(hang)))
}

// toState is a call that changes a key's state, by an action of OCI.
func (w *worker) toState(k *knownKey, action, state string) step {
	return w.change(k, state, action, func(ctx context.Context, c *caller) answer {
		return c.act(ctx, k.name, "actions/"+action)
	})
}

// toStateAlibaba is the same through Alibaba's API, where that shows the key.
func (w *worker) toStateAlibaba(k *knownKey, action, state string, params ...string) step {
	return w.change(k, state, action, func(ctx context.Context, c *caller) answer {
		return c.alibaba(ctx, action, append([]string{"KeyId", k.alibaba}, params...)...)
	})
}

func (w *worker) change(k *knownKey, state, what string, send func(context.Context, *caller) answer) step {
	return step{
		what: what, key: k, mutation: true, send: send, late: w.late(k.state, k.until),
		done: func(answer) {
			if state == pending {
				k.before = k.state
			}
			k.state = state
		},
		lost: func() {
			if state == pending {
				k.before = k.state
			}
			k.doubt = append(k.doubt, state)
		},
	}
}

func (w *worker) enable(k *knownKey) step   { return w.toState(k, "enable", enabled) }
func (w *worker) disable(k *knownKey) step  { return w.toState(k, "disable", disabled) }
func (w *worker) schedule(k *knownKey) step { return w.toState(k, "scheduleDeletion", pending) }
func (w *worker) cancel(k *knownKey) step   { return w.toState(k, "cancelDeletion", k.before) }

func (w *worker) enableAlibaba(k *knownKey) step {
	if k.alibaba == "" {
		return w.enable(k)
	}
	return w.toStateAlibaba(k, "EnableKey", enabled)
}

func (w *worker) disableAlibaba(k *knownKey) step {
	if k.alibaba == "" {
		return w.disable(k)
	}
	return w.toStateAlibaba(k, "DisableKey", disabled)
}

func (w *worker) scheduleAlibaba(k *knownKey) step {
	if k.alibaba == "" {
		return w.schedule(k)
	}
	days := 7 + w.random.IntN(24)
	if w.moving { // the clock may jump between the two looks that the server takes at it
		days += longestJump
	}
	return w.toStateAlibaba(k, "ScheduleKeyDeletion", pending, "PendingWindowInDays", fmt.Sprint(days))
}

func (w *worker) cancelAlibaba(k *knownKey) step {
	if k.alibaba == "" {
		return w.cancel(k)
	}
	return w.toStateAlibaba(k, "CancelKeyDeletion", enabled)
}

// version schedules the deletion of a version that is not the primary, or cancels it.
func (w *worker) version(k *knownKey) step {
	if len(k.versions) < 2 {
		return w.rotateOr(k)
	}
	v := k.versions[w.random.IntN(len(k.versions)-1)]
	action, state := "scheduleDeletion", pending
	switch v.state {
	case pending:
		action, state = "cancelDeletion", enabled
	case deleted:
		return w.rotateOr(k)
	}
	return step{
		what: action + " of a version", key: k, mutation: true, late: w.late(v.state, v.until),
		send: func(ctx context.Context, c *caller) answer {
			return c.act(ctx, k.name, "keyVersions/"+v.name+"/actions/"+action)
		},
		done: func(answer) { v.state = state },
		lost: func() { v.doubt = append(v.doubt, state) },
	}
}

func (w *worker) rotateOr(k *knownKey) step {
	if k.state == enabled {
		return w.rotate(k)
	}
	return w.enable(k)
}

// run makes calls until one is not answered. failed hears of refusals: every call is one that
// the server must grant.
func (w *worker) run(ctx context.Context, c *caller, answered func(), failed func(what string, a answer)) {
	for {
		w.mu.Lock()
		s := w.next()
		w.mu.Unlock()
		a := s.send(ctx, c)
		w.mu.Lock()
		switch {
		case a.ok():
			s.done(a)
			w.note(s, a)
		case a.lost() && s.token && w.random.IntN(2) == 0:
			w.repeats = append(w.repeats, s)
		case a.lost():
			s.lost()
		}
		refused := s.late && a.err == nil && a.status/100 == 4
		if refused {
			s.lost()
		}
		w.mu.Unlock()
		if !a.ok() && !refused {
			failed(s.what, a)
			return
		}
		answered()
	}
}

// note keeps the request id for the audit.
func (l *ledger) note(s step, a answer) {
	if s.mutation {
		l.mutations[a.requestID()] = s.what
	} else {
		l.calls[a.requestID()] = s.what
	}
}

// moment is the domain time before and after something was looked at.
type moment struct{ before, after time.Time }

func (m moment) String() string { return m.before.Format(time.RFC3339) }

// allows reports whether a state that was found is one that the answers allow: the answered
// one, one that is in doubt, or what time made of them.
func (m moment) allows(found, known string, doubt []string, deleteAt string) bool {
	at, err := time.Parse(time.RFC3339, deleteAt)
	leaving := known == pending || slices.Contains(doubt, pending)
	switch found {
	case pending:
		return err == nil && m.before.Before(at) && leaving
	case deleted:
		return err == nil && !m.after.Before(at) && (leaving || known == deleted)
	}
	return found == known || slices.Contains(doubt, found)
}
