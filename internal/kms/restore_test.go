// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"claviger/internal/archive"
	"claviger/internal/audit"
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
	lose(t, w, life.aes)
	want(t, "where the identity is not", restoreKey(t, w, backup), keys.KindInvalid)
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

// TestRestoreWhereItBelongs restores for another tenant, in another region, at another endpoint.
func TestRestoreWhereItBelongs(t *testing.T) {
	t.Parallel()
	two := func(cfg *kms.Config) { cfg.Regions = append(cfg.Regions, "abroad") }
	w := kmstest.New(t, kmstest.With(two))
	life := newLifeOf(t, w)
	whole, backup := backupVault(t, w, life.vault), backupKey(t, w, life.aes)
	to := anew(t, w, two)
	vault := func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil))
	}
	key := func(c *kms.Call) error {
		return second(to.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), nil))
	}
	want(t, "a vault of another tenant", as(t, to, to.Other, vault), keys.KindInvalid)
	want(t, "a vault in another region", as(t, to, to.Tenant, func(c *kms.Call) error {
		c.Region = "abroad"
		return vault(c)
	}), keys.KindInvalid)
	away := anew(t, w, func(cfg *kms.Config) { cfg.Regions = []keys.Region{"away"} })
	want(t, "a vault of a region that is not served", second(away.RestoreVaultBackup(
		t.Context(), away.System("test"), "", bytes.NewReader(whole), nil)), keys.KindInvalid)
	want(t, "into no compartment", as(t, to, to.Tenant, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "nowhere", bytes.NewReader(whole), nil))
	}), keys.KindRelatedNotFound)
	if err := vault(to.System("test")); err != nil {
		t.Fatalf("by the server itself: %v", err)
	}
	lose(t, to, life.aes)
	want(t, "a key of another tenant", as(t, to, to.Other, key), keys.KindNotFound)
	want(t, "a key in another region", as(t, to, to.Tenant, func(c *kms.Call) error {
		c.Region = "abroad"
		return key(c)
	}), keys.KindNotFound)
	want(t, "a key at another vault's endpoint", as(t, to, to.Tenant, func(c *kms.Call) error {
		c.Vault = to.Tenant.Vault
		return key(c)
	}), keys.KindNotFound)
	must(t, to, func(c *kms.Call) error {
		c.Vault = life.vault
		return key(c)
	})
	checked(t, to)
}

// TestCompartments restores into compartments of the same id or name, and where there is none
// into the vault's.
func TestCompartments(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	compartment := func(w *kmstest.World, name string) *keys.Compartment {
		c, err := w.CreateCompartment(t.Context(), w.System("test"), kms.NewCompartment{Tenant: w.Tenant.ID, Name: name, Names: keys.Names{"test": name}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	vault := newVault(t, w, "precious")
	keyIn := func(name string) keys.ID {
		req := wish(keys.AES256)
		req.Vault, req.Compartment = vault, name
		return newKey(t, w, req).ID
	}
	compartment(w, "known")
	compartment(w, "unknown")
	compartment(w, "empty")
	known, unknown, root := keyIn("known"), keyIn("unknown"), keyIn("")
	backup := backupVault(t, w, vault)
	to := anew(t, w)
	here, into := compartment(to, "known"), compartment(to, "target")
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "target", bytes.NewReader(backup), nil))
	})
	after := contentOf(t, to, vault)
	if after.Vault.Compartment != into.ID {
		t.Errorf("the vault is in %s, want %s", after.Vault.Compartment, into.ID)
	}
	for _, k := range after.Keys {
		if want := map[keys.ID]keys.ID{known: here.ID, unknown: into.ID, root: to.Tenant.ID}[k.ID]; k.Compartment != want {
			t.Errorf("key %s is in %s, want %s", k.ID, k.Compartment, want)
		}
	}
	checked(t, to)
}

// TestTheDefaultVaultComesBack restores a tenant's default vault: it is that again where there is
// no other.
func TestTheDefaultVaultComesBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	backup := backupVault(t, w, w.Tenant.Vault)
	for name, lost := range map[string]bool{"beside another": false, "alone": true} {
		to := anew(t, w)
		if lost {
			tamper(t, to, func(tx store.Tx) error {
				return errors.Join(tx.Delete(&store.KEK{Owner: to.Tenant.Vault, Generation: 1}), tx.Delete(&keys.Vault{ID: to.Tenant.Vault}))
			})
		}
		if err := restoreVault(t, to, backup); err != nil {
			t.Fatal(err)
		}
		checked(t, to)
		if got := contentOf(t, to, w.Tenant.Vault).Vault.Default; got != lost {
			t.Errorf("%s, the restored vault is the default: %t", name, got)
		}
	}
}

// TestTakenNames restores where an alias leads elsewhere by now, which it goes on doing, and
// where an external id does, which refuses the restore.
func TestTakenNames(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	backup := backupVault(t, w, life.vault)
	to := anew(t, w)
	other := newAES(t, to)
	must(t, to, func(c *kms.Call) error { return to.CreateAlias(t.Context(), c, "alias/life", kms.KeyRef{ID: other.ID}) })
	taken := store.ExternalID{
		Dialect: "test", Type: keys.TypeKey, Tenant: to.Tenant.ID, Region: kmstest.Region, Name: "carried over key", ID: other.ID,
	}
	if err := to.AddExternalID(t.Context(), to.System("test"), taken); err != nil {
		t.Fatal(err)
	}
	to.StageRows(3)
	want(t, "an external id that is taken", restoreVault(t, to, backup), keys.KindExists)
	checked(t, to)
	gone(t, to, life.vault)
	tamper(t, to, func(tx store.Tx) error { return tx.Delete(&taken) })
	if err := restoreVault(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	must(t, to, func(c *kms.Call) error {
		k, err := to.Key(t.Context(), c, kms.KeyRef{Alias: "alias/life"})
		if err == nil && k.ID != other.ID {
			t.Error("the alias leads to the restored key")
		}
		return err
	})
	told := false
	for _, ev := range events(t, to) {
		if ev.Action == keys.RestoreVaultBackup && ev.Outcome == audit.OutcomeOK {
			told = ev.Vault == life.vault && ev.Tenant == to.Tenant.ID && strings.Contains(ev.Reason, "alias/life")
		}
	}
	if !told {
		t.Error("no event tells of the restore and of the alias that it left")
	}
}

// gone checks that nothing of a vault is there.
func gone(t testing.TB, w *kmstest.World, vault keys.ID) {
	t.Helper()
	stored(t, w, func(tx store.Tx) error {
		if err := tx.Load(&keys.Vault{ID: vault}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the vault is there: %v", err)
		}
		if err := tx.Load(&store.KEK{Owner: vault}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the vault's KEK is there: %v", err)
		}
		left, err := tx.Keys(store.KeyQuery{Vault: vault, WithHidden: true})
		if len(left) > 0 {
			t.Errorf("%d of its keys are there", len(left))
		}
		return err
	})
}

// TestRestoreQuotas restores where there is room for less.
func TestRestoreQuotas(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole, backup := backupVault(t, w, life.vault), backupKey(t, w, life.aes)
	to := anew(t, w)
	with := func(change func(*keys.Profile), restore func(c *kms.Call) error) error {
		return as(t, to, to.Tenant, func(c *kms.Call) error {
			p := kmstest.Profile
			change(&p)
			c.Profile = &p
			return restore(c)
		})
	}
	vault := func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil))
	}
	for noun, change := range map[keys.Type]func(*keys.Profile){
		keys.TypeVault: func(p *keys.Profile) { p.VaultsPerRegion = 1 },
		keys.TypeKey:   func(p *keys.Profile) { p.KeysPerRegion = 4 },
	} {
		err := with(change, vault)
		want(t, "too many of "+string(noun), err, keys.KindLimit)
		if got := keys.AsError(err).Noun; got != noun {
			t.Errorf("the limit is on %s, want %s", got, noun)
		}
		gone(t, to, life.vault)
		checked(t, to)
	}
	enough := func(p *keys.Profile) { p.VaultsPerRegion, p.KeysPerRegion, p.AliasesPerRegion = 2, 5, 1 }
	if err := with(enough, vault); err != nil {
		t.Fatalf("as many as there may be: %v", err)
	}
	lose(t, to, life.aes)
	key := func(c *kms.Call) error {
		return second(to.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), nil))
	}
	want(t, "one key too many", with(func(p *keys.Profile) { p.KeysPerRegion = 4 }, key), keys.KindLimit)
	if err := with(enough, key); err != nil {
		t.Errorf("one key more: %v", err)
	}
	checked(t, to)
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

// TestProgress listens to a backup and a restore.
func TestProgress(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	listen := func(what string) (kms.Progress, func()) {
		last, end := 0, 0
		return func(done, total int) {
				if done != last+1 || (end != 0 && total != end) {
					t.Errorf("%s: %d of %d after %d of %d", what, done, total, last, end)
				}
				last, end = done, total
			}, func() {
				if last != end || end == 0 {
					t.Errorf("%s: ends at %d of %d", what, last, end)
				}
			}
	}
	var b bytes.Buffer
	progress, ended := listen("backup")
	must(t, w, func(c *kms.Call) error {
		return second(w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: life.vault}, true, &b, progress))
	})
	ended()
	to := anew(t, w)
	progress, ended = listen("restore")
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(b.Bytes()), progress))
	})
	ended()
}

// TestBackupIsOfOneRevision changes a vault while its backup is being written: none of that is in it.
func TestBackupIsOfOneRevision(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	before := contentOf(t, w, life.vault)
	revision := head(t, w).Revision
	var b bytes.Buffer
	changing := writerFunc(func(p []byte) (int, error) {
		rotate(t, w, life.aes) // waits for its commit
		return b.Write(p)
	})
	must(t, w, func(c *kms.Call) error {
		m, err := w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: life.vault}, true, changing, nil)
		if err == nil && m.Revision != revision {
			t.Errorf("the backup is of revision %d, want %d", m.Revision, revision)
		}
		return err
	})
	to := anew(t, w)
	if err := restoreVault(t, to, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	asBefore(t, before, contentOf(t, to, life.vault))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestBackupsThatCannotBeWritten fails the writer, the spool, and the audit log.
func TestBackupsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	trouble := errors.New("no space left")
	full := false
	w := kmstest.New(t, kmstest.With(func(cfg *kms.Config) {
		cfg.Backup.Spool = func() (kms.Spool, error) {
			if full {
				return nil, trouble
			}
			return &fileLike{}, nil
		}
	}))
	life := newLifeOf(t, w)
	write := func(out writerFunc) error {
		return as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.WriteKeyBackup(t.Context(), c, kms.KeyRef{ID: life.aes}, out, nil))
		})
	}
	if err := write(func(p []byte) (int, error) { return len(p), nil }); err != nil {
		t.Fatal(err)
	}
	if err := write(func([]byte) (int, error) { return 0, trouble }); !errors.Is(err, trouble) {
		t.Errorf("the writer fails: %v", err)
	}
	full = true
	if err := write(func(p []byte) (int, error) { return len(p), nil }); !errors.Is(err, trouble) {
		t.Errorf("there is no spool: %v", err)
	}
	full = false
	ctx, cancel := context.WithCancel(t.Context())
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.WriteKeyBackup(ctx, c, kms.KeyRef{ID: life.aes}, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), nil))
	})
	want(t, "given up", err, keys.KindUnavailable)
}

// fileLike is a spool that is read and written at one position, as a file is.
type fileLike struct {
	b  []byte
	at int
}

func (f *fileLike) Write(p []byte) (int, error) {
	f.b = append(f.b[:f.at], p...)
	f.at = len(f.b)
	return len(p), nil
}

func (f *fileLike) Read(p []byte) (int, error) {
	n := copy(p, f.b[f.at:])
	f.at += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *fileLike) Seek(offset int64, _ int) (int64, error) {
	f.at = int(offset)
	return offset, nil
}

func (f *fileLike) Close() error { return nil }
