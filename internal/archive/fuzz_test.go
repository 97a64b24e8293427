// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
)

func spooled(b []byte) (out []*Record, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		rec, err := ReadRecord(r)
		if errors.Is(err, io.EOF) && !IsRefusal(err) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
}

// FuzzArchive reads any bytes as an archive: only those that were written open.
func FuzzArchive(f *testing.F) {
	m, recs := ofKey()
	good := write(f, Lock{Root: rootKey(f, 0)}, m, recs)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("claviger-archive/1\n{}\n{}\n"))
	f.Add([]byte("claviger-archive/2\n"))
	root := Opener{Root: rootKey(f, 0), Identities: identitiesOf(f, testIdentity)}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := read(root, b)
		if same := bytes.Equal(b, good); same != (err == nil) {
			t.Fatalf("read: %v; is the archive: %t", err, same)
		}
		if err != nil && !IsRefusal(err) {
			t.Fatalf("refused with %v", err)
		}
		_, _ = ReadHeader(bytes.NewReader(b))
	})
}

// FuzzRecords reads any bytes as the stream within an archive that opens. What is read is written
// again as the same bytes: there is one encoding of everything.
func FuzzRecords(f *testing.F) {
	m, recs := sample()
	var b bytes.Buffer
	for _, rec := range recs {
		if err := WriteRecord(&b, rec); err != nil {
			f.Fatal(err)
		}
	}
	end := frameOf(f, `{"end":{"vaults":1,"keys":4,"versions":6}}`, "", "")
	f.Add(append(bytes.Clone(b.Bytes()), end...))
	f.Add(b.Bytes())
	f.Add(end)
	f.Add(frameOf(f, `{"key":{"id":""}}`, "x", "y"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) == 0 {
			t.Skip() // no stream is empty: it has an end
		}
		_, got, err := read(Opener{Root: rootKey(t, 0)}, forge(t, m, stream))
		if err != nil {
			if !IsRefusal(err) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var again bytes.Buffer
		for _, rec := range got {
			if err := WriteRecord(&again, rec); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(append(again.Bytes(), end...), stream) {
			t.Fatal("what was read is written otherwise")
		}
	})
}
