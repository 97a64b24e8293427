// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"claviger/internal/archive"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// head is how far a world's store has come.
func head(t testing.TB, w *kmstest.World) (out store.Head) {
	t.Helper()
	stored(t, w, func(tx store.Tx) (err error) {
		out, err = tx.Head()
		return err
	})
	return out
}

// TestADamagedBackupChangesNothing restores what was changed or cut anywhere, or is somebody
// else's: the store stays at its revision.
func TestADamagedBackupChangesNothing(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole := backupVault(t, w, life.vault)
	to, stranger := anew(t, w), kmstest.New(t)
	before := head(t, to)
	random := rand.New(rand.NewPCG(1, 2))
	refused := func(what string, b []byte) {
		t.Helper()
		err := restoreVault(t, to, b)
		want(t, what, err, keys.KindInvalid)
		if e := keys.AsError(err); e.Field != "backup" || e.Hint == "" {
			t.Errorf("%s: field %q, hint %q", what, e.Field, e.Hint)
		}
	}
	for range 100 {
		bad := bytes.Clone(whole)
		bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
		refused("a flipped bit", bad)
		refused("cut", whole[:random.IntN(len(whole))])
	}
	refused("nothing", nil)
	refused("a newer format", bytes.Replace(whole, []byte("claviger-archive/1"), []byte("claviger-archive/2"), 1))
	refused("two in one", append(bytes.Clone(whole), whole...))
	if now := head(t, to); now != before {
		t.Errorf("the store went from %+v to %+v", before, now)
	}
	err := restoreVault(t, stranger, whole)
	want(t, "under another root key", err, keys.KindInvalid)
	if hint := keys.AsError(err).Hint; !strings.Contains(hint, w.Config.Seal.ID()) || !strings.Contains(hint, stranger.Config.Seal.ID()) {
		t.Errorf("the hint is %q", hint)
	}
	if err := restoreVault(t, to, whole); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestInspectBackup reads the manifest of a backup, and of what is none.
func TestInspectBackup(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(cfg *kms.Config) { cfg.Backup.Software = "v1.2.3" }))
	life := newLife(t, w)
	m, err := w.InspectBackup(bytes.NewReader(backupKey(t, w, life.aes)))
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != archive.KindKey || m.Key.ID != life.aes || m.Vault.ID != life.vault || m.Vault.Name != "precious" || m.Software != "v1.2.3" ||
		m.Region != kmstest.Region || m.Revision != head(t, w).Revision || !m.CreatedAt.Equal(w.Now()) || m.Counts.Versions != 4 || m.Tenants[0].Name != "acme" {
		t.Errorf("the manifest is %+v", m)
	}
	_, err = w.InspectBackup(strings.NewReader("hello"))
	want(t, "no backup", err, keys.KindInvalid)
}

const (
	aRecipient = "age1gnjzl65hu9xuvfk5pt28eumssfua5hx944fdcv8ce6xslrstsqsq5ge9lw"
	anIdentity = "AGE-SECRET-KEY-1L46PTVS7FZCC6YEJ2KSC8EGLWYYT6TUYZWF7ZUNU83YAQNRU0LJQLKCC2K"
)

// TestBackupToRecipients restores a backup where the root key is another one, with the
// recipient's identity, and nowhere without it.
func TestBackupToRecipients(t *testing.T) {
	t.Parallel()
	recipients, err := archive.ParseRecipients([]string{aRecipient})
	if err != nil {
		t.Fatal(err)
	}
	identities, err := archive.ParseIdentities(strings.NewReader(anIdentity))
	if err != nil {
		t.Fatal(err)
	}
	w := kmstest.New(t, kmstest.With(func(cfg *kms.Config) { cfg.Backup.Recipients = recipients }))
	life := newLife(t, w)
	backup := backupVault(t, w, life.vault)
	to := anew(t, w, func(cfg *kms.Config) {
		if cfg.Seal, err = seal.NewMemory(cfg.Rand); err != nil {
			t.Fatal(err)
		}
		cfg.Backup = kms.BackupConfig{Identities: identities}
	})
	err = restoreVault(t, w, backup)
	want(t, "where the identity is not", err, keys.KindInvalid)
	if hint := keys.AsError(err).Hint; !strings.Contains(hint, aRecipient) || !strings.Contains(hint, "backup.identity_file") {
		t.Errorf("the hint is %q", hint)
	}
	if err := restoreVault(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	life.opens(t, to)
}

// TestForgedMaterial restores archives to recipients, which anybody can make, in which the
// material is none of its key's spec, or the public key another's.
func TestForgedMaterial(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	for name, change := range map[string]func(*archive.Record){
		"half a key":         func(r *archive.Record) { r.Material = secret.Copy(r.Material.Reveal()[:600]) },
		"another spec's key": func(r *archive.Record) { r.Material = secret.New(make([]byte, 32)) },
		"another public key": func(r *archive.Record) { r.Version.PublicKey = rsaSPKI(t, w.Tenant) },
		"no public key":      func(r *archive.Record) { r.Version.PublicKey = nil },
		"half a fingerprint": func(r *archive.Record) { r.Version.Origin, r.Fingerprint = keys.Imported, secret.New(make([]byte, 16)) },
		"another fingerprint": func(r *archive.Record) {
			r.Version.Origin, r.Fingerprint = keys.Imported, secret.New(make([]byte, 32))
		},
	} {
		backup := forge(t, w, backupKey(t, w, life.rsa), func(r *archive.Record) {
			if r.Version != nil {
				change(r)
			}
		})
		to := anew(t, w)
		vaultOnly(t, w, to, life.vault)
		before := head(t, to)
		want(t, name, restoreKey(t, to, backup), keys.KindInvalid)
		if now := head(t, to); now != before {
			t.Errorf("%s: the store went from %+v to %+v", name, before, now)
		}
	}
}

// vaultOnly brings a vault without its keys to another world.
func vaultOnly(t testing.TB, w, to *kmstest.World, vault keys.ID) {
	t.Helper()
	var b bytes.Buffer
	must(t, w, func(c *kms.Call) error {
		return second(w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: vault}, false, &b, nil))
	})
	if err := restoreVault(t, to, b.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// forge writes a backup again, with its records changed.
func forge(t testing.TB, w *kmstest.World, backup []byte, change func(*archive.Record)) []byte {
	t.Helper()
	r, err := archive.NewReader(t.Context(), bytes.NewReader(backup), archive.Opener{Root: w.Config.Seal})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	to, err := archive.NewWriter(t.Context(), &out, &r.Header().Manifest, archive.Lock{Root: w.Config.Seal}, w.Config.Rand)
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := r.Next()
		if err != nil && !archive.IsRefusal(err) {
			break // its end
		}
		if err == nil {
			change(rec)
			err = to.Write(rec)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestRestoreAppliesWhatIsDue restores a backup so late that the deletions in it are due: what
// is deleted arrives as its tombstone, and its material nowhere.
func TestRestoreAppliesWhatIsDue(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	backup := backupVault(t, w, life.vault)
	to := anew(t, w)
	to.Clock.Add(30 * keys.Day)
	if err := restoreVault(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	deleted := 0
	after := contentOf(t, to, life.vault)
	for _, v := range after.Versions {
		if v.State == keys.PendingDeletion {
			t.Errorf("version %d of key %s is %s at %s, and it is %s", v.Ordinal, v.Key, v.State, v.DeleteAt, to.Now())
		}
		if v.State == keys.Deleted {
			deleted++
		}
	}
	if k := after.Keys[slices.IndexFunc(after.Keys, func(k *keys.Key) bool { return k.ID == life.pending })]; k.State != keys.Deleted || len(k.Tags.Plain) > 0 {
		t.Errorf("the key that was to be erased is %s, with tags %v", k.State, k.Tags)
	}
	if deleted != 4 { // two of the AES key, and those of the two erased keys
		t.Errorf("%d versions are deleted", deleted)
	}

	// A backup that is made so late, before anything was swept, is of the same.
	w.Clock.Add(30 * keys.Day)
	late, lateBackup := anew(t, w), backupVault(t, w, life.vault)
	if with := withMaterial(t, w, lateBackup); with[life.pending] != 0 || with[life.aes] != 2 {
		t.Errorf("it has material of %d versions of the key that is due, and of %d of the other", with[life.pending], with[life.aes])
	}
	if err := restoreVault(t, late, lateBackup); err != nil {
		t.Fatal(err)
	}
	asBefore(t, after, contentOf(t, late, life.vault))
	checked(t, late)
}

// withMaterial counts the versions of each key whose material is in a backup.
func withMaterial(t testing.TB, w *kmstest.World, backup []byte) map[keys.ID]int {
	t.Helper()
	out := map[keys.ID]int{}
	r, err := archive.NewReader(t.Context(), bytes.NewReader(backup), archive.Opener{Root: w.Config.Seal})
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.Material.Len() > 0 {
			out[rec.Version.Key]++
		}
	}
}

// TestRestoreUnderAWrongClock restores a backup where the machine's clock cannot be believed:
// what seems due is unusable, and not lost.
func TestRestoreUnderAWrongClock(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(real))
	life := newLifeOf(t, w)
	backup := backupVault(t, w, life.vault)
	dir := kmstest.Dir(t)
	to := kmstest.New(t, kmstest.InDir(dir), kmstest.With(real), kmstest.With(func(cfg *kms.Config) { cfg.Seal = w.Config.Seal }))
	to.Clock.Add(30 * keys.Day)
	tamper(t, to, func(tx store.Tx) error { // its database has seen later times
		return tx.Put(&store.Setting{Name: "last-seen", Value: fmt.Sprint(to.Clock.Now().Add(time.Hour).UnixMicro())})
	})
	to.Restart(t)
	if err := restoreVault(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	var pending *keys.Version
	for _, v := range contentOf(t, to, life.vault).Versions {
		if v.Key == life.pending {
			pending = v
		}
	}
	if pending == nil || pending.State != keys.Enabled || pending.Sealed == nil {
		t.Errorf("the version of the key that seems due is %+v", pending)
	}
	if got := seen(t, to, life.pending).State; got != keys.Deleted {
		t.Errorf("the key that seems due is %s", got)
	}
}

// newLifeOf is a small life where time stands still.
func newLifeOf(t testing.TB, w *kmstest.World) *life {
	t.Helper()
	l := &life{vault: newVault(t, w, "precious")}
	req := wish(keys.AES256)
	req.Vault = l.vault
	l.aes, l.pending = newKey(t, w, req).ID, newKey(t, w, req).ID
	l.seal(t, w)
	scheduleKey(t, w, l.pending, 10)
	return l
}

// TestWhatWasErasedStaysErased restores a key and a vault that were erased here: as long as that
// is known they do not come back.
func TestWhatWasErasedStaysErased(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	backup := backupKey(t, w, life.aes)
	whole := backupVault(t, w, life.vault)
	scheduleKey(t, w, life.aes, 7)
	want(t, "a key on its way out", restoreKey(t, w, backup), keys.KindExists)
	must(t, w, func(c *kms.Call) error { // cancelled, and scheduled again: nothing of that is in the backup
		return second(w.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: life.aes}, keys.CancelKeyDeletion))
	})
	scheduleKey(t, w, life.aes, 7)
	w.Clock.Add(8 * keys.Day) // due, and not swept
	stays := func(what string, err error) {
		t.Helper()
		want(t, what, err, keys.KindState)
		if state := keys.AsError(err).State; state != keys.Deleted {
			t.Errorf("%s: state %s", what, state)
		}
	}
	stays("a key that is due", restoreKey(t, w, backup))
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	stays("a key that is erased", restoreKey(t, w, backup))
	scheduleVault(t, w, life.vault, 7)
	want(t, "a vault on its way out", restoreVault(t, w, whole), keys.KindExists)
	want(t, "a key of a vault on its way out", restoreKey(t, w, backup), keys.KindState)
	advance(t, w, 8*keys.Day)
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	stays("a vault that is erased", restoreVault(t, w, whole))
	stays("a key of a vault that is erased", restoreKey(t, w, backup))
	advance(t, w, 100*keys.Day)
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, "a key of a vault that is forgotten", restoreKey(t, w, backup), keys.KindNotFound)
	if err := restoreVault(t, w, whole); err != nil {
		t.Errorf("a vault that is forgotten: %v", err)
	}
	life.opens(t, w)
	checked(t, w)
}

// TestRestoreOfHSMKeys restores where there are no HSM keys, not even in name.
func TestRestoreOfHSMKeys(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	backup := backupVault(t, w, life.vault)
	to := anew(t, w, func(cfg *kms.Config) { cfg.HSM = kms.RefuseHSM })
	want(t, "with a key of level HSM", restoreVault(t, to, backup), keys.KindUnsupported)
	gone(t, to, life.vault)
}

// TestRestoreIsTheCallers restores as somebody with a role on the vault, and without one.
func TestRestoreIsTheCallers(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	backup, whole := backupKey(t, w, life.aes), backupVault(t, w, life.vault)
	lose(t, w, life.aes)
	of := func(name string, role identity.Role, vault keys.ID) kmstest.Tenant {
		return member(t, w, w.Tenant, name, role, vault)
	}
	key := func(c *kms.Call) error {
		return second(w.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), nil))
	}
	want(t, "by a user", as(t, w, of("user", identity.User, keys.ID{}), key), keys.KindDenied)
	want(t, "by an operator of another vault", as(t, w, of("elsewhere", identity.Operator, w.Tenant.Vault), key), keys.KindDenied)
	want(t, "a vault, by an operator of it", as(t, w, of("operator", identity.Operator, life.vault), func(c *kms.Call) error {
		return second(w.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil))
	}), keys.KindDenied)
	want(t, "by an operator of the vault", as(t, w, of("another", identity.Operator, life.vault), key), "")
}
