// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
)

// steady is randomness that is always the same, for archives that can be compared.
func steady() io.Reader { return rand.NewChaCha8([32]byte{1, 2, 3}) }

// rootKey is the root key 00 01 … 1f, with the given first byte.
func rootKey(t testing.TB, first byte) *seal.Local {
	t.Helper()
	b := make([]byte, seal.KeySize)
	for i := range b {
		b[i] = byte(i)
	}
	b[0] = first
	root, err := seal.NewLocal(secret.New(b), steady())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func id(fill byte) keys.ID { return keys.ID(bytes.Repeat([]byte{fill}, 16)) }

func at(day int) time.Time {
	return time.Date(2026, 1, day, 2, 3, 4, 567_891_000, time.UTC)
}

// sample is the backup of a vault with everything that one can hold.
func sample() (*Manifest, []*Record) {
	m := &Manifest{
		ID: id(9), Kind: KindVault, CreatedAt: at(20), Revision: 77, Region: "home",
		Tenants: []Named{{id(1), "acme"}}, Vault: &Named{id(3), "precious"}, WithKeys: true,
		Counts: Counts{1, 4, 6}, Software: "v1.2.3",
	}
	tags := keys.Tags{Plain: map[string]string{"a": "<b>&\u2028"}, Namespaced: map[string]map[string]string{"n": {"c": "d"}}}
	key := keys.Key{
		Vault: id(3), Compartment: id(2), Name: "key", Description: "text", Spec: keys.AES256, Usages: keys.UsageEncrypt,
		Origin: keys.Generated, Protection: keys.HSM, State: keys.Enabled, LastVersionAt: at(4), Tags: tags, Creator: id(8), CreatedAt: at(2),
		Rotation:          keys.Rotation{Interval: 30 * keys.Day, Start: at(1), Next: at(31), Last: at(1), Status: "FAILED", Message: "why"},
		DeletionProtected: true, DeletionProtection: "dear",
	}
	with := func(n byte, change func(*keys.Key)) *keys.Key {
		k := key
		k.ID = id(n)
		change(&k)
		return &k
	}
	wrapping := keys.WrappingKeyID(id(3))
	return m, []*Record{
		{Tenant: &keys.Tenant{ID: id(1), Name: "acme", Names: keys.Names{"oci": "ocid1.tenancy", "alibaba": "1234"}, CreatedAt: at(1)}},
		{Compartment: &keys.Compartment{ID: id(2), Parent: id(1), Name: "finance", Names: keys.Names{"oci": "c"}, CreatedAt: at(1)}},
		{Vault: &keys.Vault{ID: id(3), Compartment: id(2), Region: "home", Name: "precious", Kind: keys.PrivateVault, Default: true, Endpoint: "7500", State: keys.Active, Tags: tags, CreatedAt: at(1)}},
		{External: &External{Dialect: "alibaba", Type: keys.TypeVault, Name: "kst-1"}},
		{Key: with(4, func(k *keys.Key) { k.Versions, k.Primary = 4, id(13) })},
		{Alias: &keys.Alias{Name: "alias/one", CreatedAt: at(3)}},
		{Alias: &keys.Alias{Name: "alias/two", CreatedAt: at(3)}},
		{External: &External{Dialect: "alibaba", Type: keys.TypeKey, Name: "key-1"}},
		{Version: &keys.Version{ID: id(11), Ordinal: 1, State: keys.Deleted, DeleteAt: at(9), Origin: keys.Generated, CreatedAt: at(2)}},
		{Version: &keys.Version{ID: id(12), Ordinal: 3, State: keys.PendingDeletion, DeleteAt: at(29), Origin: keys.Generated, AutoRotated: true, CreatedAt: at(3)}, Material: secret.New([]byte("material two"))},
		{External: &External{Dialect: "oci", Type: keys.TypeVersion, Name: "v"}},
		{Version: &keys.Version{ID: id(13), Ordinal: 4, State: keys.Enabled, Origin: keys.Generated, PublicKey: []byte("public"), CreatedAt: at(4)}, Material: secret.New([]byte("material three"))},
		{Key: with(5, func(k *keys.Key) {
			k.State, k.Before, k.DeleteAt, k.Origin, k.MaterialExpiresAt = keys.PendingDeletion, keys.PendingImport, at(28), keys.Imported, at(27)
			k.Versions, k.Primary, k.Rotation, k.DeletionProtected, k.DeletionProtection = 1, id(14), keys.Rotation{}, false, ""
		})},
		{Version: &keys.Version{ID: id(14), Ordinal: 1, State: keys.PendingImport, Origin: keys.Imported, CreatedAt: at(4)}, Fingerprint: secret.New([]byte("fingerprint"))},
		{Key: with(6, func(k *keys.Key) {
			k.State, k.DeleteAt, k.Tags, k.Description, k.Rotation = keys.Deleted, at(7), keys.Tags{}, "", keys.Rotation{}
			k.Versions, k.Primary = 2, id(15)
		})},
		{Version: &keys.Version{ID: id(15), Ordinal: 2, State: keys.Deleted, DeleteAt: at(7), Origin: keys.Generated, CreatedAt: at(4)}},
		{Key: &keys.Key{
			ID: wrapping, Vault: id(3), Compartment: id(1), Spec: keys.RSA4096, Usages: keys.UsageEncrypt, Origin: keys.Generated,
			Protection: keys.HSM, State: keys.Enabled, Hidden: true, Versions: 1, Primary: id(16), CreatedAt: at(1),
		}},
		{Version: &keys.Version{ID: id(16), Ordinal: 1, State: keys.Enabled, Origin: keys.Generated, PublicKey: []byte("wrapping"), CreatedAt: at(1)}, Material: secret.New([]byte("wrapping material"))},
	}
}

// ofKey is the backup of the sample's first key alone.
func ofKey() (*Manifest, []*Record) {
	m, recs := sample()
	m.Kind, m.Key, m.Counts = KindKey, &Named{id(4), "key"}, Counts{0, 1, 3}
	return m, append(recs[:2:2], recs[4:12]...)
}

// write makes an archive.
func write(t testing.TB, l Lock, m *Manifest, recs []*Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(t.Context(), &b, m, l, steady())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Wipe()
	for i, rec := range recs {
		if err := w.Write(rec); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads an archive to its end.
func read(o Opener, b []byte) (*Manifest, []*Record, error) {
	return readFrom(o, bytes.NewReader(b))
}

func readFrom(o Opener, in io.Reader) (*Manifest, []*Record, error) {
	r, err := NewReader(context.Background(), in, o)
	if err != nil {
		return nil, nil, err
	}
	defer r.Wipe()
	var out []*Record
	for {
		rec, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && !IsRefusal(err):
			return &r.Header().Manifest, out, nil
		case err != nil:
			return nil, nil, err
		}
		out = append(out, rec)
	}
}

// sameSecret compares what cannot be looked into otherwise.
func sameSecret() cmp.Option {
	return cmp.Comparer(func(a, b secret.Bytes) bool { return a.Equal(b) })
}

// placed fills in what a reader does.
func placed(recs []*Record) []*Record {
	var k keys.Key
	var v keys.ID
	out := make([]*Record, len(recs))
	for i, rec := range recs {
		r := *rec
		switch {
		case r.Compartment != nil:
			c := *r.Compartment
			c.Tenant, r.Compartment = id(1), &c
		case r.Vault != nil:
			c := *r.Vault
			c.Tenant, r.Vault = id(1), &c
		case r.Key != nil:
			k = *r.Key
			k.Tenant, k.Region = id(1), "home"
			c := k
			r.Key = &c
		case r.Alias != nil:
			c := *r.Alias
			c.Tenant, c.Region, c.Key, r.Alias = id(1), "home", k.ID, &c
		case r.Version != nil:
			c := *r.Version
			c.Tenant, c.Vault, c.Key, c.Region, r.Version = id(1), k.Vault, k.ID, "home", &c
			v = c.ID
		case r.External != nil:
			c := *r.External
			c.ID = map[keys.Type]keys.ID{keys.TypeVault: id(3), keys.TypeKey: k.ID, keys.TypeVersion: v}[c.Type]
			r.External = &c
		}
		out[i] = &r
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() (*Manifest, []*Record){"vault": sample, "key": ofKey} {
		m, recs := make()
		b := write(t, Lock{Root: rootKey(t, 0)}, m, recs)
		gotM, got, err := read(Opener{Root: rootKey(t, 0)}, b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(m, gotM); diff != "" {
			t.Errorf("%s: the manifest (-written +read):\n%s", name, diff)
		}
		if diff := cmp.Diff(placed(recs), got, sameSecret(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: the records (-written +read):\n%s", name, diff)
		}
		head, err := ReadHeader(bytes.NewReader(b))
		if diff := cmp.Diff(&Header{Manifest: *m, Root: rootKey(t, 0).ID()}, head); diff != "" || err != nil {
			t.Errorf("%s: the header alone, %v (-want +got):\n%s", name, err, diff)
		}
		for _, hidden := range []string{"alias/one", "material two", "carried", "finance"} {
			if bytes.Contains(b, []byte(hidden)) {
				t.Errorf("%s: %q stands in the clear", name, hidden)
			}
		}
	}
}

// TestEveryChange flips a bit of each byte of a small archive, and cuts it there.
func TestEveryChange(t *testing.T) {
	t.Parallel()
	m, recs := ofKey()
	good := write(t, Lock{Root: rootKey(t, 0)}, m, recs)
	root := Opener{Root: rootKey(t, 0)}
	refused := func(what string, i int, b []byte) {
		t.Helper()
		if _, _, err := read(root, b); !IsRefusal(err) {
			t.Errorf("%s at byte %d of %d: %v", what, i, len(good), err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		refused("a flipped bit", i, bad)
		refused("cut", i, good[:i])
	}
	refused("a byte more", len(good), append(bytes.Clone(good), 0))
	refused("itself once more", len(good), append(bytes.Clone(good), good...))
}

// long is an archive of several chunks.
func long(t testing.TB) (archive []byte, body int) {
	t.Helper()
	m, recs := ofKey()
	m.Counts.Versions = 20
	last := recs[len(recs)-1]
	recs = append(recs[:2:2], recs[2])
	key := *recs[2].Key
	key.Versions, recs[2] = 20, &Record{Key: &key}
	for i := range 20 {
		v := *last.Version
		v.Ordinal, v.ID = i+1, id(byte(100+i))
		if i == 19 {
			v.ID = key.Primary
		}
		recs = append(recs, &Record{Version: &v, Material: secret.New(bytes.Repeat([]byte{byte(i)}, 12_000))})
	}
	archive = write(t, Lock{Root: rootKey(t, 0)}, m, recs)
	lines := bytes.SplitAfterN(archive, []byte("\n"), 4)
	return archive, len(archive) - len(lines[3]) + commitmentSize
}

// TestChunks drops, repeats, swaps and cuts whole chunks, which are authentic in themselves.
func TestChunks(t *testing.T) {
	t.Parallel()
	good, body := long(t)
	root := Opener{Root: rootKey(t, 0)}
	if _, recs, err := read(root, good); err != nil || len(recs) != 23 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	head := good[:body]
	var chunks [][]byte
	for rest := good[body:]; len(rest) > 0; {
		n := min(boxSize, len(rest))
		chunks, rest = append(chunks, rest[:n]), rest[n:]
	}
	if len(chunks) < 4 {
		t.Fatalf("there are %d chunks only", len(chunks))
	}
	join := func(order ...int) []byte {
		out := bytes.Clone(head)
		for _, i := range order {
			out = append(out, chunks[i]...)
		}
		return out
	}
	for name, order := range map[string][]int{
		"none": {}, "the first": {0}, "all but the last": {0, 1, 2}, "the last dropped from the middle": {0, 2, 3},
		"swapped": {0, 2, 1, 3}, "repeated": {0, 1, 1, 2, 3}, "the last alone": {3}, "the last twice": {0, 1, 2, 3, 3}, "the first again": {0, 1, 2, 0, 3},
	} {
		if _, _, err := read(root, join(order...)); !IsRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		if _, _, err := read(root, good[:random.IntN(len(good))]); !IsRefusal(err) {
			t.Fatalf("cut somewhere: %v", err)
		}
	}
}

// TestSizes writes streams that end around the ends of chunks.
func TestSizes(t *testing.T) {
	t.Parallel()
	key := secret.New(make([]byte, seal.KeySize))
	for _, size := range []int{1, 100, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize} {
		var b bytes.Buffer
		w := newChunkWriter(&b, secret.Copy(key.Reveal()), steady())
		text := bytes.Repeat([]byte("abc"), size)[:size]
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)/3)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.finish(); err != nil {
			t.Fatal(err)
		}
		chunks := (size + chunkSize - 1) / chunkSize
		if want := size + chunks*seal.BoxOverhead; b.Len() != want {
			t.Errorf("%d bytes take %d, want %d", size, b.Len(), want)
		}
		got, err := io.ReadAll(chunksOf(b.Bytes(), key))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes read back as %d, %v", size, len(got), err)
		}
		if _, err := w.Write([]byte("more")); err == nil {
			t.Error("more is written after the end")
		}
	}
}

// TestPlacesOfChunks moves authentic chunks about: the chunk that is out of its place does not open,
// whatever it would say there.
func TestPlacesOfChunks(t *testing.T) {
	t.Parallel()
	key := secret.New(make([]byte, seal.KeySize))
	var b bytes.Buffer
	w := newChunkWriter(&b, secret.Copy(key.Reveal()), steady())
	if _, err := w.Write(make([]byte, 3*chunkSize+5)); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	c := b.Bytes()
	first, second, third, last := c[:boxSize], c[boxSize:2*boxSize], c[2*boxSize:3*boxSize], c[3*boxSize:]
	for name, chunks := range map[string][][]byte{
		"swapped": {second, first, third, last}, "the first dropped": {second, third, last}, "one dropped": {first, third, last},
		"one repeated": {first, first, third, last}, "one as the last": {first, second, third}, "the last too soon": {last},
		"the last within": {first, append(bytes.Clone(last), make([]byte, boxSize-len(last))...), third, last},
	} {
		if _, err := io.ReadAll(chunksOf(bytes.Join(chunks, nil), key)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
