// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// hierarchy holds the opened key-encryption keys: root key → system KEK → tenant KEK → vault
// KEK → version material. The root key stays in its seal. Each KEK has generations: what is sealed
// says of which its KEK is, and a KEK's row says of which the one above is. A KEK that is replaced
// is there until nothing is sealed under it any more.
type hierarchy struct {
	rand  io.Reader
	store store.Store
	root  seal.Seal

	mu     sync.RWMutex
	keks   map[kekName]secret.Bytes // guarded by mu; a KEK never changes under its name
	epoch  uint64                   // guarded by mu; counts what was dropped
	system atomic.Pointer[systemKEK]
	stale  atomic.Bool // the system KEK may have been replaced
}

// systemKEK is the newest system KEK, and what is derived from it.
type systemKEK struct {
	generation int
	kek        secret.Bytes
	sessions   *sessions
}

// kekName names a KEK; the zero owner is the system.
type kekName struct {
	owner      keys.ID
	generation int
}

// firstGeneration is the generation of a KEK that is made together with what it is for.
const firstGeneration = 1

var errNotInitialized = errors.New("the database holds no keys of Claviger: run \"claviger init\" once to create them")

// errResealed says that what was about to be stored is sealed under a KEK that was replaced
// meanwhile: it must be sealed anew.
var errResealed = errors.New("sealed under a key-encryption key that was replaced meanwhile")

// errNoKEK says that a KEK is not there that something is sealed under.
var errNoKEK = errors.New("a key-encryption key is missing")

// resealTries bounds how often something is sealed anew because its KEK was replaced.
const resealTries = 4

func systemAAD(generation int) []byte {
	return seal.AAD{Purpose: seal.PurposeSystemKEK, Generation: int64(generation)}.Bytes()
}

// createSystemKEK makes the system KEK in an empty store, under the root key.
func createSystemKEK(ctx context.Context, st store.Store, root seal.Seal, rand io.Reader, now time.Time) error {
	rec, kek, err := newSystemKEK(ctx, root, rand, firstGeneration, now)
	if err != nil {
		return err
	}
	kek.Wipe()
	_, err = st.Update(ctx, func(tx store.Tx) error { return tx.Put(rec) })
	if errors.Is(err, store.ErrExists) {
		return errors.New("the database is initialized already")
	}
	return err
}

func newSystemKEK(ctx context.Context, root seal.Seal, rand io.Reader, generation int, now time.Time) (*store.KEK, secret.Bytes, error) {
	kek, err := seal.NewKey(rand)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	wrapped, err := root.Wrap(ctx, kek, systemAAD(generation))
	if err != nil {
		kek.Wipe()
		return nil, secret.Bytes{}, fmt.Errorf("wrap system KEK: %w", err)
	}
	return &store.KEK{Generation: generation, Root: root.ID(), Sealed: wrapped, CreatedAt: now}, kek, nil
}

// openHierarchy opens the system KEK. A root key other than the one that sealed the store is
// refused with both of their names.
func openHierarchy(ctx context.Context, cfg Config) (*hierarchy, error) {
	h := &hierarchy{rand: cfg.Rand, store: cfg.Store, root: cfg.Seal, keks: map[kekName]secret.Bytes{}}
	return h, h.refresh(ctx, cfg.Wall)
}

// refresh opens the system KEK that is in force.
func (h *hierarchy) refresh(ctx context.Context, wall func() time.Time) error {
	h.stale.Store(false)
	var rec store.KEK
	err := h.store.View(ctx, func(tx store.Tx) error { return tx.Load(&rec) })
	if errors.Is(err, store.ErrNotFound) {
		return errNotInitialized
	}
	if err != nil {
		h.stale.Store(true)
		return fmt.Errorf("load system KEK: %w", err)
	}
	if now := h.system.Load(); now != nil && now.generation == rec.Generation {
		return nil
	}
	kek, err := h.kek(ctx, keys.ID{}, keys.ID{}, rec.Generation)
	if err != nil {
		h.stale.Store(true)
		return err
	}
	derived, err := newSessions(h.rand, wall, kek)
	if err != nil {
		return err
	}
	if several, ok := h.root.(interface{ Use(id string) }); ok {
		several.Use(rec.Root)
	}
	h.system.Store(&systemKEK{generation: rec.Generation, kek: kek, sessions: derived})
	return nil
}

func (h *hierarchy) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, kek := range h.keks {
		kek.Wipe()
		delete(h.keks, name)
	}
	h.system.Load().kek.Wipe()
}

// remember keeps an opened KEK once the record that holds it is stored. Of two that open the
// same record at once one is kept.
func (h *hierarchy) remember(owner keys.ID, generation int, kek secret.Bytes) secret.Bytes {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := kekName{owner, generation}
	if have, ok := h.keks[name]; ok {
		kek.Wipe()
		return have
	}
	h.keks[name] = kek
	return kek
}

// drop forgets the KEKs of an owner whose KEKs are others, or no more. They are not wiped: a seal
// under way may read them.
func (h *hierarchy) drop(owner keys.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	for name := range h.keks {
		if name.owner == owner {
			delete(h.keks, name)
		}
	}
	if owner.IsZero() {
		h.stale.Store(true)
	}
}

// forget drops every KEK but the system's.
func (h *hierarchy) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	clear(h.keks)
	h.stale.Store(true)
}

func kekAAD(tenant, vault keys.ID, generation int) []byte {
	purpose := seal.PurposeTenantKEK
	if !vault.IsZero() {
		purpose = seal.PurposeVaultKEK
	}
	return seal.AAD{Purpose: purpose, Tenant: tenant, Vault: vault, Generation: int64(generation)}.Bytes()
}

// parent is an opened KEK and its generation, to seal another under.
type parent struct {
	kek        secret.Bytes
	generation int
}

// newKEK makes a KEK of a tenant (vault zero) or of a vault, sealed under its parent.
func (h *hierarchy) newKEK(under parent, tenant, vault keys.ID, generation int, now time.Time) (*store.KEK, secret.Bytes, error) {
	kek, err := seal.NewKey(h.rand)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	rec := &store.KEK{Owner: orElse(vault, tenant), Generation: generation, CreatedAt: now}
	return rec, kek, h.wrapKEK(rec, under, tenant, vault, kek)
}

// wrapKEK seals a KEK into its record.
func (h *hierarchy) wrapKEK(rec *store.KEK, under parent, tenant, vault keys.ID, kek secret.Bytes) (err error) {
	if rec.Sealed, err = seal.SealBox(h.rand, under.kek, kekAAD(tenant, vault, rec.Generation), kek); err != nil {
		return fmt.Errorf("seal KEK: %w", err)
	}
	rec.Root = strconv.Itoa(under.generation)
	return nil
}

// parentOf is the generation of the KEK that a record is sealed under.
func parentOf(rec *store.KEK) (int, error) {
	if rec.Root == "" {
		return firstGeneration, nil
	}
	n, err := strconv.Atoi(rec.Root)
	if err != nil || n < firstGeneration {
		return 0, fmt.Errorf("KEK %d of %s does not say what it is sealed under", rec.Generation, rec.Owner)
	}
	return n, nil
}

// kek opens a generation of the KEK of a vault, of a tenant (vault zero) or of the system (both
// zero), from memory or the store. [store.ErrNotFound] is in the chain where it is no more.
func (h *hierarchy) kek(ctx context.Context, tenant, vault keys.ID, generation int) (secret.Bytes, error) {
	owner := orElse(vault, tenant)
	if generation < firstGeneration { // the store would take it for the newest
		return secret.Bytes{}, fmt.Errorf("KEK %d of %s: %w", generation, ownerName(owner), store.ErrNotFound)
	}
	h.mu.RLock()
	kek, ok := h.keks[kekName{owner, generation}]
	epoch := h.epoch
	h.mu.RUnlock()
	if ok {
		return kek, nil
	}
	rec := store.KEK{Owner: owner, Generation: generation}
	if err := h.store.View(ctx, func(tx store.Tx) error { return tx.Load(&rec) }); err != nil {
		return secret.Bytes{}, fmt.Errorf("load KEK %d of %s: %w", generation, ownerName(owner), err)
	}
	kek, err := h.open(ctx, &rec, tenant, vault)
	if err != nil {
		return secret.Bytes{}, err
	}
	h.mu.RLock()
	moved := h.epoch != epoch
	h.mu.RUnlock()
	if moved {
		return kek, nil // it may be no more
	}
	return h.remember(owner, generation, kek), nil
}

// open opens the KEK in a record.
func (h *hierarchy) open(ctx context.Context, rec *store.KEK, tenant, vault keys.ID) (secret.Bytes, error) {
	if rec.Owner.IsZero() {
		if err := seal.CheckRoot(h.root, rec.Root); err != nil {
			return secret.Bytes{}, err
		}
		kek, err := h.root.Unwrap(ctx, rec.Sealed, systemAAD(rec.Generation))
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("unwrap system KEK %d with root key %s: %w", rec.Generation, rec.Root, err)
		}
		return kek, nil
	}
	above, err := parentOf(rec)
	if err != nil {
		return secret.Bytes{}, err
	}
	under, of := tenant, keys.ID{}
	if vault.IsZero() {
		under = keys.ID{}
	}
	by, err := h.kek(ctx, under, of, above)
	if err != nil {
		return secret.Bytes{}, err
	}
	kek, err := seal.OpenBox(by, kekAAD(tenant, vault, rec.Generation), rec.Sealed)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open KEK %d of %s: %w", rec.Generation, ownerName(rec.Owner), err)
	}
	return kek, nil
}

// ownerName names the owner of a KEK, for people.
func ownerName(owner keys.ID) string {
	if owner.IsZero() {
		return "the system"
	}
	return owner.String()
}

// systemKEK is the system's KEK that is in force, as far as this node knows.
func (s *Service) systemKEK() parent {
	now := s.hierarchy.system.Load()
	return parent{now.kek, now.generation}
}

// sessions makes and opens session tokens by the system KEK that is in force.
func (s *Service) sessions() *sessions { return s.hierarchy.system.Load().sessions }

// refreshSystem makes sure of the system KEK that is in force, if it may have been replaced.
func (s *Service) refreshSystem(ctx context.Context) error {
	if !s.hierarchy.stale.Load() {
		return nil
	}
	return s.hierarchy.refresh(ctx, s.guard.wall)
}

// tenantKEK opens a tenant's KEK.
func (s *Service) tenantKEK(ctx context.Context, tenant keys.ID, generation int) (secret.Bytes, error) {
	return s.hierarchy.kek(ctx, tenant, keys.ID{}, generation)
}

// tenantNow opens the KEK of a tenant that is in force.
func (s *Service) tenantNow(ctx context.Context, tenant keys.ID) (parent, error) {
	t := &keys.Tenant{ID: tenant}
	if err := s.store.View(ctx, func(tx store.Tx) error { return tx.Load(t) }); err != nil {
		return parent{}, notFound(err, keys.TypeTenant)
	}
	kek, err := s.tenantKEK(ctx, tenant, t.KEKGeneration)
	return parent{kek, t.KEKGeneration}, replaced(err)
}

// vaultKEK opens a vault's KEK of a generation.
func (s *Service) vaultKEK(ctx context.Context, tenant, vault keys.ID, generation int) (secret.Bytes, error) {
	return s.hierarchy.kek(ctx, tenant, vault, generation)
}

// vaultParent opens a vault's KEK to seal under.
func (s *Service) vaultParent(ctx context.Context, v *keys.Vault, generation int) (parent, error) {
	kek, err := s.vaultKEK(ctx, v.Tenant, v.ID, generation)
	return parent{kek, generation}, replaced(err)
}

// inForce refuses what was sealed under another KEK than the one in force, as the transaction that
// is about to store it sees that.
func inForce(sealed, now int) error {
	if sealed != now {
		return errResealed
	}
	return nil
}

// replaced says of a KEK that is no more that another is in force by now.
func replaced(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %w", errResealed, err)
	}
	return err
}

// tenantInForce is inForce for a tenant's KEK.
func tenantInForce(tx store.Tx, tenant keys.ID, generation int) error {
	t, err := store.LoadTenant(tx, tenant)
	if err != nil {
		return notFound(err, keys.TypeTenant)
	}
	return inForce(generation, t.KEKGeneration)
}

// kekInForce is inForce for a record of a KEK, which a tenant's, or the system's, seals.
func kekInForce(tx store.Tx, rec *store.KEK, tenant keys.ID) error {
	above, err := parentOf(rec)
	if err != nil {
		return err
	}
	if rec.Owner != tenant {
		return tenantInForce(tx, tenant, above)
	}
	var system store.KEK
	if err := tx.Load(&system); err != nil {
		return err
	}
	return inForce(above, system.Generation)
}

// deleteKEKs deletes every KEK of an owner.
func deleteKEKs(tx store.Tx, owner keys.ID) error {
	for {
		rec := store.KEK{Owner: owner}
		err := tx.Load(&rec)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := tx.Delete(&rec); err != nil {
			return err
		}
	}
}

// retireKEKs deletes the KEKs of an owner that are older than a generation, and reports how many
// there were.
func retireKEKs(tx store.Tx, owner keys.ID, now int) (n int, err error) {
	for g := now - 1; g >= firstGeneration; g-- {
		rec := store.KEK{Owner: owner, Generation: g}
		err := tx.Load(&rec)
		if errors.Is(err, store.ErrNotFound) {
			return n, nil // generations end in the order in which they were made
		}
		if err != nil {
			return n, err
		}
		if err := tx.Delete(&rec); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
