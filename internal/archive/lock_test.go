// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"claviger/internal/fipstest"
	"claviger/internal/keys"
	"claviger/internal/secret"
)

var update = flag.Bool("update", false, "write testdata/*.archive")

// Two identities of age for tests, made by age-keygen.
const (
	testIdentity = "# of nobody\nAGE-SECRET-KEY-1L46PTVS7FZCC6YEJ2KSC8EGLWYYT6TUYZWF7ZUNU83YAQNRU0LJQLKCC2K\n"
	testHybrid   = "AGE-SECRET-KEY-PQ-1ZAHAZ9HEU2YZCTXWFE485KYHEGDLSRHGHGNJYMD0PYPQ2SU806QSZ570N7"
	testName     = "age1gnjzl65hu9xuvfk5pt28eumssfua5hx944fdcv8ce6xslrstsqsq5ge9lw"
)

func identitiesOf(t testing.TB, text string) Identities {
	t.Helper()
	out, err := ParseIdentities(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func recipientsOf(t testing.TB, names ...string) Recipients {
	t.Helper()
	out, err := ParseRecipients(names)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecipients locks archives to people, who open them without any root key.
func TestRecipients(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("FIPS-only mode has no recipients, see TestFIPS")
	}
	const other = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
	m, recs := ofKey()
	both := recipientsOf(t, other, testName)
	b := write(t, Lock{Root: rootKey(t, 0), Recipients: both}, m, recs)
	mine := identitiesOf(t, testIdentity)
	for name, o := range map[string]Opener{"with a root": {rootKey(t, 0), mine}, "alone": {nil, mine}} {
		gotM, got, err := read(o, b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(placed(recs), got, sameSecret(), cmpopts.EquateEmpty()) + cmp.Diff(m, gotM); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
	head, err := ReadHeader(bytes.NewReader(b))
	if err != nil || head.Root != "" || !cmp.Equal(head.Recipients, []string{other, testName}) {
		t.Errorf("its header is %+v, %v", head, err)
	}
	for name, o := range map[string]Opener{"the root key": {Root: rootKey(t, 0)}, "somebody else": {Identities: identitiesOf(t, testHybrid)}} {
		if _, _, err := read(o, b); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), testName) {
			t.Errorf("opened by %s: %v", name, err)
		}
	}
	for i := 0; i < len(b); i += 5 {
		bad := bytes.Clone(b)
		bad[i] ^= 0x20
		if _, _, err := read(Opener{Identities: mine}, bad); !IsRefusal(err) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func TestParseRecipients(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("FIPS-only mode has no recipients, see TestFIPS")
	}
	none := recipientsOf(t)
	if len(none.Names()) != 0 {
		t.Errorf("nobody is %v", none.Names())
	}
	if got := recipientsOf(t, testName).Names(); !cmp.Equal(got, []string{testName}) {
		t.Errorf("somebody is %v", got)
	}
	for name, text := range map[string][]string{
		"nothing": {""}, "a comment": {"# x"}, "a private key": {strings.TrimSpace(strings.TrimPrefix(testIdentity, "# of nobody\n"))},
		"two in one": {testName + "\n" + testName}, "a typo": {strings.Replace(testName, "gnj", "gnk", 1)}, "an SSH key": {"ssh-ed25519 AAAA"},
	} {
		if _, err := ParseRecipients(text); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "a public key": testName, "half of one": testIdentity[:40]} {
		if _, err := ParseIdentities(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "SECRET-KEY-1L") {
			t.Errorf("identity, %s: %v", name, err)
		}
	}
}

// TestVectors reads archives of each format that a release has written, and writes the one under
// the root key 00 01 … 1f again: it must be the same to the byte.
func TestVectors(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("in FIPS-only mode nonces come from the module, not from rand")
	}
	m, recs := sample()
	opener := Opener{Root: rootKey(t, 0), Identities: identitiesOf(t, testIdentity)}
	for name, l := range map[string]Lock{
		"vault-root-1.archive":       {Root: rootKey(t, 0)},
		"vault-recipients-1.archive": {Recipients: recipientsOf(t, testName)},
	} {
		path := filepath.Join("testdata", name)
		now := write(t, l, m, recs)
		if *update {
			if err := os.WriteFile(path, now, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if l.Root != nil && !bytes.Equal(kept, now) {
			t.Errorf("%s is written otherwise now: a format that was released is never changed", name)
		}
		gotM, got, err := read(opener, kept)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(placed(recs), got, sameSecret(), cmpopts.EquateEmpty()) + cmp.Diff(m, gotM); diff != "" {
			t.Errorf("%s (-want +read):\n%s", name, diff)
		}
	}
}

// TestFIPS asks for what is refused while FIPS 140-3 is enforced, and uses the rest.
func TestFIPS(t *testing.T) {
	t.Parallel()
	if !fipstest.Enforced(t) {
		return
	}
	m, recs := sample()
	if _, got, err := read(Opener{Root: rootKey(t, 0)}, write(t, Lock{Root: rootKey(t, 0)}, m, recs)); err != nil || len(got) != len(recs) {
		t.Errorf("under a root key: %d records, %v", len(got), err)
	}
	if _, err := ParseRecipients([]string{testName}); err == nil {
		t.Error("recipients are allowed")
	}
}

// notCarried are the fields that an archive leaves out, and why that loses nothing.
var notCarried = map[string]string{
	"Revision":      "each store has its own",
	"Restored":      "a restore says it anew",
	"Sealed":        "material travels in Record.Material",
	"Fingerprint":   "it travels in Record.Fingerprint",
	"KEKGeneration": "it is the sealed material's",
	"Erased":        "it follows from the versions",
	"Fleet":         "it goes with the endpoint, which may become another",
	"Replica":       "it is a vault of its own making, and is made again where it is wanted",
}

// placedBy are the fields that the records before say.
var placedBy = map[string][]string{
	"Compartment": {"Tenant"}, "Vault": {"Tenant"}, "Key": {"Tenant", "Region"},
	"Version": {"Tenant", "Vault", "Key", "Region"}, "Alias": {"Tenant", "Region", "Key"}, "External": {"ID"},
}

// TestEveryFieldIsCarried fills each field of each record and looks for it in the document: a
// field that is new in the domain must be carried, or be named above with the reason.
func TestEveryFieldIsCarried(t *testing.T) {
	t.Parallel()
	for _, rec := range []*Record{
		{Tenant: &keys.Tenant{}},
		{Compartment: &keys.Compartment{}},
		{Vault: &keys.Vault{}},
		{Key: &keys.Key{}},
		{Alias: &keys.Alias{}},
		{External: &External{}},
		{Version: &keys.Version{}},
	} {
		name, in := member(rec)
		fill(t, name, in)
		doc, err := rec.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := parse(doc)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, out := member(again)
		for i := range in.NumField() {
			field := in.Type().Field(i).Name
			_, left := notCarried[field]
			for _, f := range placedBy[name] {
				left = left || f == field
			}
			if same := cmp.Equal(in.Field(i).Interface(), out.Field(i).Interface()); same == left {
				t.Errorf("%s.%s is carried: %t, want %t", name, field, same, !left)
			}
		}
	}
}

// member is the one member of a record that is set.
func member(rec *Record) (string, reflect.Value) {
	v := reflect.ValueOf(rec).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			return v.Type().Field(i).Name, f.Elem()
		}
	}
	return "", reflect.Value{}
}

// fill sets every field to something that is not zero.
func fill(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Field(i)
		switch p := f.Addr().Interface().(type) {
		case *keys.ID:
			*p = id(byte(i + 1))
		case *time.Time:
			*p = at(i + 1)
		case *time.Duration:
			*p = time.Hour
		case *keys.Names:
			*p = keys.Names{"oci": "name"}
		case *keys.Tags:
			*p = keys.Tags{Plain: map[string]string{"a": "b"}, Namespaced: map[string]map[string]string{"n": {"c": "d"}}}
		case **keys.Restoration:
			*p = &keys.Restoration{From: id(byte(i + 1)), At: at(i + 1)}
		case *[]byte:
			*p = []byte("bytes")
		case *keys.Usage:
			*p = keys.UsageEncrypt | keys.UsageSign | keys.UsageMAC
		default:
			switch f.Kind() {
			case reflect.String:
				f.SetString("text")
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Int, reflect.Int64:
				f.SetInt(int64(i + 1))
			case reflect.Struct:
				fill(t, name, f)
			default:
				t.Fatalf("%s.%s is a %s, which this test cannot fill", name, v.Type().Field(i).Name, f.Type())
			}
		}
	}
}

func TestSpoolRecords(t *testing.T) {
	t.Parallel()
	_, recs := sample()
	var b bytes.Buffer
	for _, rec := range recs {
		if err := WriteRecord(&b, rec); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.Bytes()
	got, err := spooled(whole)
	if err != nil || len(got) != len(recs) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if !got[9].Material.Equal(secret.New([]byte("material two"))) {
		t.Error("material is lost")
	}
	if _, err := spooled(whole[:len(whole)-1]); err == nil {
		t.Error("a record that is cut short is read")
	}
}
