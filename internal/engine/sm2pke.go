// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/subtle"
	"encoding/asn1"
	"io"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm2/sm2ec"
	"github.com/emmansun/gmsm/sm3"
)

// SM2 public-key encryption, GB/T 32918.4. The curve and the hash are the library's, the scheme
// is not: its own loses short plaintexts. When the key stream of a first try is all zero it
// tries again under another public key, and it refuses to open a ciphertext whose C2 is all
// zero; each happens once in 2^8n plaintexts of n bytes.

// sm2Ciphertext is the DER of a ciphertext (GM/T 0009-2012 §7.2): C1, C3, C2.
type sm2Ciphertext struct {
	X, Y *big.Int // C1: the ephemeral public key
	Hash []byte   // C3: SM3 of x2 ‖ plaintext ‖ y2
	Text []byte   // C2: the plaintext xor the key stream
}

// encrypt refuses an empty plaintext, for which the scheme has no key stream.
func (s sm2Public) encrypt(rand io.Reader, _ algorithm, plaintext []byte) ([]byte, error) {
	if len(plaintext) == 0 {
		return nil, ErrEmpty
	}
	for {
		k, x1, y1, err := sm2Ephemeral(rand)
		if err != nil {
			return nil, err
		}
		//nolint:staticcheck // SA1019: no other call gives both coordinates of the shared point
		x2, y2 := sm2ec.P256().ScalarMult(s.key.X, s.key.Y, k)
		clear(k)
		shared := newSM2Shared(x2, y2)
		text, ok := shared.stream(len(plaintext))
		if !ok {
			continue
		}
		subtle.XORBytes(text, text, plaintext)
		out := sm2Ciphertext{X: x1, Y: y1, Hash: shared.hash(plaintext), Text: text}
		shared.wipe()
		return asn1.Marshal(out)
	}
}

// sm2Ephemeral is a fresh scalar with its point.
func sm2Ephemeral(rand io.Reader) (k []byte, x, y *big.Int, err error) {
	k = make([]byte, sm2Size)
	for {
		if _, err := io.ReadFull(rand, k); err != nil {
			clear(k)
			return nil, nil, nil, err
		}
		key, err := sm2.NewPrivateKey(k)
		if err != nil {
			continue // not in [1, n-2]
		}
		sm2Private{key}.wipe()
		return k, key.X, key.Y, nil
	}
}

func (s sm2Private) decrypt(_ algorithm, ciphertext []byte) ([]byte, error) {
	c, ok := parseSM2Ciphertext(ciphertext)
	if !ok {
		return nil, ErrCiphertext
	}
	var d [sm2Size]byte
	defer clear(d[:])
	s.key.D.FillBytes(d[:])
	//nolint:staticcheck // SA1019: as in encrypt; the point was found to be on the curve
	x2, y2 := sm2ec.P256().ScalarMult(c.X, c.Y, d[:])
	shared := newSM2Shared(x2, y2)
	defer shared.wipe()
	plaintext, ok := shared.stream(len(c.Text))
	if !ok {
		return nil, ErrCiphertext
	}
	subtle.XORBytes(plaintext, plaintext, c.Text)
	if subtle.ConstantTimeCompare(shared.hash(plaintext), c.Hash) != 1 {
		clear(plaintext)
		return nil, ErrCiphertext
	}
	return plaintext, nil
}

// parseSM2Ciphertext reads the DER, and the form that GB/T 32918.4 itself gives: C1 as an
// uncompressed point, C3, C2. Their first bytes tell them apart. C1 is on the curve.
func parseSM2Ciphertext(b []byte) (c sm2Ciphertext, ok bool) {
	const raw = 1 + 2*sm2Size + sm3.Size
	if len(b) > raw && b[0] == 4 {
		c = sm2Ciphertext{
			X: new(big.Int).SetBytes(b[1 : 1+sm2Size]), Y: new(big.Int).SetBytes(b[1+sm2Size : 1+2*sm2Size]),
			Hash: b[1+2*sm2Size : raw], Text: b[raw:],
		}
		return c, onSM2(c.X, c.Y)
	}
	rest, err := asn1.Unmarshal(b, &c)
	if err != nil || len(rest) != 0 || len(c.Hash) != sm3.Size || len(c.Text) == 0 {
		return sm2Ciphertext{}, false
	}
	if again, err := asn1.Marshal(c); err != nil || !bytes.Equal(again, b) {
		return sm2Ciphertext{}, false
	}
	return c, onSM2(c.X, c.Y)
}

// onSM2 reports whether x and y are the coordinates of a point of the curve other than infinity.
func onSM2(x, y *big.Int) bool {
	if x.Sign() < 0 || y.Sign() < 0 || x.BitLen() > 8*sm2Size || y.BitLen() > 8*sm2Size {
		return false
	}
	_, err := sm2.NewPublicKey(encodeSM2(x, y))
	return err == nil
}

// sm2Shared is the point that both sides know: x2 ‖ y2.
type sm2Shared [2 * sm2Size]byte

func newSM2Shared(x, y *big.Int) *sm2Shared {
	s := new(sm2Shared)
	x.FillBytes(s[:sm2Size])
	y.FillBytes(s[sm2Size:])
	clear(x.Bits())
	clear(y.Bits())
	return s
}

// stream is n bytes of the key derivation function of GB/T 32918.4 §5.4.3; all zero is none.
func (s *sm2Shared) stream(n int) ([]byte, bool) {
	t := sm3.Kdf(s[:], n)
	var some byte
	for _, b := range t {
		some |= b
	}
	return t, some != 0
}

func (s *sm2Shared) hash(plaintext []byte) []byte {
	h := sm3.New()
	h.Write(s[:sm2Size])
	h.Write(plaintext)
	h.Write(s[sm2Size:])
	return h.Sum(nil)
}

func (s *sm2Shared) wipe() { clear(s[:]) }
