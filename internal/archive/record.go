// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// Record is one record of an archive: exactly one pointer is set. Records come in this order: a
// tenant; its compartments as far as they are named, each before it is named; a vault; its
// external ids; a key; its aliases and external ids; its versions by their ordinals, each
// followed by its external ids; the next key. The archive of a key has no vault. Whoever reads a
// record finds in it whose it is. Revisions, what was restored from what, how material was sealed,
// and how many versions of a key are erased are no part of an archive: ordinals that are missing
// are of versions whose tombstones are gone too.
type Record struct {
	Tenant      *keys.Tenant
	Compartment *keys.Compartment
	Vault       *keys.Vault
	Key         *keys.Key
	Alias       *keys.Alias
	External    *External
	Version     *keys.Version
	// Of a version: its material, and what imported material is recognized by. Erased versions
	// have neither, and those that wait for their material have the latter only.
	Material, Fingerprint secret.Bytes
}

func (r *Record) hasSecrets() bool { return r.Material.Len() > 0 || r.Fingerprint.Len() > 0 }

// Wipe forgets the secrets of a record.
func (r *Record) Wipe() {
	r.Material.Wipe()
	r.Fingerprint.Wipe()
}

// External is another name of the vault, key or version before it, in a dialect. Its tenant and
// region are theirs.
type External struct {
	Dialect string
	Type    keys.Type
	Name    string
	ID      keys.ID
}

// Bounds of a frame, far above anything that is stored.
const (
	maxDocument = 4 << 20
	maxSecret   = 64 << 10
)

var errRecord = errors.New("a record of the archive has none or several members")

// document takes a record apart.
func (r *Record) document() (*document, error) {
	var d document
	n := 0
	if r.Tenant != nil {
		d.Tenant = tenantToDoc(r.Tenant)
		n++
	}
	if r.Compartment != nil {
		d.Compartment = compartmentToDoc(r.Compartment)
		n++
	}
	if r.Vault != nil {
		d.Vault = vaultToDoc(r.Vault)
		n++
	}
	if r.Key != nil {
		d.Key = keyToDoc(r.Key)
		n++
	}
	if r.Alias != nil {
		d.Alias = &aliasDoc{r.Alias.Name, r.Alias.CreatedAt}
		n++
	}
	if r.External != nil {
		d.External = &externalDoc{r.External.Dialect, r.External.Type, r.External.Name}
		n++
	}
	if r.Version != nil {
		d.Version = versionToDoc(r.Version)
		n++
	}
	if n != 1 {
		return nil, errRecord
	}
	return &d, nil
}

// record is the record of a document; nil for the end.
func (d *document) record() (*Record, error) {
	var r Record
	n := 0
	if d.Tenant != nil {
		r.Tenant = d.Tenant.tenant()
		n++
	}
	if d.Compartment != nil {
		r.Compartment = d.Compartment.compartment()
		n++
	}
	if d.Vault != nil {
		r.Vault = d.Vault.vault()
		n++
	}
	if d.Key != nil {
		r.Key = d.Key.key()
		n++
	}
	if d.Alias != nil {
		r.Alias = &keys.Alias{Name: d.Alias.Name, CreatedAt: d.Alias.CreatedAt}
		n++
	}
	if d.External != nil {
		r.External = &External{Dialect: d.External.Dialect, Type: d.External.Type, Name: d.External.Name}
		n++
	}
	if d.Version != nil {
		r.Version = d.Version.version()
		n++
	}
	switch {
	case n == 0 && d.End != nil:
		return nil, nil
	case n != 1 || d.End != nil:
		return nil, errRecord
	}
	return &r, nil
}

// encode is the one document of a record.
func (r *Record) encode() ([]byte, error) {
	d, err := r.document()
	if err != nil {
		return nil, err
	}
	return canonical(d)
}

// parse reads a document; a nil record is the end, with its totals.
func parse(text []byte) (*Record, *Counts, error) {
	var d document
	if err := decode(text, &d); err != nil {
		return nil, nil, err
	}
	r, err := d.record()
	return r, d.End, err
}

// WriteRecord writes a record with its secrets as they are given, in the clear: for a place where
// these are sealed in some other way, until it is known what a manifest says.
func WriteRecord(w io.Writer, r *Record) error {
	doc, err := r.encode()
	if err != nil {
		return err
	}
	return writeFrame(w, doc, r)
}

// ReadRecord reads what WriteRecord wrote; [io.EOF] where there is no more. Whose a record is does
// not stand in it.
func ReadRecord(r *bufio.Reader) (*Record, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	f, err := readFrame(r, nil)
	if err != nil {
		return nil, err
	}
	rec, _, err := parse(f.document)
	if err != nil || rec == nil {
		return nil, errors.Join(err, errRecord)
	}
	rec.Material, rec.Fingerprint = f.material, f.fingerprint
	return rec, nil
}

// frame is a document with its secrets: the length of each in 4 bytes, big-endian, before it.
type frame struct {
	document              []byte
	material, fingerprint secret.Bytes
}

// writeFrame writes a document with the secrets of a record.
func writeFrame(w io.Writer, doc []byte, r *Record) error {
	if len(doc) > maxDocument || r.Material.Len() > maxSecret || r.Fingerprint.Len() > maxSecret {
		return fmt.Errorf("a record of %d bytes, and %d that are secret, is too large for an archive", len(doc), r.Material.Len()+r.Fingerprint.Len())
	}
	for _, part := range [][]byte{doc, r.Material.Reveal(), r.Fingerprint.Reveal()} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part))) //nolint:gosec // bounded above
		if _, err := w.Write(n[:]); err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// readFrame reads a frame, its document into buf where that is large enough.
func readFrame(r io.Reader, buf []byte) (*frame, error) {
	doc, err := readPart(r, buf, maxDocument)
	if err != nil {
		return nil, err
	}
	material, err := readPart(r, nil, maxSecret)
	if err != nil {
		return nil, err
	}
	f := &frame{document: doc, material: secret.New(material)}
	fingerprint, err := readPart(r, nil, maxSecret)
	if err != nil {
		f.material.Wipe()
		return nil, err
	}
	f.fingerprint = secret.New(fingerprint)
	return f, nil
}

func readPart(r io.Reader, buf []byte, most uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, partError(err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > most {
		return nil, damaged("a record is said to have %d bytes", n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		clear(buf)
		return nil, partError(err)
	}
	return buf, nil
}

func partError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("a record is cut short")
	}
	return err
}
