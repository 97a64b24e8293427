// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"testing/iotest"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
)

func TestBox(t *testing.T) {
	t.Parallel()
	kek, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	aad := []byte("place")
	for _, size := range []int{0, 1, 32, 3000} {
		plaintext := secret.New(bytes.Repeat([]byte{9}, size))
		box, err := seal.SealBox(rand.Reader, kek, aad, plaintext)
		if err != nil {
			t.Fatalf("%d bytes: seal: %v", size, err)
		}
		if len(box) != size+seal.BoxOverhead {
			t.Errorf("%d bytes: the box has %d, want %d more", size, len(box), seal.BoxOverhead)
		}
		got, err := seal.OpenBox(kek, aad, box)
		if err != nil || !got.Equal(plaintext) {
			t.Errorf("%d bytes: open: other bytes, or %v", size, err)
		}
	}
}

func TestBoxRefuses(t *testing.T) {
	t.Parallel()
	kek, aad := secret.New(counting(seal.KeySize)), []byte("place")
	box, err := seal.SealBox(rand.Reader, kek, aad, secret.New([]byte("material")))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, kek secret.Bytes, aad, box []byte) {
		t.Helper()
		got, err := seal.OpenBox(kek, aad, box)
		if !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: %v, want ErrOpen", what, err)
		}
		if got.Len() != 0 {
			t.Errorf("%s: an error, but also %d bytes", what, got.Len())
		}
	}
	for i := range box {
		for bit := range 8 {
			bad := bytes.Clone(box)
			bad[i] ^= 1 << bit
			refused("flipped bit", kek, aad, bad)
		}
		refused("truncated", kek, aad, box[:i])
	}
	refused("longer", kek, aad, append(bytes.Clone(box), 0))
	refused("other key", secret.New(make([]byte, seal.KeySize)), aad, box)
	refused("other place", kek, []byte("plane"), box)
	refused("no place", kek, nil, box)
	// A byte cannot move between the box's head and its aad.
	refused("shifted", kek, append([]byte{box[0]}, aad...), box)
	if _, err := seal.OpenBox(secret.New(counting(16)), aad, box); err == nil {
		t.Error("a key of 16 bytes opens a box")
	}
	if _, err := seal.SealBox(rand.Reader, secret.New(counting(16)), aad, kek); err == nil {
		t.Error("a key of 16 bytes seals a box")
	}
}

func TestBoxNeedsRandomness(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("in FIPS-only mode nonces come from the module, not from rand")
	}
	kek := secret.New(counting(seal.KeySize))
	for what, r := range map[string]*bytes.Reader{"none": bytes.NewReader(nil), "too little": bytes.NewReader(make([]byte, 11))} {
		if box, err := seal.SealBox(r, kek, nil, kek); err == nil || box != nil {
			t.Errorf("%s: sealed without a whole nonce", what)
		}
	}
	if _, err := seal.NewKey(iotest.ErrReader(errNoRand)); !errors.Is(err, errNoRand) {
		t.Errorf("new key without randomness: %v", err)
	}
}

// fixedBox holds "material" for "place" under the key 00…1f, with the nonce ee…ee.
func fixedBox(t testing.TB) []byte {
	t.Helper()
	box, err := hex.DecodeString("01eeeeeeeeeeeeeeeeeeeeeeeec12ed14c4f2a3dd8ea0c36e16b1c9bce9cd07345801f86b4")
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// The layout is stored in every database: this box, put together by hand, must open for ever.
func TestBoxFormatIsFixed(t *testing.T) {
	t.Parallel()
	kek, aad := counting(seal.KeySize), []byte("place")
	box := fixedBox(t)
	got, err := seal.OpenBox(secret.New(kek), aad, box)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Reveal()) != "material" {
		t.Errorf("opens as %q", got.Reveal())
	}
	if fips140.Enforced() {
		return // arbitrary nonces are not allowed there
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := bytes.Repeat([]byte{0xee}, 12)
	byHand := slices.Concat([]byte{1}, nonce, gcm.Seal(nil, nonce, []byte("material"), slices.Concat([]byte{1}, aad)))
	if !bytes.Equal(byHand, box) {
		t.Errorf("put together by hand: %x", byHand)
	}
	ours, err := seal.SealBox(bytes.NewReader(nonce), secret.New(kek), aad, secret.New([]byte("material")))
	if err != nil || !bytes.Equal(ours, box) {
		t.Errorf("sealed now: %x, %v", ours, err)
	}
}

func FuzzOpenBox(f *testing.F) {
	kek := secret.New(counting(seal.KeySize))
	box := fixedBox(f)
	f.Add([]byte("place"), box)
	f.Add([]byte(nil), []byte{1})
	f.Add([]byte("place"), make([]byte, seal.BoxOverhead))
	f.Fuzz(func(t *testing.T, aad, b []byte) {
		got, err := seal.OpenBox(kek, aad, b)
		same := bytes.Equal(b, box) && string(aad) == "place"
		if same != (err == nil) {
			t.Fatalf("open: %v; is the sealed box: %v", err, same)
		}
		if err != nil && !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("refused with %v, want ErrOpen", err)
		}
		if err == nil && string(got.Reveal()) != "material" {
			t.Fatal("opens as something else")
		}
	})
}

func id(fill byte) keys.ID { return keys.ID(bytes.Repeat([]byte{fill}, 16)) }

func TestAADTellsPlacesApart(t *testing.T) {
	t.Parallel()
	places := []seal.AAD{
		{},
		{Purpose: "a"},
		{Purpose: "b"},
		{Purpose: "ab"},
		{Tenant: id(1)},
		{Vault: id(1)},
		{Key: id(1)},
		{Version: id(1)},
		{Row: id(1)},
		{Tenant: id(1), Vault: id(2)},
		{Tenant: id(2), Vault: id(1)},
		{Vault: id(1), Key: id(2)},
		{Key: id(1), Version: id(2)},
		{Generation: 1},
		{Generation: 256},
		{Generation: -1},
		{Purpose: seal.Purpose("\x10" + string(bytes.Repeat([]byte{1}, 16)))},
	}
	seen := map[string]seal.AAD{}
	for _, p := range places {
		text := string(p.Bytes())
		if other, taken := seen[text]; taken {
			t.Errorf("%+v and %+v have the same bytes", p, other)
		}
		seen[text] = p
	}
}

// Decode what Bytes gives with a reader that knows only the rule of lengths: so the encoding is
// unambiguous whatever the fields hold.
func FuzzAAD(f *testing.F) {
	f.Add("key-material", bytes.Repeat([]byte{7}, 80), int64(3))
	f.Add("", make([]byte, 80), int64(-1))
	f.Fuzz(func(t *testing.T, purpose string, ids []byte, generation int64) {
		if len(purpose) > 255 || len(ids) != 80 {
			t.Skip()
		}
		a := seal.AAD{
			Purpose: seal.Purpose(purpose), Tenant: keys.ID(ids[:16]), Vault: keys.ID(ids[16:32]),
			Key: keys.ID(ids[32:48]), Version: keys.ID(ids[48:64]), Row: keys.ID(ids[64:]), Generation: generation,
		}
		rest := a.Bytes()
		next := func() []byte {
			n := int(rest[0])
			part := rest[1 : 1+n]
			rest = rest[1+n:]
			return part
		}
		nextID := func() (id keys.ID) {
			copy(id[:], next())
			return id
		}
		label := string(next())
		got := seal.AAD{Purpose: seal.Purpose(next()), Tenant: nextID(), Vault: nextID(), Key: nextID(), Version: nextID(), Row: nextID()}
		for _, b := range rest {
			got.Generation = got.Generation<<8 | int64(b)
		}
		if label != "claviger/aad/1" || len(rest) != 8 || got != a {
			t.Fatalf("%+v reads back as %q %+v", a, label, got)
		}
	})
}

func TestAADFormatIsFixed(t *testing.T) {
	t.Parallel()
	got := hex.EncodeToString(seal.AAD{
		Purpose: seal.PurposeMaterial, Tenant: id(1), Vault: id(2), Key: id(3), Version: id(4), Generation: 5,
	}.Bytes())
	const want = "0e" + "636c6176696765722f6161642f31" + // claviger/aad/1
		"0c" + "6b65792d6d6174657269616c" + // key-material
		"10" + "01010101010101010101010101010101" +
		"10" + "02020202020202020202020202020202" +
		"10" + "03030303030303030303030303030303" +
		"10" + "04040404040404040404040404040404" +
		"00" + "0000000000000005"
	if got != want {
		t.Errorf("AAD is\n%s, want\n%s", got, want)
	}
}
