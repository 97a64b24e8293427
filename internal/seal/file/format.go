// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"claviger/internal/seal"
	"claviger/internal/secret"
)

// The text of a root key file. Each line ends with a line feed, and nothing else may be there.
const (
	magic      = "claviger-root-key/1\n"
	warning    = "# Secret. Back it up apart from the database: without this file nothing in it can be opened.\n"
	keyField   = "key "
	checkField = "check "
	checkSize  = 8

	checkLine = len(checkField) + 2*checkSize + 1
	fileSize  = len(magic) + len(warning) + len(keyField) + 2*seal.KeySize + 1 + checkLine
)

// render gives the whole text of the file that holds root. The caller wipes it.
func render(root secret.Bytes) []byte {
	b := make([]byte, 0, fileSize)
	b = append(b, magic...)
	b = append(b, warning...)
	b = append(b, keyField...)
	b = hex.AppendEncode(b, root.Reveal())
	b = append(b, '\n')
	sum := sha256.Sum256(b)
	b = append(b, checkField...)
	b = hex.AppendEncode(b, sum[:checkSize])
	return append(b, '\n')
}

// parse reads exactly what render writes. Its errors say what is wrong without showing a byte
// of the file.
func parse(text []byte) (secret.Bytes, error) {
	const prefix = "claviger-root-key/"
	switch {
	case len(text) == 0:
		return secret.Bytes{}, errors.New("the file is empty")
	case !bytes.HasPrefix(text, []byte(prefix)):
		return secret.Bytes{}, errors.New("not a root key file: its first line is not " + magic[:len(magic)-1])
	case !bytes.HasPrefix(text, []byte(magic)):
		return secret.Bytes{}, errors.New("the format version is not known to this release, or its first line is damaged; known is " + magic[:len(magic)-1])
	case len(text) < fileSize:
		return secret.Bytes{}, fmt.Errorf("truncated: %d bytes of %d", len(text), fileSize)
	case len(text) > fileSize:
		return secret.Bytes{}, fmt.Errorf("too long: more than %d bytes", fileSize)
	}
	at := len(magic) + len(warning) + len(keyField)
	b := make([]byte, seal.KeySize)
	root := secret.New(b)
	if _, err := hex.Decode(b, text[at:at+2*seal.KeySize]); err != nil {
		root.Wipe()
		return secret.Bytes{}, errors.New("damaged: the key is not hexadecimal")
	}
	// The checksum is the last line of what render writes, so one comparison covers every byte.
	want := render(root)
	defer clear(want)
	if subtle.ConstantTimeCompare(want, text) != 1 {
		root.Wipe()
		return secret.Bytes{}, errors.New("damaged: the checksum does not match")
	}
	return root, nil
}
