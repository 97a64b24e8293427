// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"sync"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// importing is a key without material, and what brings the material.
type importing struct {
	key      keys.ID
	material []byte
	request  kms.ImportMaterialRequest
}

// newImport makes a key that waits for its material, in a vault.
func newImport(t testing.TB, w *kmstest.World, vault keys.ID, spec keys.Spec) *importing {
	t.Helper()
	req := wish(spec)
	req.Vault, req.Origin = vault, keys.Imported
	k := newKey(t, w, req)
	if k.State != keys.PendingImport || !k.Primary.IsZero() || k.Versions != 0 || !k.LastVersionAt.IsZero() {
		t.Fatalf("a key without material is %s, with %d versions", k.State, k.Versions)
	}
	in := &importing{key: k.ID, material: bytes.Repeat([]byte{0x4d}, spec.Bits()/8)}
	p := parameters(t, w, k.ID)
	in.request = kms.ImportMaterialRequest{Key: kms.KeyRef{ID: k.ID}, Wrapped: wrapSM2(t, p.PublicKey, in.material), Token: p.Token}
	return in
}

// parameters asks for a pair of the kind that is made fastest.
func parameters(t testing.TB, w *kmstest.World, key keys.ID) *kms.ImportParameters {
	t.Helper()
	var p *kms.ImportParameters
	must(t, w, func(c *kms.Call) (err error) {
		p, err = w.ImportParameters(t.Context(), c, kms.ImportParametersRequest{Key: kms.KeyRef{ID: key}, Spec: keys.SM2, Wrapping: keys.WrapSM2})
		return err
	})
	return p
}

func wrapSM2(t testing.TB, public, material []byte) []byte {
	t.Helper()
	p, err := engine.OpenPublic(keys.SM2, public)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Wrap(rand.Reader, keys.WrapSM2, secret.Copy(material))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// try imports, with another request than the first where change is not nil.
func (in *importing) try(t testing.TB, w *kmstest.World, change func(*kms.ImportMaterialRequest)) error {
	t.Helper()
	req := in.request
	if change != nil {
		change(&req)
	}
	return as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.ImportMaterial(t.Context(), c, req)) })
}

func (in *importing) bring(t testing.TB, w *kmstest.World, until time.Time) {
	t.Helper()
	want(t, "import", in.try(t, w, func(r *kms.ImportMaterialRequest) { r.ExpiresAt = until }), "")
}

// other wraps other material for the same key.
func (in *importing) other(t testing.TB, w *kmstest.World) func(*kms.ImportMaterialRequest) {
	p := parameters(t, w, in.key)
	wrapped := wrapSM2(t, p.PublicKey, bytes.Repeat([]byte{0x4e}, len(in.material)))
	return func(r *kms.ImportMaterialRequest) { r.Wrapped, r.Token = wrapped, p.Token }
}

func (in *importing) drop(t testing.TB, w *kmstest.World) error {
	t.Helper()
	return as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.DeleteMaterial(t.Context(), c, kms.KeyRef{ID: in.key})) })
}

// opens decrypts what was encrypted under a key before.
func opens(t testing.TB, w *kmstest.World, key keys.ID, ciphertext []byte) error {
	t.Helper()
	ref := kms.KeyRef{ID: key}
	out, err := open(t, w, kms.DecryptRequest{Key: &ref, Ciphertext: ciphertext})
	if err == nil && string(out.Plaintext) != "hello" {
		t.Errorf("opened to %q", out.Plaintext)
	}
	return err
}

func encrypted(t testing.TB, w *kmstest.World, key keys.ID) []byte {
	t.Helper()
	ct, err := encrypt(t, w, key)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

// sealedRow is a version's row.
func sealedRow(t testing.TB, w *kmstest.World, key keys.ID) (out *keys.Version) {
	t.Helper()
	stored(t, w, func(tx store.Tx) error {
		rows, err := tx.Versions(store.VersionQuery{Key: key})
		if len(rows) == 1 {
			out = rows[0]
		}
		return err
	})
	return out
}

func stateOf(t testing.TB, w *kmstest.World, what string, key keys.ID, state keys.State) {
	t.Helper()
	if k := seen(t, w, key); k.State != state {
		t.Errorf("%s: the key is %s, want %s", what, k.State, state)
	}
}

// TestMaterialComesAndGoes follows a key from its first import through the deletion of its
// material and the return of the same.
func TestMaterialComesAndGoes(t *testing.T) {
	t.Parallel()
	for _, spec := range []keys.Spec{keys.AES128, keys.AES256, keys.SM4} {
		w := kmstest.New(t)
		in := newImport(t, w, keys.ID{}, spec)
		want(t, "use before the import", second(encrypt(t, w, in.key)), keys.KindState)
		want(t, "deletion before the import", in.drop(t, w), "")
		in.bring(t, w, time.Time{})
		k := seen(t, w, in.key)
		v := version(t, w, in.key, 1)
		if k.State != keys.Enabled || k.Versions != 1 || k.Primary != v.ID || !k.LastVersionAt.Equal(w.Now()) || v.Origin != keys.Imported || v.Fingerprint != nil {
			t.Errorf("%s after the import: %s, %d versions, version %+v", spec, k.State, k.Versions, v.Version)
		}
		ct := encrypted(t, w, in.key)
		row := sealedRow(t, w, in.key)
		in.bring(t, w, time.Time{}) // the same again changes nothing
		if again := sealedRow(t, w, in.key); !bytes.Equal(again.Sealed, row.Sealed) || seen(t, w, in.key).Versions != 1 {
			t.Errorf("%s: importing the same again sealed it anew or made a version", spec)
		}
		want(t, "other material", in.try(t, w, in.other(t, w)), keys.KindMaterial)

		want(t, "deletion", in.drop(t, w), "")
		stateOf(t, w, "after the deletion", in.key, keys.PendingImport)
		if row := sealedRow(t, w, in.key); row.Sealed != nil || row.Fingerprint == nil || row.State != keys.PendingImport || version(t, w, in.key, 1).State != keys.PendingImport {
			t.Errorf("%s: the version without material is %s, with %d sealed bytes", spec, row.State, len(row.Sealed))
		}
		if w.RemembersMaterial(k.Primary) {
			t.Errorf("%s: deleted material is still in memory", spec)
		}
		want(t, "use after the deletion", opens(t, w, in.key, ct), keys.KindState)
		want(t, "deletion of what is deleted", in.drop(t, w), "")
		want(t, "other material after the deletion", in.try(t, w, in.other(t, w)), keys.KindMaterial)
		stateOf(t, w, "after other material", in.key, keys.PendingImport)
		in.bring(t, w, time.Time{})
		want(t, "old ciphertext when the material is back", opens(t, w, in.key, ct), "")
		if again := version(t, w, in.key, 1); again.ID != v.ID || !again.CreatedAt.Equal(v.CreatedAt) {
			t.Errorf("%s: the version that came back is %s of %v", spec, again.ID, again.CreatedAt)
		}
	}
}

// TestAFingerprintIsNoOracle shows that what is kept of material says nothing without the KEK.
func TestAFingerprintIsNoOracle(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	var seen [][]byte
	for range 2 { // the same material in two keys
		in := newImport(t, w, keys.ID{}, keys.AES256)
		in.bring(t, w, time.Time{})
		row := sealedRow(t, w, in.key)
		sum := sha256.Sum256(in.material)
		if bytes.Contains(row.Fingerprint, sum[:]) || bytes.Contains(row.Sealed, in.material) {
			t.Error("a row holds the material or its hash")
		}
		seen = append(seen, row.Fingerprint)
	}
	if bytes.Equal(seen[0], seen[1]) {
		t.Error("two keys of the same material have the same fingerprint")
	}
}

// TestMaterialIsOverAtItsTime reads the clock to the microsecond, before and after the sweep.
func TestMaterialIsOverAtItsTime(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in := newImport(t, w, keys.ID{}, keys.AES256)
	until := w.Now().Add(time.Hour)
	in.bring(t, w, until)
	if k := seen(t, w, in.key); !k.MaterialExpiresAt.Equal(until) {
		t.Errorf("it is over at %v, want %v", k.MaterialExpiresAt, until)
	}
	due, err := w.Scheduled(t.Context(), w.System("test"), 10)
	if err != nil || len(due) != 1 || due[0].Kind != store.ExpireMaterial || due[0].ID != in.key || !due[0].At.Equal(until) {
		t.Errorf("scheduled: %+v, %v", due, err)
	}
	ct := encrypted(t, w, in.key)
	w.Clock.Add(time.Hour - time.Microsecond)
	want(t, "use a microsecond before", opens(t, w, in.key, ct), "")
	w.Clock.Add(time.Microsecond)
	want(t, "use at its time", opens(t, w, in.key, ct), keys.KindState)
	if e := keys.AsError(opens(t, w, in.key, ct)); e.State != keys.PendingImport {
		t.Errorf("refused for the state %s", e.State)
	}
	stateOf(t, w, "at its time, not swept", in.key, keys.PendingImport)
	if v := version(t, w, in.key, 1); v.State != keys.PendingImport {
		t.Errorf("its version is %s", v.State)
	}
	// What changes the key meanwhile does not make the erasure forgotten.
	name := "renamed"
	must(t, w, func(c *kms.Call) error {
		return second(w.UpdateKey(t.Context(), c, kms.KeyRef{ID: in.key}, kms.KeyUpdate{Name: &name}))
	})
	if row := sealedRow(t, w, in.key); row.Sealed == nil {
		t.Fatal("it was erased without a sweep: this test could not fail")
	}
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("the sweep performed %d, %v", n, err)
	}
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("the next sweep performed %d, %v", n, err)
	}
	if row := sealedRow(t, w, in.key); row.Sealed != nil {
		t.Error("the sealed material is still there")
	}
	done := performed(t, w)
	if len(done) != 1 || done[0].Action != keys.DeleteMaterial || done[0].Key != in.key || done[0].Operation != string(store.ExpireMaterial) || done[0].Outcome != audit.OutcomeOK {
		t.Errorf("recorded: %+v", done)
	}
	if k := seen(t, w, in.key); !k.MaterialExpiresAt.Equal(until) || k.State != keys.PendingImport {
		t.Errorf("after the sweep: %s, over at %v", k.State, k.MaterialExpiresAt)
	}
	in.bring(t, w, w.Now().Add(time.Second))
	want(t, "old ciphertext when the material is back", opens(t, w, in.key, ct), "")
	advance(t, w, 2*time.Second)
	stateOf(t, w, "after its second end", in.key, keys.PendingImport)
	in.bring(t, w, time.Time{})
	advance(t, w, 1000*keys.Day)
	want(t, "material without an end", opens(t, w, in.key, ct), "")
}

// TestTheTimeOfMaterialCanBeChanged imports the same again to move its end, also when it is over
// and not swept.
func TestTheTimeOfMaterialCanBeChanged(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in := newImport(t, w, keys.ID{}, keys.AES256)
	in.bring(t, w, w.Now().Add(time.Hour))
	in.bring(t, w, w.Now().Add(3*time.Hour))
	w.Clock.Add(2 * time.Hour)
	stateOf(t, w, "after its first end", in.key, keys.Enabled)
	want(t, "disable", change(t, w, in.key, keys.DisableKey), "")
	in.bring(t, w, w.Now().Add(2*time.Hour))
	stateOf(t, w, "imported while disabled", in.key, keys.Disabled)
	w.Clock.Add(2 * time.Hour)
	stateOf(t, w, "after the second end", in.key, keys.PendingImport)
	in.bring(t, w, w.Now().Add(time.Hour))
	stateOf(t, w, "imported when it was over", in.key, keys.Enabled)
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("the sweep performed %d, %v", n, err)
	}
	for what, at := range map[string]time.Time{"now": w.Now(), "before now": w.Now().Add(-time.Second)} {
		err := in.try(t, w, func(r *kms.ImportMaterialRequest) { r.ExpiresAt = at })
		want(t, "material that is over "+what, err, keys.KindInvalid)
	}
}

// TestMaterialOfAKeyPendingDeletion deletes material, and lets it come to its time, while a key is
// scheduled, by itself or with its vault. Cancelling leads to where the material is missing.
func TestMaterialOfAKeyPendingDeletion(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for _, cancel := range []keys.Action{keys.CancelKeyDeletion, keys.RestoreKey} {
		for how, lose := range map[string]func(*importing){
			"deleted":        func(in *importing) { want(t, "delete", in.drop(t, w), "") },
			"over and swept": func(*importing) { advance(t, w, 2*time.Hour) },
			"over":           func(*importing) { w.Clock.Add(2 * time.Hour) },
		} {
			what := string(cancel) + " when the material is " + how
			in := newImport(t, w, keys.ID{}, keys.AES256)
			in.bring(t, w, w.Now().Add(time.Hour))
			ct := encrypted(t, w, in.key)
			scheduleKey(t, w, in.key, 10)
			at := inDays(w, 10)
			lose(in)
			if k := seen(t, w, in.key); k.State != keys.PendingDeletion || !k.DeleteAt.Equal(at) {
				t.Errorf("%s: scheduled it is %s until %v", what, k.State, k.DeleteAt)
			}
			if row := sealedRow(t, w, in.key); (row.Sealed == nil) != (how != "over") {
				t.Errorf("%s: the row has %d sealed bytes", what, len(row.Sealed))
			}
			want(t, what+": import meanwhile", in.try(t, w, nil), keys.KindState)
			want(t, what, change(t, w, in.key, cancel), "")
			stateOf(t, w, what, in.key, keys.PendingImport)
			if _, err := w.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if row := sealedRow(t, w, in.key); row.Sealed != nil {
				t.Errorf("%s: the sealed bytes are left over", what)
			}
			stateOf(t, w, what+", swept", in.key, keys.PendingImport)
			in.bring(t, w, time.Time{})
			want(t, what+": old ciphertext", opens(t, w, in.key, ct), "")
		}
	}
	never := newImport(t, w, keys.ID{}, keys.AES256)
	scheduleKey(t, w, never.key, 10)
	want(t, "restoring a key that never had material", change(t, w, never.key, keys.RestoreKey), "")
	stateOf(t, w, "a key that never had material", never.key, keys.PendingImport)
}

func TestMaterialInAVaultPendingDeletion(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "doomed")
	dropped, over := newImport(t, w, vault, keys.AES256), newImport(t, w, vault, keys.AES256)
	dropped.bring(t, w, time.Time{})
	over.bring(t, w, w.Now().Add(time.Hour))
	scheduleVault(t, w, vault, 20)
	want(t, "import into a pending vault", dropped.try(t, w, nil), keys.KindState)
	want(t, "delete in a pending vault", dropped.drop(t, w), "")
	advance(t, w, 2*time.Hour)
	for _, in := range []*importing{dropped, over} {
		stateOf(t, w, "in the pending vault", in.key, keys.PendingDeletion)
		if row := sealedRow(t, w, in.key); row.Sealed != nil {
			t.Error("the sealed bytes are left over")
		}
	}
	must(t, w, func(c *kms.Call) error { return second(w.CancelVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault})) })
	for _, in := range []*importing{dropped, over} {
		stateOf(t, w, "when the vault is back", in.key, keys.PendingImport)
		in.bring(t, w, time.Time{})
	}
	scheduleVault(t, w, vault, 20)
	advance(t, w, 21*keys.Day)
	for _, in := range []*importing{dropped, over} {
		if row := sealedRow(t, w, in.key); row.Sealed != nil || row.Fingerprint != nil || row.State != keys.Deleted {
			t.Errorf("after the vault's end: %s, %d sealed bytes, %d of a fingerprint", row.State, len(row.Sealed), len(row.Fingerprint))
		}
	}
}

// TestAnImportTokenIsOfOneKeyAndTime uses tokens where they do not belong.
func TestAnImportTokenIsOfOneKeyAndTime(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in, neighbour := newImport(t, w, keys.ID{}, keys.AES256), newImport(t, w, keys.ID{}, keys.AES256)
	with := func(token []byte) func(*kms.ImportMaterialRequest) {
		return func(r *kms.ImportMaterialRequest) { r.Token = token }
	}
	want(t, "a neighbour's token", in.try(t, w, with(neighbour.request.Token)), keys.KindImportToken)
	good := in.request.Token
	refusal := in.try(t, w, with(nil)).Error()
	bad := [][]byte{{1}, good[:4], good[:5], good[:40], good[:len(good)-1], append(bytes.Clone(good), 0), bytes.Repeat([]byte{1}, 5000)}
	for _, at := range []int{0, 1, 4, 5, 6, 17, 18, len(good) - 17, len(good) - 1} {
		changed := bytes.Clone(good)
		changed[at] ^= 1
		bad = append(bad, changed)
	}
	for i, token := range bad {
		err := in.try(t, w, with(token))
		want(t, "an altered token", err, keys.KindImportToken)
		if err.Error() != refusal {
			t.Errorf("token %d is refused as %v, another as %s", i, err, refusal)
		}
	}
	second := parameters(t, w, in.key)
	if bytes.Equal(second.PublicKey, parameters(t, w, in.key).PublicKey) {
		t.Error("two calls answer the same public key")
	}
	want(t, "the token of another pair", in.try(t, w, with(second.Token)), keys.KindMaterial)

	until := second.ExpiresAt
	if !until.Equal(w.Now().Add(keys.Day)) {
		t.Errorf("the token is over at %v", until)
	}
	w.Clock.Add(keys.Day - time.Microsecond)
	in.bring(t, w, time.Time{}) // and with the first one, made at the same time
	in.bring(t, w, time.Time{})
	w.Clock.Add(time.Microsecond)
	want(t, "a token at its time", in.try(t, w, nil), keys.KindImportOver)
}

// TestATokenOutlivesTheProcess imports with parameters from before a restart.
func TestATokenOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
	in, gone := newImport(t, w, keys.ID{}, keys.AES256), newImport(t, w, keys.ID{}, keys.SM4)
	gone.bring(t, w, time.Time{})
	want(t, "delete", gone.drop(t, w), "")
	w.Restart(t)
	in.bring(t, w, time.Time{})
	want(t, "use", second(encrypt(t, w, in.key)), "")
	want(t, "other material after a restart", gone.try(t, w, gone.other(t, w)), keys.KindMaterial)
	gone.bring(t, w, time.Time{})
}

// TestEveryFaultOfMaterialIsOneError compares refusals of wrapped material word by word.
func TestEveryFaultOfMaterialIsOneError(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in := newImport(t, w, keys.ID{}, keys.AES256)
	p := parameters(t, w, in.key)
	good := wrapSM2(t, p.PublicKey, in.material)
	faults := map[string][]byte{
		"nothing": nil, "garbage": []byte("garbage"), "cut short": good[:len(good)-1], "too long": append(bytes.Clone(good), 0),
		"for another key": in.request.Wrapped, "short material": wrapSM2(t, p.PublicKey, in.material[1:]),
		"long material": wrapSM2(t, p.PublicKey, append(bytes.Clone(in.material), 1)),
	}
	refusal := ""
	for what, b := range faults {
		err := in.try(t, w, func(r *kms.ImportMaterialRequest) { r.Wrapped, r.Token = b, p.Token })
		want(t, what, err, keys.KindMaterial)
		if refusal == "" {
			refusal = err.Error()
		}
		if err.Error() != refusal {
			t.Errorf("%s is refused as %v, another as %s", what, err, refusal)
		}
	}
	in.bring(t, w, time.Time{})
	if err := in.try(t, w, in.other(t, w)); err == nil || err.Error() != refusal {
		t.Errorf("other material than before is refused as %v, a damaged one as %s", err, refusal)
	}
	stateOf(t, w, "after refusals", in.key, keys.Enabled)
}

// TestWhatTakesNoMaterial tries the operations on keys that are not made for them.
func TestWhatTakesNoMaterial(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in := newImport(t, w, keys.ID{}, keys.AES256)
	in.bring(t, w, time.Time{})
	generated := newAES(t, w)
	several := newImport(t, w, keys.ID{}, keys.AES256)
	several.bring(t, w, time.Time{})
	rotate(t, w, several.key)
	for what, id := range map[string]keys.ID{"made here": generated.ID, "of two versions": several.key} {
		ref := kms.KeyRef{ID: id}
		for name, call := range map[string]func(*kms.Call) error{
			"parameters": func(c *kms.Call) error {
				return second(w.ImportParameters(t.Context(), c, kms.ImportParametersRequest{Key: ref, Spec: keys.SM2, Wrapping: keys.WrapSM2}))
			},
			"import": func(c *kms.Call) error {
				return second(w.ImportMaterial(t.Context(), c, kms.ImportMaterialRequest{Key: ref, Wrapped: in.request.Wrapped, Token: in.request.Token}))
			},
			"delete": func(c *kms.Call) error { return second(w.DeleteMaterial(t.Context(), c, ref)) },
		} {
			err := as(t, w, w.Tenant, call)
			want(t, name+" of a key "+what, err, keys.KindUnsupported)
			if f := keys.AsError(err).Field; f != "origin" {
				t.Errorf("%s of a key %s is refused for its %s", name, what, f)
			}
		}
	}
	for spec, wrapping := range map[keys.Spec]keys.Wrapping{"RSA_1024": keys.WrapPKCS1, keys.SM2: keys.WrapOAEPSHA256, keys.AES256: keys.WrapOAEPAES, keys.RSA2048: keys.WrapSM2} {
		err := as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.ImportParameters(t.Context(), c, kms.ImportParametersRequest{Key: kms.KeyRef{ID: in.key}, Spec: spec, Wrapping: wrapping}))
		})
		want(t, "wrapping "+string(wrapping)+" under "+string(spec), err, keys.KindUnsupported)
	}
}

// TestMaterialWithAnEndAndRotation keeps a key from having both: what has an end is the only version.
func TestMaterialWithAnEndAndRotation(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in := newImport(t, w, keys.ID{}, keys.AES256)
	in.bring(t, w, w.Now().Add(time.Hour))
	want(t, "rotating", as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.Rotate(t.Context(), c, kms.KeyRef{ID: in.key})) }), keys.KindUnsupported)
	policy := func() error {
		return as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: in.key}, kms.RotationPolicy{Enabled: true, Interval: 10 * keys.Day}))
		})
	}
	want(t, "a rotation policy", policy(), keys.KindUnsupported)
	in.bring(t, w, time.Time{})
	want(t, "a rotation policy without an end", policy(), "")
	err := in.try(t, w, func(r *kms.ImportMaterialRequest) { r.ExpiresAt = w.Now().Add(time.Hour) })
	want(t, "an end with a rotation policy", err, keys.KindUnsupported)
	ct := encrypted(t, w, in.key)
	advance(t, w, 10*keys.Day)
	if v := version(t, w, in.key, 2); v.Origin != keys.Generated || !v.AutoRotated {
		t.Errorf("the schedule made a version of origin %s", v.Origin)
	}
	want(t, "old ciphertext", opens(t, w, in.key, ct), "")

	// Where the cloud's keys of imported material have one version, they keep it.
	strict := kmstest.Profile
	strict.RotateImported = false
	single := newImport(t, w, keys.ID{}, keys.AES256)
	single.bring(t, w, time.Time{})
	want(t, "rotating under a strict profile", rotateAs(t, w, w.Tenant, &strict, single.key), keys.KindUnsupported)
}

// TestConcurrentFirstImports lets several callers bring a key's first material at once.
func TestConcurrentFirstImports(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	in := newImport(t, w, keys.ID{}, keys.AES256)
	other := in.other(t, w)
	var same, different int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var change func(*kms.ImportMaterialRequest)
			if i%2 == 1 {
				change = other
			}
			err := in.try(t, w, change)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && change == nil:
				same++
			case err == nil:
				different++
			default:
				want(t, "the material that came later", err, keys.KindMaterial)
			}
		})
	}
	all.Wait()
	if k := seen(t, w, in.key); k.Versions != 1 || same*different != 0 || same+different != 4 {
		t.Errorf("%d versions; %d imports of the one material and %d of the other took effect", k.Versions, same, different)
	}
}

// wrapFor wraps material under a vault's wrapping key, as clients do it.
func wrapFor(t testing.TB, w *kmstest.World, vault keys.ID, algorithm keys.Wrapping, material []byte) kms.Wrapped {
	t.Helper()
	v, err := wrappingKey(t, w, vault)
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Recipient(v.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Wrap(rand.Reader, algorithm, secret.Copy(material))
	if err != nil {
		t.Fatal(err)
	}
	return kms.Wrapped{Algorithm: algorithm, Bytes: b}
}

func wrappingKey(t testing.TB, w *kmstest.World, vault keys.ID) (*kms.Version, error) {
	t.Helper()
	c := w.Call(t, w.Tenant)
	defer c.End()
	c.Vault = vault
	return w.WrappingKey(t.Context(), c)
}

func importKey(t testing.TB, w *kmstest.World, req kms.NewKey, wrapped kms.Wrapped) (k *kms.Key, err error) {
	t.Helper()
	err = as(t, w, w.Tenant, func(c *kms.Call) error {
		k, err = w.ImportKey(t.Context(), c, req, wrapped)
		return err
	})
	return k, err
}

// pkcs8 is the tenant's API key, as material.
func pkcs8(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestImportedKeysWork imports keys in both ways and uses them, and adds versions of either origin.
func TestImportedKeysWork(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	home := w.Tenant.Vault
	aes := bytes.Repeat([]byte{9}, 32)
	if _, err := importKey(t, w, wish(keys.AES256), kms.Wrapped{Algorithm: keys.WrapOAEPSHA256, Bytes: make([]byte, 512)}); kindOf(err) != keys.KindMaterial {
		t.Errorf("before there is a wrapping key: %v", err)
	}
	for _, algorithm := range []keys.Wrapping{keys.WrapOAEPSHA256, keys.WrapOAEPAES} {
		k, err := importKey(t, w, wish(keys.AES256), wrapFor(t, w, home, algorithm, aes))
		if err != nil {
			t.Fatal(err)
		}
		v := version(t, w, k.ID, 1)
		if k.State != keys.Enabled || k.Origin != keys.Imported || v.Origin != keys.Imported || k.Primary != v.ID {
			t.Errorf("imported: %s, origin %s, version %s", k.State, k.Origin, v.Origin)
		}
		first := encrypted(t, w, k.ID)
		rotate(t, w, k.ID)
		must(t, w, func(c *kms.Call) error {
			return second(w.ImportVersion(t.Context(), c, kms.KeyRef{ID: k.ID}, wrapFor(t, w, home, algorithm, bytes.Repeat([]byte{8}, 32))))
		})
		var origins []keys.Origin
		for i := range 3 {
			origins = append(origins, version(t, w, k.ID, i+1).Origin)
		}
		if !slices.Equal(origins, []keys.Origin{keys.Imported, keys.Generated, keys.Imported}) || seen(t, w, k.ID).Primary != version(t, w, k.ID, 3).ID {
			t.Errorf("the versions are of origin %v", origins)
		}
		want(t, "old ciphertext", opens(t, w, k.ID, first), "")
	}
	req := wish(keys.RSA2048)
	k, err := importKey(t, w, req, wrapFor(t, w, home, keys.WrapOAEPAES, pkcs8(t, w.Tenant.RSAKey)))
	if err != nil {
		t.Fatal(err)
	}
	if v := version(t, w, k.ID, 1); !bytes.Equal(v.PublicKey, rsaSPKI(t, w.Tenant)) {
		t.Error("the public key is not that of the private one")
	}
	_, err = importKey(t, w, req, wrapFor(t, w, home, keys.WrapOAEPSHA256, aes))
	want(t, "RSA with a wrapping that cannot hold it", err, keys.KindInvalid)
	_, err = importKey(t, w, wish(keys.AES128), wrapFor(t, w, home, keys.WrapOAEPSHA256, aes))
	want(t, "material of another length", err, keys.KindMaterial)
	_, err = importKey(t, w, wish(keys.ECP256), wrapFor(t, w, home, keys.WrapOAEPAES, aes))
	want(t, "an EC key", err, keys.KindUnsupported)
	ec := newKey(t, w, wish(keys.ECP256))
	err = as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.ImportVersion(t.Context(), c, kms.KeyRef{ID: ec.ID}, wrapFor(t, w, home, keys.WrapOAEPAES, aes)))
	})
	want(t, "a version of an EC key", err, keys.KindUnsupported)
}

// TestExportedMaterialIsTheMaterial exports keys of every kind that may be exported.
func TestExportedMaterialIsTheMaterial(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	aes := bytes.Repeat([]byte{9}, 32)
	imported, err := importKey(t, w, wish(keys.AES256), wrapFor(t, w, w.Tenant.Vault, keys.WrapOAEPAES, aes))
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := engine.Open(keys.RSA2048, secret.New(pkcs8(t, w.Tenant.RSAKey)))
	if err != nil {
		t.Fatal(err)
	}
	export := func(id keys.ID, v kms.VersionRef, algorithm keys.Wrapping, public []byte) (out *kms.ExportKeyResult, err error) {
		err = as(t, w, w.Tenant, func(c *kms.Call) error {
			out, err = w.ExportKey(t.Context(), c, kms.ExportKeyRequest{Key: kms.KeyRef{ID: id}, Version: v, Wrapping: algorithm, PublicKey: public})
			return err
		})
		return out, err
	}
	public := rsaSPKI(t, w.Tenant)
	for _, algorithm := range []keys.Wrapping{keys.WrapOAEPSHA256, keys.WrapOAEPAES} {
		out, err := export(imported.ID, kms.VersionRef{}, algorithm, public)
		if err != nil {
			t.Fatal(err)
		}
		m, err := recipient.Unwrap(algorithm, keys.AES256, out.Wrapped)
		if err != nil || !bytes.Equal(m.Private.Reveal(), aes) || out.Version.ID != imported.Primary || out.Key.ID != imported.ID {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	rsaKey, err := importKey(t, w, wish(keys.RSA2048), wrapFor(t, w, w.Tenant.Vault, keys.WrapOAEPAES, pkcs8(t, w.Other.RSAKey)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := export(rsaKey.ID, kms.VersionRef{}, keys.WrapOAEPAES, public)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := recipient.Unwrap(keys.WrapOAEPAES, keys.RSA2048, out.Wrapped); err != nil || !bytes.Equal(m.Private.Reveal(), pkcs8(t, w.Other.RSAKey)) {
		t.Errorf("RSA: %v", err)
	}
	_, err = export(rsaKey.ID, kms.VersionRef{}, keys.WrapOAEPSHA256, public)
	want(t, "RSA with a wrapping that cannot hold it", err, keys.KindInvalid)
	_, err = export(newKey(t, w, wish(keys.ECP256)).ID, kms.VersionRef{}, keys.WrapOAEPAES, public)
	want(t, "an EC key", err, "")

	older := imported.Primary
	rotate(t, w, imported.ID)
	out, err = export(imported.ID, kms.VersionRef{ID: older}, keys.WrapOAEPAES, public)
	if err != nil || out.Version.ID != older {
		t.Errorf("an older version: %v", err)
	}
	hsm := wish(keys.AES256)
	hsm.Protection = keys.HSM
	_, err = export(newKey(t, w, hsm).ID, kms.VersionRef{}, keys.WrapOAEPAES, public)
	want(t, "a key labelled HSM", err, keys.KindUnsupported)
	for what, der := range map[string][]byte{"nothing": nil, "garbage": []byte("garbage"), "an EC key": version(t, w, newKey(t, w, wish(keys.ECP256)).ID, 1).PublicKey} {
		_, err = export(imported.ID, kms.VersionRef{}, keys.WrapOAEPAES, der)
		want(t, what+" as the public key", err, keys.KindInvalid)
	}
	for _, algorithm := range []keys.Wrapping{"", keys.WrapSM2, keys.WrapPKCS1} {
		_, err = export(imported.ID, kms.VersionRef{}, algorithm, public)
		want(t, "wrapping "+string(algorithm), err, keys.KindUnsupported)
	}
	scheduleVersion(t, w, imported.ID, older, 10)
	_, err = export(imported.ID, kms.VersionRef{ID: older}, keys.WrapOAEPAES, public)
	want(t, "a version pending deletion", err, keys.KindState)
	last := slices.IndexFunc(w.Audit.Events(), func(e audit.Event) bool { return e.Action == keys.ExportKey && e.Outcome == audit.OutcomeOK })
	sum := sha256.Sum256(public)
	if last < 0 || w.Audit.Events()[last].Version != imported.Primary || w.Audit.Events()[last].Context["wrapping_key_sha256"] != hex.EncodeToString(sum[:]) {
		t.Error("the export is not recorded with its version and recipient")
	}
}

// FuzzImportToken imports with anything as the token, and reads anything as a token's content:
// what is read is written again to the same bytes.
func FuzzImportToken(f *testing.F) {
	w := kmstest.New(f)
	in := newImport(f, w, keys.ID{}, keys.AES256)
	f.Add(in.request.Token)
	f.Add(in.request.Token[:20])
	f.Add(append(make([]byte, 8), bytes.Repeat([]byte{0xff}, 256)...)) // the longest name there can be
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x06SM2PKE\x06EC_SM2private"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := in.try(t, w, func(r *kms.ImportMaterialRequest) { r.Token = b })
		if valid := bytes.Equal(b, in.request.Token); valid != (err == nil) || !valid && kindOf(err) != keys.KindImportToken {
			t.Fatal(err)
		}
		if again, err := kms.ReadImportToken(b); err == nil && !bytes.Equal(again, b) {
			t.Fatalf("read   %x\nwrote  %x", b, again)
		}
	})
}
