// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
	"claviger/internal/store/check"
)

// StoreReport is what a verification of a whole store found.
type StoreReport struct {
	*check.Result
	Opened int // key versions and credentials whose secrets were opened
}

// VerifyConfig says what to verify. Store and Seal are required.
type VerifyConfig struct {
	Store    store.Store
	Seal     seal.Seal
	Progress check.Progress // may be nil
	Limit    int            // faults after which it ends; 0: 1000
}

// integrity is what a store may know of its own files.
type integrity interface {
	Integrity(ctx context.Context) (faults []string, err error)
}

// VerifyStore reads a whole store, opens every secret in it, and compares what must fit together.
// What does not is in the report; the error is of a store that does not answer, is not initialized,
// or is sealed by another root key. It changes nothing, and reads one moment of the store.
func VerifyStore(ctx context.Context, cfg VerifyConfig) (*StoreReport, error) {
	v := &storeVerifier{ctx: ctx, root: cfg.Seal, lasting: map[kekName]secret.Bytes{}, vault: map[kekName]secret.Bytes{}}
	defer v.close()
	report := &StoreReport{Result: &check.Result{}}
	err := cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		report.Result, err = check.Run(ctx, tx, check.Options{Visitor: v, Progress: cfg.Progress, Limit: orElse(cfg.Limit, 1000)})
		return err
	})
	report.Opened = v.opened
	if err != nil {
		return report, err
	}
	files, ok := cfg.Store.(integrity)
	if !ok {
		return report, nil
	}
	tell := cfg.Progress
	if tell == nil {
		tell = func(check.Stage, int, int) {}
	}
	tell(check.Files, 0, 1) // the database does not tell how far it is
	faults, err := files.Integrity(ctx)
	tell(check.Files, 1, 1)
	for _, text := range faults {
		report.Faults = append(report.Faults, check.Fault{Text: text})
	}
	return report, err
}

// storeVerifier opens what is sealed.
type storeVerifier struct {
	ctx     context.Context
	root    seal.Seal
	system  []secret.Bytes           // of every generation, newest first
	lasting map[kekName]secret.Bytes // those of tenants
	vault   map[kekName]secret.Bytes // those of the vault that is looked at
	opened  int
}

var _ check.Visitor = (*storeVerifier)(nil)

func (v *storeVerifier) close() {
	v.leaveVault()
	for _, kek := range v.lasting {
		kek.Wipe()
	}
	for _, kek := range v.system {
		kek.Wipe()
	}
}

func (v *storeVerifier) leaveVault() {
	for name, kek := range v.vault {
		kek.Wipe()
		delete(v.vault, name)
	}
}

// generations loads the KEKs of an owner, newest first.
func generations(tx store.Tx, owner keys.ID) ([]*store.KEK, error) {
	newest := &store.KEK{Owner: owner}
	switch err := tx.Load(newest); {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	out := []*store.KEK{newest}
	for g := newest.Generation - 1; g > 0; g-- {
		kek := &store.KEK{Owner: owner, Generation: g}
		switch err := tx.Load(kek); {
		case err == nil:
			out = append(out, kek)
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}

// Begin opens the KEKs of the system and of all tenants.
func (v *storeVerifier) Begin(tx store.Tx, tenants []*keys.Tenant) ([]check.Fault, error) {
	rows, err := generations(tx, keys.ID{})
	if err != nil {
		return nil, fmt.Errorf("load system KEK: %w", err)
	}
	if len(rows) == 0 {
		return nil, errNotInitialized
	}
	for _, row := range rows {
		if err := seal.CheckRoot(v.root, row.Root); err != nil {
			return nil, err
		}
		kek, err := v.root.Unwrap(v.ctx, row.Sealed, systemAAD(row.Generation))
		if err != nil {
			return nil, fmt.Errorf("unwrap system KEK with root key %s: %w", v.root.ID(), err)
		}
		v.system = append(v.system, kek)
	}
	var faults []check.Fault
	for _, t := range tenants {
		of := check.Fault{Type: keys.TypeTenant, ID: t.ID}
		faults = append(faults, v.openKEKs(tx, of, t.ID, keys.ID{}, v.system, v.lasting)...)
	}
	return faults, v.settings(tx)
}

// settings reads what the service keeps under a name.
func (v *storeVerifier) settings(tx store.Tx) error {
	set := store.Setting{Name: settingClock}
	switch err := tx.Load(&set); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	_, err := parseClockPoint(set.Value)
	return err
}

// openKEKs opens the KEKs of a tenant (vault zero) or of a vault, each under one of parents.
func (v *storeVerifier) openKEKs(tx store.Tx, of check.Fault, tenant, vault keys.ID, parents []secret.Bytes, into map[kekName]secret.Bytes) (faults []check.Fault) {
	fault := func(form string, args ...any) {
		of.Text = fmt.Sprintf(form, args...)
		faults = append(faults, of)
	}
	owner := of.ID
	rows, err := generations(tx, owner)
	if err != nil {
		fault("read the KEK of %s %s: %v", of.Type, owner, err)
		return faults
	}
	if len(rows) == 0 {
		fault("%s %s has no KEK", of.Type, owner)
	}
	for _, row := range rows {
		opened := false
		for _, parent := range parents {
			kek, err := seal.OpenBox(parent, kekAAD(tenant, vault, row.Generation), row.Sealed)
			if err == nil {
				into[kekName{owner, row.Generation}], opened = kek, true
				break
			}
		}
		if !opened {
			fault("the KEK of %s %s, generation %d, does not open", of.Type, owner, row.Generation)
		}
	}
	return faults
}

// Vault opens the KEKs of a vault; an erased one must have none.
func (v *storeVerifier) Vault(tx store.Tx, row *keys.Vault) ([]check.Fault, error) {
	v.leaveVault()
	of := check.Fault{Type: keys.TypeVault, ID: row.ID}
	if row.State == keys.Deleted {
		left, err := generations(tx, row.ID)
		if err != nil || len(left) == 0 {
			return nil, err
		}
		of.Text = fmt.Sprintf("vault %s is deleted and has a KEK", row.ID)
		return []check.Fault{of}, nil
	}
	var parents []secret.Bytes
	for name, kek := range v.lasting {
		if name.owner == row.Tenant {
			parents = append(parents, kek)
		}
	}
	return v.openKEKs(tx, of, row.Tenant, row.ID, parents, v.vault), nil
}

// Versions opens the material of versions of one key, on all processors.
func (v *storeVerifier) Versions(_ *keys.Vault, k *keys.Key, rows []*keys.Version) []check.Fault {
	texts, opened := make([]string, len(rows)), make([]bool, len(rows))
	var g errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(rows); i += workers {
				opened[i], texts[i] = v.version(k, rows[i])
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
	var faults []check.Fault
	for i, text := range texts {
		if opened[i] {
			v.opened++
		}
		if text != "" {
			faults = append(faults, check.Fault{Type: keys.TypeVersion, ID: rows[i].ID, Text: fmt.Sprintf("key version %s %s", rows[i].ID, text)})
		}
	}
	return faults
}

// version reports whether material was opened and what is wrong with it; what is there and should
// not be, or the other way round, is not its business.
func (v *storeVerifier) version(k *keys.Key, row *keys.Version) (opened bool, text string) {
	switch {
	case row.State == keys.Deleted && len(row.PublicKey) > 0:
		return false, "is deleted and has a public key"
	case row.State == keys.Deleted, len(row.Sealed) == 0 && len(row.Fingerprint) == 0:
		return false, ""
	}
	kek, ok := v.vault[kekName{row.Vault, row.KEKGeneration}]
	if !ok {
		return false, fmt.Sprintf("is sealed under generation %d, of which its vault has no KEK that opens", row.KEKGeneration)
	}
	if len(row.Sealed) == 0 { // it waits for its material
		mark, err := seal.OpenBox(kek, fingerprintAAD(row), row.Fingerprint)
		if err != nil {
			return false, "waits for its material, and the fingerprint of that does not open"
		}
		mark.Wipe()
		return false, ""
	}
	material, err := seal.OpenBox(kek, materialAAD(row), row.Sealed)
	if err != nil {
		return false, "has material that does not open"
	}
	defer material.Wipe()
	if row.Origin == keys.Imported {
		if len(row.Fingerprint) == 0 {
			return true, "is imported and has no fingerprint"
		}
		if same, err := isFingerprint(kek, row, material); err != nil || !same {
			return true, "has a fingerprint that is not its material's"
		}
	}
	return true, fits(k.Spec, row, material)
}

// fits says what is wrong with material as that of a version.
func fits(spec keys.Spec, row *keys.Version, material secret.Bytes) string {
	key, err := engine.Open(spec, material)
	if errors.Is(err, engine.ErrFIPS) {
		return "" // cannot be looked at in this mode
	}
	if err != nil {
		return fmt.Sprintf("has material that is not of a %s key", spec)
	}
	defer key.Wipe()
	var public []byte
	if p := key.Public(); p != nil {
		public = p.DER()
	}
	if !bytes.Equal(public, row.PublicKey) {
		return "has a public key that does not fit its private key"
	}
	return ""
}

// Credentials checks that the rows are as the service wrote them, and opens the secrets.
func (v *storeVerifier) Credentials(_ *keys.Tenant, rows []*identity.CredentialRow) (faults []check.Fault) {
	for _, row := range rows {
		if text := v.credential(row); text != "" {
			faults = append(faults, check.Fault{
				Type: keys.TypeCredential, ID: row.ID, Name: row.Name, Text: fmt.Sprintf("credential %s %s", row.ID, text),
			})
			continue
		}
		v.opened++
	}
	return faults
}

func (v *storeVerifier) credential(row *identity.CredentialRow) string {
	kek, ok := v.lasting[kekName{row.Tenant, row.KEKGeneration}]
	if !ok {
		return fmt.Sprintf("is sealed under generation %d, of which its tenant has no KEK that opens", row.KEKGeneration)
	}
	if !seal.CheckMAC(kek, credentialMAC, row.MAC, credentialFields(row)...) {
		return "was changed by something else than the server"
	}
	if row.Kind == identity.RSAKey {
		if _, err := identity.ParseRSAPublicKey(row.PublicKey); err != nil {
			return "has no RSA public key: " + err.Error()
		}
		return ""
	}
	opened, err := seal.OpenBox(kek, credentialAAD(row), row.Sealed)
	if err != nil {
		return "has a secret that does not open"
	}
	opened.Wipe()
	return ""
}
