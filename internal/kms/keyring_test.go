// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// revocation takes something away from calls by an alias of a key in a vault.
type revocation struct {
	name   string
	revoke func(*scene) error
	kind   keys.Kind // how the next call is refused
}

func revocations() []revocation {
	system := func(s *scene) *kms.Call { return s.System("revoke") }
	inTenant := func(f func(*scene, *kms.Call) error) func(*scene) error {
		return func(s *scene) error {
			c := s.Call(s.t, s.Tenant)
			defer c.End()
			return f(s, c)
		}
	}
	return []revocation{
		{"DisableKey", inTenant(func(s *scene, c *kms.Call) error {
			return second(s.ChangeKeyState(context.Background(), c, s.ref(s.key.ID), keys.DisableKey))
		}), keys.KindState},
		{"ScheduleKeyDeletion", inTenant(func(s *scene, c *kms.Call) error {
			return second(s.ScheduleKeyDeletion(context.Background(), c, s.ref(s.key.ID), time.Time{}))
		}), keys.KindState},
		{"ScheduleVersionDeletion", inTenant(func(s *scene, c *kms.Call) error {
			return second(s.ScheduleVersionDeletion(context.Background(), c, s.ref(s.key.ID), kms.VersionRef{ID: s.old.ID}, time.Time{}))
		}), keys.KindState},
		{"DeleteMaterial", inTenant(func(s *scene, c *kms.Call) error {
			return second(s.DeleteMaterial(context.Background(), c, s.ref(s.key.ID)))
		}), keys.KindState},
		{"ScheduleVaultDeletion", inTenant(func(s *scene, c *kms.Call) error {
			return second(s.ScheduleVaultDeletion(context.Background(), c, kms.VaultRef{ID: s.vault}, time.Time{}))
		}), keys.KindState},
		{"DeleteAlias", inTenant(func(s *scene, c *kms.Call) error { return s.DeleteAlias(context.Background(), c, s.alias) }), keys.KindNotFound},
		{"UpdateAlias", inTenant(func(s *scene, c *kms.Call) error {
			return s.UpdateAlias(context.Background(), c, s.alias, kms.KeyRef{ID: s.ec.ID})
		}), keys.KindUnsupported},
		{"SetCredentialDisabled", func(s *scene) error {
			return s.SetCredentialDisabled(context.Background(), system(s), s.credential.ID, true)
		}, keys.KindUnauthenticated},
		{"RemoveCredential", func(s *scene) error {
			return s.RemoveCredential(context.Background(), system(s), s.credential.ID)
		}, keys.KindUnauthenticated},
		{"SetRole", func(s *scene) error {
			return s.SetRole(context.Background(), system(s), s.member.Principal, identity.Auditor, keys.ID{})
		}, keys.KindDenied},
		{"DeletePrincipal", func(s *scene) error {
			return s.DeletePrincipal(context.Background(), system(s), s.member.Principal)
		}, keys.KindUnauthenticated},
	}
}

// revocable is a scene for r.
func (r *revocation) revocable(t testing.TB, w *kmstest.World) *scene {
	s := newScene(t, w, newVault(t, w, "scene"))
	if r.name == "DeleteMaterial" {
		s.imported()
	}
	s.giveAlias()
	s.giveMember()
	return s
}

// useByAlias encrypts with an old version of the scene's key as the scene's member. The call is
// the caller's to end.
func useByAlias(s *scene) (*kms.Call, error) {
	c := &kms.Call{Dialect: "test", Region: kmstest.Region, Profile: &kmstest.Profile}
	cred, err := s.Authenticate(context.Background(), c, identity.AccessKey, s.member.AccessKey)
	if err != nil {
		return c, err
	}
	if cred.Disabled {
		return c, &keys.Error{Kind: keys.KindUnauthenticated}
	}
	c.Who = cred.Caller
	_, err = s.Encrypt(context.Background(), c, kms.EncryptRequest{Key: kms.KeyRef{Alias: s.alias}, Version: kms.VersionRef{ID: s.old.ID}})
	return c, err
}

// TestEachRevocationWaitsForCallsInFlight holds a call open through every kind of revocation:
// it must not be answered before the call ends, the next call must be refused at once, and a
// keyring that has forgotten the snapshot for want of room waits all the same.
func TestEachRevocationWaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.KeyringLimit = limit }))
			for _, r := range revocations() {
				s := r.revocable(t, w)
				inFlight, err := useByAlias(s)
				if err != nil {
					t.Fatalf("%s: before it: %v", r.name, err)
				}
				answered := make(chan error, 1)
				go func() { answered <- r.revoke(s) }()
				synctest.Wait()
				select {
				case err := <-answered:
					t.Errorf("%s, limit %d, answered (%v) while a call that used what it takes away had not ended", r.name, limit, err)
					answered <- err
				default:
				}
				next, err := useByAlias(s)
				next.End()
				want(t, r.name+": the next call", err, r.kind)
				inFlight.End()
				want(t, r.name, <-answered, "")
			}
		})
	}
}

// TestARepeatedDisableWaitsToo disables a key that is disabled already, while the first time
// still waits.
func TestARepeatedDisableWaitsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		s := newScene(t, w, w.Tenant.Vault)
		s.giveAlias()
		s.giveMember()
		inFlight, err := useByAlias(s)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 2)
		for range 2 {
			go func() { answered <- change(t, w, s.key.ID, keys.EnsureDisabled) }()
			synctest.Wait()
		}
		if n := len(answered); n != 0 {
			t.Errorf("%d of two Disables answered while a call that used the key had not ended", n)
		}
		inFlight.End()
		want(t, "the first", <-answered, "")
		want(t, "the second", <-answered, "")
	})
}

// TestALoadOvertakenByARevocationIsNotUsed parks the load of each kind of snapshot between its
// read and its insert while the revocation is answered.
func TestALoadOvertakenByARevocationIsNotUsed(t *testing.T) {
	t.Parallel()
	kinds := map[string]keys.Type{
		"DisableKey": keys.TypeKey, "ScheduleKeyDeletion": keys.TypeKey, "ScheduleVersionDeletion": keys.TypeVersion,
		"DeleteMaterial": keys.TypeKey, "ScheduleVaultDeletion": keys.TypeVault, "DeleteAlias": keys.TypeAlias, "UpdateAlias": keys.TypeAlias,
		"RemoveCredential": keys.TypeCredential, "SetCredentialDisabled": keys.TypeCredential,
		"SetRole": keys.TypeCredential, "DeletePrincipal": keys.TypeCredential,
	}
	w := kmstest.New(t)
	for _, r := range revocations() {
		w.ParkLoadsOf("", keys.ID{}, nil)
		s := r.revocable(t, w)
		if err := w.Forget(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		revoked := make(chan error, 1)
		parked := false
		w.ParkLoadsOf(kinds[r.name], keys.ID{}, func() {
			if !parked { // the revocation's own loads come through here as well
				parked = true
				go func() { revoked <- r.revoke(s) }()
				if err := <-revoked; err != nil {
					t.Errorf("%s: %v", r.name, err)
				}
			}
		})
		c, err := useByAlias(s)
		c.End()
		if !parked {
			t.Errorf("%s: no load was parked", r.name)
		}
		want(t, r.name+": the overtaken call", err, r.kind)
		c, err = useByAlias(s)
		c.End()
		want(t, r.name+": the next call", err, r.kind)
	}
}

// hookedRand runs a function before it is read from, and keeps what it gave to reads of one size.
type hookedRand struct {
	before atomic.Pointer[func()]
	watch  atomic.Int64
	read   []byte // shared with the reader
}

func (r *hookedRand) Read(p []byte) (int, error) {
	if f := r.before.Load(); f != nil {
		(*f)()
	}
	if int64(len(p)) == r.watch.Load() {
		r.read = p
	}
	return io.ReadFull(rand.Reader, p)
}

// TestMaterialInUseIsNotWiped drops a key's snapshots, for want of room and by a change of the
// key, while a call is in the middle of encrypting with it.
func TestMaterialInUseIsNotWiped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		random := &hookedRand{}
		w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.KeyringLimit, c.Rand = 1, random }))
		k, other := newAES(t, w), newAES(t, w)
		changed := make(chan error, 1)
		once := func() {
			random.before.Store(nil)
			if _, err := encrypt(t, w, other.ID); err != nil { // which makes room for itself
				t.Error(err)
			}
			go func() { changed <- change(t, w, k.ID, keys.DisableKey) }()
			synctest.Wait()
		}
		random.before.Store(&once)
		ct, err := encrypt(t, w, k.ID)
		want(t, "encrypt", err, "")
		want(t, "disable", <-changed, "")
		want(t, "enable", change(t, w, k.ID, keys.EnableKey), "")
		want(t, "decrypt what was made under way", decrypts(w, t, ct), "")
	})
}

// TestWhatIsErasedLeavesTheMemory looks into the keyring after a version's erasure was scheduled.
func TestWhatIsErasedLeavesTheMemory(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	if _, err := encrypt(t, w, k.ID); err != nil {
		t.Fatal(err)
	}
	rotate(t, w, k.ID)
	if !w.RemembersMaterial(k.Primary) {
		t.Fatal("the material is not in the keyring: the test shows nothing")
	}
	scheduleVersion(t, w, k.ID, k.Primary, 7)
	if w.RemembersMaterial(k.Primary) || w.Remembers(keys.TypeVersion, k.Primary) {
		t.Error("the keyring still has the version")
	}
}

// TestAnAnswerThatIsNotGivenIsWiped makes a data key whose audit event cannot be recorded, and
// looks at the memory that it was read into.
func TestAnAnswerThatIsNotGivenIsWiped(t *testing.T) {
	t.Parallel()
	random := &hookedRand{}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Rand = random }))
	k := newAES(t, w)
	const size = 77 // as nothing else
	dataKey := func() error {
		return as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.GenerateDataKey(t.Context(), c, kms.DataKeyRequest{Key: kms.KeyRef{ID: k.ID}, Bytes: size}))
		})
	}
	random.watch.Store(size)
	w.Audit.Fail(errors.New("the disk is full"))
	want(t, "without its record", dataKey(), keys.KindUnavailable)
	w.Audit.Fail(nil)
	if random.read == nil || !bytes.Equal(random.read, make([]byte, size)) {
		t.Errorf("the data key is still there: %x", random.read)
	}
	want(t, "with its record", dataKey(), "")
	if bytes.Equal(random.read, make([]byte, size)) {
		t.Error("a data key that is given was wiped: the test shows nothing")
	}
}

// TestOneCallMayUseAndThenChange uses a key and then changes it in the same call, which must not
// wait for itself.
func TestOneCallMayUseAndThenChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		k := newAES(t, w)
		must(t, w, func(c *kms.Call) error {
			if _, err := w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}}); err != nil {
				return err
			}
			return second(w.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: k.ID}, keys.DisableKey))
		})
		must(t, w, func(c *kms.Call) error { return w.RemoveCredential(t.Context(), c, c.Who.Credential) })
	})
}

// doubtfulStore answers that the outcome of a commit is unknown, once it was made or instead of
// making it.
type doubtfulStore struct {
	countingStore
	observer store.Observer
	made     bool // whether the doubtful commits are made
	doubt    bool
}

func (s *doubtfulStore) Observe(o store.Observer) {
	s.observer = o
	s.Store.Observe(s)
}

func (s *doubtfulStore) Committed(changes []store.Change) func() {
	if s.doubt {
		s.observer.Unknown(changes)
		return nil
	}
	return s.observer.Committed(changes)
}

func (s *doubtfulStore) Unknown(changes []store.Change) { s.observer.Unknown(changes) }

var errNotMade = errors.New("not made")

func (s *doubtfulStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	if !s.doubt {
		return s.countingStore.Update(ctx, fn)
	}
	var touched []store.Change
	rev, err := s.countingStore.Update(ctx, func(tx store.Tx) error {
		if err := fn(touching{tx, &touched}); err != nil || s.made {
			return err
		}
		return errNotMade
	})
	if errors.Is(err, errNotMade) {
		s.observer.Unknown(touched)
	}
	if err != nil && !errors.Is(err, errNotMade) {
		return rev, err
	}
	return 0, store.ErrUnknown
}

// touching notes the keys that a transaction writes.
type touching struct {
	store.Tx
	changes *[]store.Change
}

func (t touching) Put(rec store.Record) error {
	if k, ok := rec.(*keys.Key); ok {
		*t.changes = append(*t.changes, store.Change{Type: keys.TypeKey, ID: k.ID})
	}
	return t.Tx.Put(rec)
}

// TestAnUnknownOutcomeIsReadAgain disables a key with a commit whose outcome nobody knows.
// Whether it was made or not, the next call asks the database and does as it says; and a later
// revocation waits for a call that still holds what was known before the doubt.
func TestAnUnknownOutcomeIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			st := &doubtfulStore{made: made}
			w := kmstest.New(t, kmstest.With(func(c *kms.Config) { st.Store, c.Store = c.Store, st }))
			k := newAES(t, w)
			inFlight := w.Call(t, w.Tenant)
			if _, err := w.Encrypt(t.Context(), inFlight, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}}); err != nil {
				t.Fatal(err)
			}
			st.doubt = true
			err := change(t, w, k.ID, keys.DisableKey)
			st.doubt = false
			want(t, "the doubtful Disable", err, keys.KindUnavailable)
			if !errors.Is(err, store.ErrUnknown) {
				t.Errorf("its cause is %v", err)
			}
			before := st.calls.Load()
			_, err = encrypt(t, w, k.ID)
			kind := keys.Kind("")
			if made {
				kind = keys.KindState
			}
			want(t, "the next call", err, kind)
			if st.calls.Load() == before {
				t.Error("it did not ask the database")
			}
			answered := make(chan error, 1)
			go func() { answered <- change(t, w, k.ID, keys.EnsureDisabled) }()
			synctest.Wait()
			if len(answered) != 0 {
				t.Error("a later Disable answered while a call from before the doubt had not ended")
			}
			inFlight.End()
			want(t, "the later Disable", <-answered, "")
		})
	}
}

// TestCredentialsOfOneNameAndTwoKinds keeps them apart in memory as the store does.
func TestCredentialsOfOneNameAndTwoKinds(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	if _, err := w.AddRSAKey(t.Context(), w.System("test"), w.Other.Principal, w.Tenant.AccessKey, rsaSPKI(t, w.Other)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for kind, tenant := range map[identity.CredentialKind]keys.ID{identity.AccessKey: w.Tenant.ID, identity.RSAKey: w.Other.ID} {
			c := &kms.Call{Profile: &kmstest.Profile, Region: kmstest.Region}
			cred, err := w.Authenticate(t.Context(), c, kind, w.Tenant.AccessKey)
			if err != nil || cred.Caller.Tenant != tenant {
				t.Errorf("the %s: %+v, %v", kind, cred, err)
			}
			c.End()
		}
	}
	c := &kms.Call{Profile: &kmstest.Profile, Region: kmstest.Region}
	defer c.End()
	_, err := w.Authenticate(t.Context(), c, identity.RSAKey, w.Other.AccessKey)
	want(t, "an access key as an RSA key", err, keys.KindUnauthenticated)
}
