// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

func newAES(t testing.TB, w *kmstest.World) *kms.Key {
	t.Helper()
	c := w.Call(t, w.Tenant)
	defer c.End()
	k, err := w.CreateKey(t.Context(), c, kms.NewKey{Spec: keys.AES256, Usages: keys.UsageEncrypt, Origin: keys.Generated, Protection: keys.Software})
	if err != nil {
		t.Fatalf("create key: %v", err)
	}
	return k
}

// encrypt makes a call of its own and returns the error of Encrypt.
func encrypt(t testing.TB, w *kmstest.World, id keys.ID) ([]byte, error) {
	t.Helper()
	c := w.Call(t, w.Tenant)
	defer c.End()
	out, err := w.Encrypt(context.Background(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: id}, Plaintext: []byte("hello")})
	if err != nil {
		return nil, err
	}
	return out.Ciphertext, nil
}

func change(t testing.TB, w *kmstest.World, id keys.ID, act keys.Action) error {
	t.Helper()
	c := w.Call(t, w.Tenant)
	defer c.End()
	_, err := w.ChangeKeyState(context.Background(), c, kms.KeyRef{ID: id}, act)
	return err
}

// TestALoadOvertakenByDisableIsNotUsed parks a load of the key between its read and its
// insert while Disable is answered. The parked call and the next one must both be refused.
func TestALoadOvertakenByDisableIsNotUsed(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	parked, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.ParkLoads(k.ID, func() {
		once.Do(func() {
			close(parked)
			<-proceed
		})
	})
	answer := make(chan error)
	go func() {
		_, err := encrypt(t, w, k.ID)
		answer <- err
	}()
	<-parked
	if err := change(t, w, k.ID, keys.DisableKey); err != nil {
		t.Fatalf("disable: %v", err)
	}
	close(proceed)
	if err := <-answer; !keys.IsKind(err, keys.KindState) {
		t.Errorf("the parked call answered %v, want a refusal by state", err)
	}
	if _, err := encrypt(t, w, k.ID); !keys.IsKind(err, keys.KindState) {
		t.Errorf("the call after Disable answered %v, want a refusal by state", err)
	}
}

// TestDisableWaitsForCallsInFlight holds an answered call open: Disable must not answer
// before the call ends.
func TestDisableWaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		k := newAES(t, w)
		inFlight := w.Call(t, w.Tenant)
		if _, err := w.Encrypt(t.Context(), inFlight, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}, Plaintext: []byte("x")}); err != nil {
			t.Fatalf("encrypt: %v", err)
		}
		disabled := make(chan error, 1)
		go func() { disabled <- change(t, w, k.ID, keys.DisableKey) }()
		synctest.Wait() // everything that can go on has gone on
		select {
		case err := <-disabled:
			t.Fatalf("Disable answered (%v) while a call that used the key had not", err)
		default:
		}
		if _, err := encrypt(t, w, k.ID); !keys.IsKind(err, keys.KindState) {
			t.Errorf("a call received after Disable was committed answered %v", err)
		}
		inFlight.End()
		if err := <-disabled; err != nil {
			t.Fatalf("disable: %v", err)
		}
	})
}

func TestRemovingACredentialWaitsForItsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		inFlight := w.Call(t, w.Tenant)
		removed := make(chan error, 1)
		go func() { removed <- w.RemoveCredential(context.Background(), w.System("test"), inFlight.Who.Credential) }()
		synctest.Wait()
		select {
		case err := <-removed:
			t.Fatalf("RemoveCredential answered (%v) while a call of the credential had not ended", err)
		default:
		}
		c := &kms.Call{Profile: &kmstest.Profile, Region: kmstest.Region}
		if _, err := w.Authenticate(t.Context(), c, identity.AccessKey, w.Tenant.AccessKey); !keys.IsKind(err, keys.KindUnauthenticated) {
			t.Errorf("the removed credential authenticates: %v", err)
		}
		inFlight.End()
		if err := <-removed; err != nil {
			t.Fatalf("remove credential: %v", err)
		}
	})
}

// TestAMutationOfARemovedCredentialIsRefused lets a mutation begin before its credential is
// removed and run after.
func TestAMutationOfARemovedCredentialIsRefused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	c := w.Call(t, w.Tenant)
	c.End() // what do does before its transaction
	if err := w.RemoveCredential(t.Context(), w.System("test"), c.Who.Credential); err != nil {
		t.Fatalf("remove credential: %v", err)
	}
	_, err := w.CreateKey(t.Context(), c, kms.NewKey{Spec: keys.AES256, Usages: keys.UsageEncrypt, Origin: keys.Generated, Protection: keys.Software})
	if !keys.IsKind(err, keys.KindUnauthenticated) {
		t.Errorf("CreateKey answered %v, want unauthenticated", err)
	}
}

// TestConcurrentRotationsAllSucceedInOrder rotates one key from 200 goroutines, encrypting
// under every version, and finds all of it again after a restart.
func TestConcurrentRotationsAllSucceedInOrder(t *testing.T) {
	t.Parallel()
	const rotations = 200
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
	k := newAES(t, w)
	var mu sync.Mutex
	ciphertexts := [][]byte{}
	var wg sync.WaitGroup
	for range rotations {
		wg.Go(func() {
			c := w.Call(t, w.Tenant)
			defer c.End()
			if _, err := w.Rotate(context.Background(), c, kms.KeyRef{ID: k.ID}); err != nil {
				t.Errorf("rotate: %v", err)
				return
			}
			ct, err := encrypt(t, w, k.ID)
			if err != nil {
				t.Errorf("encrypt: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ciphertexts = append(ciphertexts, ct)
		})
	}
	wg.Wait()
	w.Restart(t)
	got, versions, err := w.FindKey(t.Context(), w.System("test"), k.ID)
	if err != nil {
		t.Fatalf("find key: %v", err)
	}
	if len(versions) != rotations+1 || got.Versions != rotations+1 {
		t.Fatalf("%d versions, key counts %d, want %d", len(versions), got.Versions, rotations+1)
	}
	for i, v := range versions {
		if v.Ordinal != i+1 {
			t.Errorf("version %d has ordinal %d", i+1, v.Ordinal)
		}
	}
	if last := versions[len(versions)-1]; got.Primary != last.ID {
		t.Errorf("primary is %s, want the last version %s", got.Primary, last.ID)
	}
	for i, ct := range ciphertexts {
		if err := decrypts(w, t, ct); err != nil {
			t.Errorf("ciphertext %d: %v", i, err)
		}
	}
}

func decrypts(w *kmstest.World, t testing.TB, ct []byte) error {
	c := w.Call(t, w.Tenant)
	defer c.End()
	out, err := w.Decrypt(context.Background(), c, kms.DecryptRequest{Ciphertext: ct})
	if err != nil {
		return err
	}
	if string(out.Plaintext) != "hello" {
		return fmt.Errorf("decrypts to %q", out.Plaintext)
	}
	return nil
}
