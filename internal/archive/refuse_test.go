// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
)

func chunksOf(b []byte, key secret.Bytes) *chunkReader {
	return newChunkReader(bufio.NewReaderSize(bytes.NewReader(b), boxSize+1), secret.Copy(key.Reveal()))
}

// forge makes an archive whose stream holds any bytes, as somebody can who may lock one.
func forge(t testing.TB, m *Manifest, stream []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	key, err := writeHeader(t.Context(), &b, m, Lock{Root: rootKey(t, 0)}, steady())
	if err != nil {
		t.Fatal(err)
	}
	w := newChunkWriter(&b, key, steady())
	if _, err := w.Write(stream); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// frameOf is a document as it stands in a stream.
func frameOf(t testing.TB, doc string, material, fingerprint string) []byte {
	t.Helper()
	var b bytes.Buffer
	err := writeFrame(&b, []byte(doc), &Record{Material: secret.New([]byte(material)), Fingerprint: secret.New([]byte(fingerprint))})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// documents is an archive's stream as text: each document, and its secrets.
func documents(t testing.TB, recs []*Record, end Counts) [][3]string {
	t.Helper()
	var out [][3]string
	for _, rec := range recs {
		doc, err := rec.encode()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, [3]string{string(doc), string(rec.Material.Reveal()), string(rec.Fingerprint.Reveal())})
	}
	last, err := canonical(&document{End: &end})
	if err != nil {
		t.Fatal(err)
	}
	return append(out, [3]string{string(last)})
}

// TestForgedRecords reads archives that open, and hold what no release would have written.
func TestForgedRecords(t *testing.T) {
	t.Parallel()
	m, recs := sample()
	good := documents(t, recs, m.Counts)
	find := func(part string) int {
		i := slices.IndexFunc(good, func(d [3]string) bool { return strings.HasPrefix(d[0], `{"`+part) })
		if i < 0 {
			t.Fatalf("no document begins with %s", part)
		}
		return i
	}
	stream := func(docs [][3]string) []byte {
		var b []byte
		for _, d := range docs {
			b = append(b, frameOf(t, d[0], d[1], d[2])...)
		}
		return b
	}
	root := Opener{Root: rootKey(t, 0)}
	if _, _, err := read(root, forge(t, m, stream(good))); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	replace := func(part, old, new string) func([][3]string) [][3]string {
		return func(d [][3]string) [][3]string {
			i := find(part)
			if !strings.Contains(d[i][0], old) {
				t.Fatalf("%s has no %s: %s", part, old, d[i][0])
			}
			d[i][0] = strings.Replace(d[i][0], old, new, 1)
			return d
		}
	}
	drop := func(part string) func([][3]string) [][3]string {
		return func(d [][3]string) [][3]string { return slices.Delete(d, find(part), find(part)+1) }
	}
	twice := func(part string) func([][3]string) [][3]string {
		return func(d [][3]string) [][3]string { return slices.Insert(d, find(part), d[find(part)]) }
	}
	const deleted = `"state":"DELETED","deleteAt":"2026-01-09T02:03:04.567891Z"`
	for name, change := range map[string]func([][3]string) [][3]string{
		"a space":              replace("tenant", `{"tenant":`, `{"tenant": `),
		"an unknown member":    replace("tenant", `"name":"acme"`, `"name":"acme","more":1`),
		"another case":         replace("tenant", `"name"`, `"Name"`),
		"a repeated member":    replace("tenant", `"name":"acme"`, `"name":"x","name":"acme"`),
		"two records in one":   replace("tenant", `}}`, `},"end":{"vaults":1,"keys":4,"versions":6}}`),
		"an escaped letter":    replace("tenant", `acme`, `\u0061cme`),
		"invalid UTF-8":        replace("tenant", `acme`, "\xff"),
		"nothing in it":        func(d [][3]string) [][3]string { d[0][0] = `{}`; return d },
		"no JSON":              func(d [][3]string) [][3]string { d[0][0] = `nonsense`; return d },
		"another tenant":       replace("tenant", id(1).String(), id(7).String()),
		"two tenants":          twice("tenant"),
		"no tenant":            drop("tenant"),
		"a tenant of no name":  replace("tenant", `"name":"acme"`, `"name":""`),
		"no compartment":       drop("compartment"),
		"two compartments":     twice("compartment"),
		"another vault":        replace("vault", id(3).String(), id(7).String()),
		"two vaults":           twice("vault"),
		"no vault":             drop("vault"),
		"a vault elsewhere":    replace("vault", `"home"`, `"away"`),
		"a vault of no kind":   replace("vault", `"PRIVATE"`, `"PUBLIC"`),
		"a vault on its way":   replace("vault", `"state":"ACTIVE"`, `"state":"PENDING_DELETION","deleteAt":"2026-01-28T02:03:04Z"`),
		"a vault before 1970":  replace("vault", `"createdAt":"2026`, `"createdAt":"1926`),
		"a vault's nanosecond": replace("vault", `567891Z"`, `5678912Z"`),
		"another time zone":    replace("vault", `567891Z"`, `567891+01:00"`),
		"a key in no vault":    replace("key", `"vault":"`+id(3).String(), `"vault":"`+id(7).String()),
		"a key twice":          twice("key"),
		"a key of no spec":     replace("key", `"AES_256"`, `"AES_257"`),
		"a usage too many":     replace("key", `["encrypt"]`, `["encrypt","sign"]`),
		"no usage":             replace("key", `["encrypt"]`, `[]`),
		"usages in disorder":   replace("key", `["encrypt"]`, `["sign","encrypt"]`),
		"a key in no state":    replace("key", `"state":"ENABLED"`, `"state":"RESTORING"`),
		"a key active":         replace("key", `"state":"ENABLED"`, `"state":"ACTIVE"`),
		"scheduled at no time": replace("key", `"state":"ENABLED"`, `"state":"PENDING_DELETION","before":"ENABLED"`),
		"a state before":       replace("key", `"state":"ENABLED"`, `"state":"ENABLED","before":"DISABLED"`),
		"a tombstone's tags":   replace("key", `"state":"ENABLED"`, deleted),
		"a hidden key":         replace("key", `"tags"`, `"hidden":true,"tags"`),
		"fewer versions":       replace("key", `"versions":4`, `"versions":3`),
		"negative versions":    replace("key", `"versions":4`, `"versions":-1`),
		"another primary":      replace("key", `"primary":"`+id(13).String(), `"primary":"`+id(12).String()),
		"an interval of ages":  replace("key", `"interval":2592000000000`, `"interval":9000000000000000000`),
		"an alias of nothing":  replace("alias", `"alias/one"`, `""`),
		"an alias of a vault":  func(d [][3]string) [][3]string { i := find("alias"); d[i], d[i-1] = d[i-1], d[i]; return d },
		"an id of nothing":     replace("external", `"kst-1"`, `""`),
		"an id of another":     replace("external", `"type":"vault"`, `"type":"keyversion"`),
		"a version of nothing": func(d [][3]string) [][3]string { i := find("key"); return slices.Delete(d, i, i+4) },
		"ordinals in disorder": replace("version", `"ordinal":1`, `"ordinal":3`),
		"ordinal 0":            replace("version", `"ordinal":1`, `"ordinal":0`),
		"an erased one's key":  replace("version", `"origin"`, `"publicKey":"AAAA","origin"`),
		"material of the erased": func(d [][3]string) [][3]string {
			d[find("version")][1] = "material"
			return d
		},
		"a mark of the erased": func(d [][3]string) [][3]string { d[find("version")][2] = "mark"; return d },
		"no material":          func(d [][3]string) [][3]string { d[find("version")+1][1] = ""; return d },
		"material of a tenant": func(d [][3]string) [][3]string { d[0][1] = "material"; return d },
		"material at the end":  func(d [][3]string) [][3]string { d[len(d)-1][1] = "material"; return d },
		"a version of no kind": replace("version", `"GENERATED"`, `"GUESSED"`),
		"no end":               func(d [][3]string) [][3]string { return d[:len(d)-1] },
		"two ends":             func(d [][3]string) [][3]string { return append(d, d[len(d)-1]) },
		"more after the end":   func(d [][3]string) [][3]string { return append(d, d[len(d)-2]) },
		"other totals":         replace("end", `"versions":6`, `"versions":5`),
		"a version left out":   drop("version"),
	} {
		docs := slices.Clone(good)
		_, _, err := read(root, forge(t, m, stream(change(docs))))
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := stream(good)
	for name, b := range map[string][]byte{
		"nothing": {0}, "half a length": whole[:2], "half a document": whole[:40], "no secrets": whole[:len(whole)-4],
		"a huge document": {0xff, 0xff, 0xff, 0xff}, "a huge secret": append(frameOf(t, "{}", "", "")[:6], 0, 1, 0, 1), "a byte too many": append(bytes.Clone(whole), 0),
	} {
		if _, _, err := read(root, forge(t, m, b)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManifests reads and writes what contradicts itself.
func TestManifests(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Manifest){
		"no id":             func(m *Manifest) { m.ID = keys.ID{} },
		"no kind":           func(m *Manifest) { m.Kind = "tenant" },
		"no tenant":         func(m *Manifest) { m.Tenants = nil },
		"two tenants":       func(m *Manifest) { m.Tenants = append(m.Tenants, m.Tenants[0]) },
		"no vault":          func(m *Manifest) { m.Vault = nil },
		"a key of a vault":  func(m *Manifest) { m.Key = m.Vault },
		"two vaults":        func(m *Manifest) { m.Counts.Vaults = 2 },
		"negative":          func(m *Manifest) { m.Counts.Versions = -1 },
		"no region":         func(m *Manifest) { m.Region = "" },
		"no time":           func(m *Manifest) { m.CreatedAt = time.Time{} },
		"negative revision": func(m *Manifest) { m.Revision = -1 },
	} {
		m, _ := sample()
		change(m)
		if _, err := NewWriter(t.Context(), io.Discard, m, Lock{Root: rootKey(t, 0)}, steady()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s is written: %v", name, err)
		}
		if _, _, err := read(Opener{Root: rootKey(t, 0)}, forge(t, m, []byte("stream"))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s is read: %v", name, err)
		}
	}
	m, _ := sample()
	m.Kind = KindStore
	if _, err := ReadHeader(bytes.NewReader(forge(t, m, []byte("stream")))); !errors.Is(err, ErrDamaged) {
		t.Errorf("the archive of a store that names a vault: %v", err)
	}
	if _, _, err := read(Opener{Root: rootKey(t, 0)}, forge(t, storeManifest(), []byte("stream"))); !errors.Is(err, ErrFormat) {
		t.Errorf("the archive of a store in place of a vault's: %v", err)
	}
	if _, err := NewStoreReader(t.Context(), bytes.NewReader(forge(t, m, nil)), Opener{}); err == nil {
		t.Error("the archive of a vault is read as that of a store")
	}
}

// TestHeaders reads what is no archive, or not one of this release.
func TestHeaders(t *testing.T) {
	t.Parallel()
	m, recs := ofKey()
	good := write(t, Lock{Root: rootKey(t, 0)}, m, recs)
	lines := bytes.SplitAfterN(good, []byte("\n"), 4)
	with := func(i int, line string) []byte {
		l := slices.Clone(lines)
		l[i] = []byte(line)
		return bytes.Join(l, nil)
	}
	var kept lock
	if err := json.Unmarshal(lines[2], &kept); err != nil {
		t.Fatal(err)
	}
	lockOf := func(change func(*lock)) string {
		l := kept
		change(&l)
		b, err := canonical(&l)
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":            {nil, ErrFormat},
		"something":          {bytes.Repeat([]byte("x"), 100_000), ErrFormat},
		"a text":             {[]byte("hello\nworld\n"), ErrFormat},
		"format 2":           {with(0, "claviger-archive/2\n"), ErrNewer},
		"format 01":          {with(0, "claviger-archive/01\n"), ErrNewer},
		"another line end":   {with(0, "claviger-archive/1\r\n"), ErrNewer},
		"no manifest":        {with(1, "\n"), ErrDamaged},
		"an endless line":    {with(1, strings.Repeat("x", maxLine+10)), ErrDamaged},
		"another count":      {with(1, strings.Replace(string(lines[1]), `"versions":3`, `"versions":4`, 1)), ErrDamaged},
		"another software":   {with(1, strings.Replace(string(lines[1]), `v1.2.3`, `v9.9.9`, 1)), ErrDamaged},
		"another archive":    {with(1, strings.Replace(string(lines[1]), id(9).String(), id(10).String(), 1)), ErrDamaged},
		"no lock":            {with(2, "{}\n"), ErrDamaged},
		"locked to two":      {with(2, lockOf(func(l *lock) { l.Recipients = []string{"age1"} })), ErrDamaged},
		"locked to nobody":   {with(2, lockOf(func(l *lock) { l.Root = "" })), ErrDamaged},
		"locked to another":  {with(2, lockOf(func(l *lock) { l.Root = "0123456789abcdef" })), ErrKey},
		"no key":             {with(2, lockOf(func(l *lock) { l.Key = nil })), ErrDamaged},
		"half a key":         {with(2, lockOf(func(l *lock) { l.Key = l.Key[:20] })), ErrDamaged},
		"locked for someone": {with(2, lockOf(func(l *lock) { l.Root, l.Recipients = "", []string{"age1xyz"} })), ErrKey},
	} {
		if _, _, err := read(Opener{Root: rootKey(t, 0)}, c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	t.Parallel()
	m, recs := ofKey()
	good := write(t, Lock{Root: rootKey(t, 0)}, m, recs)
	_, _, err := read(Opener{Root: rootKey(t, 1)}, good)
	if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), rootKey(t, 0).ID()) || !strings.Contains(err.Error(), rootKey(t, 1).ID()) {
		t.Errorf("another root key: %v", err)
	}
	if _, _, err := read(Opener{}, good); !errors.Is(err, ErrKey) {
		t.Errorf("no root key: %v", err)
	}
	closed := rootKey(t, 0)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(Opener{Root: closed}, good); !errors.Is(err, seal.ErrClosed) || IsRefusal(err) {
		t.Errorf("a closed seal: %v", err)
	}
	if _, err := NewWriter(t.Context(), io.Discard, m, Lock{Root: closed}, steady()); !errors.Is(err, seal.ErrClosed) {
		t.Errorf("written under a closed seal: %v", err)
	}
}

// TestTroubleIsToldApart fails the reading and the writing: that says nothing about the archive.
func TestTroubleIsToldApart(t *testing.T) {
	t.Parallel()
	trouble := errors.New("the disk is on fire")
	good, body := long(t)
	for _, n := range []int{0, 5, 100, body - 5, body + 5, body + boxSize, len(good) - 1, len(good)} {
		in := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(trouble))
		if _, _, err := readFrom(Opener{Root: rootKey(t, 0)}, in); !errors.Is(err, trouble) || IsRefusal(err) {
			t.Errorf("reading fails after %d bytes: %v", n, err)
		}
	}
	if _, recs, err := readFrom(Opener{Root: rootKey(t, 0)}, iotest.OneByteReader(bytes.NewReader(good))); err != nil || len(recs) != 23 {
		t.Errorf("byte by byte: %d records, %v", len(recs), err)
	}
	m, recs := ofKey()
	whole := write(t, Lock{Root: rootKey(t, 0)}, m, recs)
	for n := 0; n < len(whole); n += 7 {
		w, err := NewWriter(t.Context(), &limitedWriter{n, trouble}, m, Lock{Root: rootKey(t, 0)}, steady())
		for i := 0; err == nil && i < len(recs); i++ {
			err = w.Write(recs[i])
		}
		if err == nil {
			err = w.Finish()
		}
		if !errors.Is(err, trouble) {
			t.Fatalf("writing fails after %d bytes: %v", n, err)
		}
	}
}

// limitedWriter fails when it is full.
type limitedWriter struct {
	n   int
	err error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return w.n, w.err
	}
	w.n -= len(p)
	return len(p), nil
}

// TestWriterRefuses writes what a reader would not take.
func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	m, recs := sample()
	for name, c := range map[string]struct {
		before int // how many records are written first
		rec    *Record
	}{
		"nothing":            {0, &Record{}},
		"two at once":        {0, &Record{Tenant: recs[0].Tenant, Vault: recs[2].Vault}},
		"a vault first":      {0, recs[2]},
		"a tenant again":     {1, recs[0]},
		"a version too soon": {3, recs[8]},
		"a version again":    {9, recs[8]},
		"live, no material":  {9, &Record{Version: recs[9].Version}},
		"a huge name":        {5, &Record{Alias: &keys.Alias{Name: strings.Repeat("x", maxDocument), CreatedAt: at(1)}}},
		"huge material":      {9, &Record{Version: recs[9].Version, Material: secret.New(make([]byte, maxSecret+1))}},
	} {
		w, err := NewWriter(t.Context(), io.Discard, m, Lock{Root: rootKey(t, 0)}, steady())
		for i := 0; err == nil && i < c.before; i++ {
			err = w.Write(recs[i])
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := w.Write(c.rec); err == nil {
			t.Errorf("%s: written", name)
		}
		if err := w.Finish(); err == nil {
			t.Errorf("%s: finished with other totals than the manifest's", name)
		}
		w.Wipe()
	}
}

func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()
	_, recs := sample()
	identities, err := ParseIdentities(strings.NewReader(testIdentity))
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		got := fmt.Sprintf(form, identities) + fmt.Sprintf(form, &identities) + fmt.Sprintf(form, struct{ i Identities }{identities}) + fmt.Sprintf(form, recs[9])
		for _, hidden := range []string{"AGE-SECRET-KEY", testIdentity[20:40], "material two", fmt.Sprintf("%x", "material two")} {
			if strings.Contains(strings.ToUpper(got), strings.ToUpper(hidden)) {
				t.Errorf("%s shows %q", form, hidden)
			}
		}
	}
}
