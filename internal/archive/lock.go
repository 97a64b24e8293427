// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
)

// Recipients are whom archives are encrypted to: age's public keys, "age1…" (X25519) or
// "age1pq1…" (hybrid with ML-KEM-768). The zero value is nobody.
type Recipients struct {
	names []string
	list  []age.Recipient
}

// ParseRecipients reads recipients, one in each text. None at all are the zero value.
func ParseRecipients(names []string) (Recipients, error) {
	var out Recipients
	for _, name := range names {
		one, err := age.ParseRecipients(strings.NewReader(name))
		if err != nil || len(one) != 1 {
			// age's text may not be shown: what stands in the wrong place may be a private key.
			return Recipients{}, errors.New("a recipient is not a public key of age: they begin with \"age1\"")
		}
		out.names = append(out.names, fmt.Sprint(one[0]))
		out.list = append(out.list, one[0])
	}
	if len(out.list) > 0 {
		// Recipients of different kinds do not go together, and FIPS-only mode allows none.
		if _, err := age.Encrypt(io.Discard, out.list...); err != nil {
			return Recipients{}, fmt.Errorf("encrypt to recipients: %w", err)
		}
	}
	return out, nil
}

// Names are the recipients as text.
func (r Recipients) Names() []string { return slices.Clone(r.names) }

// Identities are age's private keys, which open what is encrypted to their recipients. The zero
// value is none. They cannot be printed.
type Identities struct {
	open func(wrapped []byte) (secret.Bytes, error)
}

// ParseIdentities reads a file of private keys as age-keygen writes it: one in a line, comments
// begin with "#".
func ParseIdentities(r io.Reader) (Identities, error) {
	list, err := age.ParseIdentities(r)
	if err != nil {
		return Identities{}, fmt.Errorf("read identities: %w", err)
	}
	return Identities{open: func(wrapped []byte) (secret.Bytes, error) {
		plain, err := age.Decrypt(bytes.NewReader(wrapped), list...)
		if err != nil {
			return secret.Bytes{}, err
		}
		b, err := io.ReadAll(io.LimitReader(plain, seal.KeySize+1))
		return secret.New(b), err
	}}, nil
}

// Lock says to whom an archive is encrypted: to the recipients if there are any, else to the
// holder of the root key.
type Lock struct {
	Root       seal.Seal
	Recipients Recipients
}

// Opener is what an archive may be opened with. Either may be missing.
type Opener struct {
	Root       seal.Seal
	Identities Identities
}

// lock is the third line: the archive's key, for whom it is.
type lock struct {
	Root       string   `json:"root,omitempty"`       // the root key's ID
	Recipients []string `json:"recipients,omitempty"` // or whom it is encrypted to
	Key        []byte   `json:"key"`                  // wrapped by the seal; or a file of age
}

// close locks an archive's key.
func (l Lock) close(ctx context.Context, archive keys.ID, key secret.Bytes) (*lock, error) {
	if len(l.Recipients.list) > 0 {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, l.Recipients.list...)
		if err == nil {
			_, err = w.Write(key.Reveal())
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("encrypt to recipients: %w", err)
		}
		return &lock{Recipients: l.Recipients.names, Key: b.Bytes()}, nil
	}
	wrapped, err := l.Root.Wrap(ctx, key, lockAAD(archive))
	if err != nil {
		return nil, fmt.Errorf("wrap the archive's key: %w", err)
	}
	return &lock{Root: l.Root.ID(), Key: wrapped}, nil
}

// open finds the archive's key.
func (o Opener) open(ctx context.Context, archive keys.ID, l *lock) (secret.Bytes, error) {
	var key secret.Bytes
	var err error
	switch {
	case (l.Root == "") == (len(l.Recipients) == 0):
		return secret.Bytes{}, damaged("it is locked neither to a root key nor to recipients")
	case l.Root != "" && o.Root == nil:
		return secret.Bytes{}, fmt.Errorf("%w: it is under root key %s, which is not at hand", ErrKey, l.Root)
	case l.Root != "":
		if err := seal.CheckRoot(o.Root, l.Root); err != nil {
			return secret.Bytes{}, fmt.Errorf("%w: %w", ErrKey, err)
		}
		key, err = o.Root.Unwrap(ctx, l.Key, lockAAD(archive))
	case o.Identities.open == nil:
		return secret.Bytes{}, fmt.Errorf("%w: it is for the holder of %s, whose identity is not at hand", ErrKey, strings.Join(l.Recipients, " or "))
	default:
		key, err = o.Identities.open(l.Key)
	}
	if _, no := errors.AsType[*age.NoIdentityMatchError](err); no {
		return secret.Bytes{}, fmt.Errorf("%w: none of the identities is that of %s", ErrKey, strings.Join(l.Recipients, " or "))
	}
	if errors.Is(err, seal.ErrClosed) || ctx.Err() != nil {
		return secret.Bytes{}, fmt.Errorf("unwrap the archive's key: %w", err)
	}
	if err != nil || key.Len() != seal.KeySize {
		key.Wipe()
		return secret.Bytes{}, damaged("its key does not open")
	}
	return key, nil
}

func lockAAD(archive keys.ID) []byte {
	return seal.AAD{Purpose: seal.PurposeArchive, Row: archive}.Bytes()
}
