// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// tokened is a call with an idempotency token; request stands for what was asked.
func tokened(t testing.TB, w *kmstest.World, who kmstest.Tenant, operation, token string, request byte) *kms.Call {
	t.Helper()
	c := w.Call(t, who)
	c.Operation, c.Token, c.Fingerprint = operation, token, [32]byte{request}
	return c
}

// rotateWith rotates with a token.
func rotateWith(t testing.TB, w *kmstest.World, id keys.ID, token string, request byte) (*kms.Version, error) {
	t.Helper()
	c := tokened(t, w, w.Tenant, "CreateKeyVersion", token, request)
	defer c.End()
	return w.Rotate(context.Background(), c, kms.KeyRef{ID: id})
}

func TestARepeatedTokenGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.ECP256))
	first, err := rotateWith(t, w, k.ID, "t", 1)
	if err != nil {
		t.Fatal(err)
	}
	rotate(t, w, k.ID)
	again, err := rotateWith(t, w, k.ID, "t", 1)
	if err != nil {
		t.Fatalf("the repeat: %v", err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("-first +repeat:\n%s", diff)
	}
	if n := seen(t, w, k.ID).Versions; n != 3 {
		t.Errorf("%d versions, want 3", n)
	}
	_, err = rotateWith(t, w, k.ID, "t", 2)
	want(t, "the token with another request", err, keys.KindToken)
	_, err = rotateWith(t, w, k.ID, "u", 2)
	want(t, "another token", err, "")

	// A token belongs to its principal and operation.
	colleague := member(t, w, w.Tenant, "colleague", identity.Admin, keys.ID{})
	for _, c := range []*kms.Call{
		tokened(t, w, colleague, "CreateKeyVersion", "t", 2), tokened(t, w, w.Tenant, "Other", "t", 2),
	} {
		_, err := w.Rotate(t.Context(), c, kms.KeyRef{ID: k.ID})
		c.End()
		want(t, "somebody else's token of that text, or of another operation", err, "")
	}
}

// TestEachKindOfResultIsRepeated asks for everything twice that a client may send a token with.
func TestEachKindOfResultIsRepeated(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	old := k.Primary
	rotate(t, w, k.ID)
	ref := kms.KeyRef{ID: k.ID}
	vault := newVault(t, w, "vault")
	for name, call := range map[string]func(*kms.Call) (any, error){
		"CreateVault": func(c *kms.Call) (any, error) {
			return w.CreateVault(t.Context(), c, kms.NewVault{Name: "v", Kind: keys.PrivateVault})
		},
		"CreateKey":  func(c *kms.Call) (any, error) { return w.CreateKey(t.Context(), c, wish(keys.AES128)) },
		"DisableKey": func(c *kms.Call) (any, error) { return w.ChangeKeyState(t.Context(), c, ref, keys.DisableKey) },
		"ScheduleKeyDeletion": func(c *kms.Call) (any, error) {
			return w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: newAES(t, w).ID}, time.Time{})
		},
		"ScheduleVersion": func(c *kms.Call) (any, error) {
			return w.ScheduleVersionDeletion(t.Context(), c, ref, kms.VersionRef{ID: old}, time.Time{})
		},
		"ScheduleVault": func(c *kms.Call) (any, error) {
			return w.ScheduleVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault}, time.Time{})
		},
	} {
		ask := func() any {
			c := tokened(t, w, w.Tenant, name, "t", 1)
			defer c.End()
			out, err := call(c)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return out
		}
		if diff := cmp.Diff(ask(), ask()); diff != "" {
			t.Errorf("%s: -first +repeat:\n%s", name, diff)
		}
	}
}

func TestConcurrentRepeatsHaveOneEffect(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[keys.ID]int{}
	for range 200 {
		wg.Go(func() {
			v, err := rotateWith(t, w, k.ID, "t", 1)
			if err != nil {
				t.Errorf("rotate: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got[v.ID]++
		})
	}
	wg.Wait()
	if n := seen(t, w, k.ID).Versions; n != 2 || len(got) != 1 {
		t.Errorf("%d versions, %d different answers; want 2 and 1", n, len(got))
	}
}

// TestATokenLives24HoursOfDomainTime repeats a token just before its end and at it.
func TestATokenLives24HoursOfDomainTime(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	first, err := rotateWith(t, w, k.ID, "t", 1)
	if err != nil {
		t.Fatal(err)
	}
	advance(t, w, 24*time.Hour-time.Microsecond)
	if v, err := rotateWith(t, w, k.ID, "t", 1); err != nil || v.ID != first.ID {
		t.Errorf("before its end: %v, %v", v, err)
	}
	w.Clock.Add(time.Microsecond)
	v, err := rotateWith(t, w, k.ID, "t", 2)
	if err != nil || v.ID == first.ID {
		t.Fatalf("at its end, with another request: %v, %v", v, err)
	}
	if again, err := rotateWith(t, w, k.ID, "t", 2); err != nil || again.ID != v.ID {
		t.Errorf("its second life: %v, %v", again, err)
	}
	advance(t, w, 25*time.Hour)
	stored(t, w, func(tx store.Tx) error {
		err := tx.Load(&store.Token{Principal: w.Tenant.Principal, Operation: "CreateKeyVersion", Token: "t"})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a token that is over is still stored: %v", err)
		}
		return nil
	})
}

// TestATokenWhoseResultIsGone erases what a token made: the version, its key, its vault.
func TestATokenWhoseResultIsGone(t *testing.T) {
	t.Parallel()
	profile := kmstest.Profile
	profile.TokenLife = 100 * keys.Day
	w := kmstest.New(t)
	k := newAES(t, w)
	var v *kms.Version
	repeat := func() error {
		c := tokened(t, w, w.Tenant, "CreateKeyVersion", "t", 1)
		defer c.End()
		c.Profile = &profile
		var err error
		v, err = w.Rotate(t.Context(), c, kms.KeyRef{ID: k.ID})
		return err
	}
	want(t, "the first", repeat(), "")
	id := v.ID
	rotate(t, w, k.ID)
	scheduleVersion(t, w, k.ID, id, 10)
	want(t, "while its deletion is scheduled", repeat(), "")
	w.Clock.Add(10 * keys.Day)
	want(t, "once it is due", repeat(), keys.KindToken)
	advance(t, w, time.Hour)
	want(t, "once it is erased", repeat(), keys.KindToken)
}

// TestARepeatComesBeforeEverythingElse repeats a token when the throttle, the etag, the key's
// state, the spacing of versions and the caller's rights would all refuse.
func TestARepeatComesBeforeEverythingElse(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	spaced := kmstest.Profile
	spaced.VersionSpacing = 7 * keys.Day
	advance(t, w, 7*keys.Day)
	admitted := 0
	call := func(token, ifMatch string) error {
		c := tokened(t, w, w.Tenant, "CreateKeyVersion", token, 1)
		defer c.End()
		c.Profile, c.IfMatch = &spaced, ifMatch
		c.Admit = func() error {
			if admitted++; admitted > 1 {
				return &keys.Error{Kind: keys.KindThrottled}
			}
			return nil
		}
		return second(w.Rotate(t.Context(), c, kms.KeyRef{ID: k.ID}))
	}
	want(t, "the first", call("t", ""), "")
	want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	want(t, "the repeat", call("t", "stale"), "")
	if admitted != 1 {
		t.Errorf("the throttle was asked %d times, want once", admitted)
	}
	want(t, "another", call("u", ""), keys.KindThrottled)
}

func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	_, err := rotateWith(t, w, k.ID, "t", 1)
	want(t, "of a disabled key", err, keys.KindState)
	want(t, "enable", change(t, w, k.ID, keys.EnableKey), "")
	_, err = rotateWith(t, w, k.ID, "t", 2)
	want(t, "of an enabled key, with the same token and another request", err, "")
}

// TestTokensKeepNoSecret looks for the sealed material and its shadow in the stored token.
func TestTokensKeepNoSecret(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.ECP256))
	v, err := rotateWith(t, w, k.ID, "t", 1)
	if err != nil {
		t.Fatal(err)
	}
	if v.Sealed != nil {
		t.Error("an answer has sealed material")
	}
	stored(t, w, func(tx store.Tx) error {
		rec := store.Token{Principal: w.Tenant.Principal, Operation: "CreateKeyVersion", Token: "t"}
		if err := tx.Load(&rec); err != nil {
			return err
		}
		row, err := store.LoadVersion(tx, v.ID)
		if err == nil && (len(row.Sealed) == 0 || bytes.Contains(rec.Result, []byte(jsonOf(t, row.Sealed)))) {
			t.Errorf("the stored result has the sealed material: %s", rec.Result)
		}
		if rec.Type != keys.TypeVersion || rec.ID != v.ID {
			t.Errorf("the token is of %s %s", rec.Type, rec.ID)
		}
		return err
	})
}

// TestARepeatedRevocationWaitsAsTheFirst repeats, with its token, a Disable that still waits
// for a call in flight: the repeat must not answer before that call's end either.
func TestARepeatedRevocationWaitsAsTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		k := newAES(t, w)
		inFlight := w.Call(t, w.Tenant)
		if _, err := w.Encrypt(t.Context(), inFlight, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}, Plaintext: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		disable := func(done chan<- error) {
			c := tokened(t, w, w.Tenant, "DisableKey", "t", 1)
			defer c.End()
			done <- second(w.ChangeKeyState(context.Background(), c, kms.KeyRef{ID: k.ID}, keys.DisableKey))
		}
		first, repeat := make(chan error, 1), make(chan error, 1)
		go disable(first)
		synctest.Wait()
		go disable(repeat)
		synctest.Wait()
		select {
		case err := <-repeat:
			t.Fatalf("the repeated Disable answered (%v) while a call that used the key had not", err)
		default:
		}
		inFlight.End()
		want(t, "the first", <-first, "")
		want(t, "the repeat", <-repeat, "")
	})
}

// slowObserver holds up what the service hears of commits, while it has a gate.
type slowObserver struct {
	store.Store
	store.Observer
	gate chan struct{}
}

func (s *slowObserver) Observe(o store.Observer) {
	s.Observer = o
	s.Store.Observe(s)
}

func (s *slowObserver) Committed(changes []store.Change) func() {
	if s.gate != nil {
		<-s.gate
	}
	return s.Observer.Committed(changes)
}

// TestARepeatIsNotAheadOfTheFirst repeats a Disable when its commit is made and the keyring has
// not heard of it: an answer now would come before the key's snapshot is retired.
func TestARepeatIsNotAheadOfTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := &slowObserver{}
		w := kmstest.New(t, kmstest.With(func(c *kms.Config) { st.Store, c.Store = c.Store, st }))
		k := newAES(t, w)
		gate := make(chan struct{})
		st.gate = gate
		answered := make(chan error, 2)
		for range 2 {
			go func() {
				c := tokened(t, w, w.Tenant, "DisableKey", "t", 1)
				defer c.End()
				answered <- second(w.ChangeKeyState(context.Background(), c, kms.KeyRef{ID: k.ID}, keys.DisableKey))
			}()
			synctest.Wait()
		}
		if len(answered) != 0 {
			t.Error("one of two Disables answered before the keyring had heard of it")
		}
		close(gate)
		want(t, "one", <-answered, "")
		want(t, "the other", <-answered, "")
	})
}

// TestRepeatsAreRecorded finds one event of the effect and one of each repeat.
func TestRepeatsAreRecorded(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	v, err := rotateWith(t, w, k.ID, "t", 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := rotateWith(t, w, k.ID, "t", 1); err != nil {
			t.Fatal(err)
		}
	}
	effects, repeats := 0, 0
	for _, ev := range events(t, w) {
		if ev.Operation != "CreateKeyVersion" {
			continue
		}
		if ev.Outcome != audit.OutcomeOK || ev.Version != v.ID {
			t.Errorf("an event is %+v", ev)
		}
		if ev.Revision != 0 {
			effects++
		} else {
			repeats++
		}
	}
	if effects != 1 || repeats != 2 {
		t.Errorf("%d effects and %d repeats are recorded, want 1 and 2", effects, repeats)
	}
	w.Audit.Fail(errors.New("the disk is full"))
	_, err = rotateWith(t, w, k.ID, "t", 1)
	w.Audit.Fail(nil)
	want(t, "a repeat that cannot be recorded", err, keys.KindUnavailable)
}
