// SPDX-License-Identifier: Apache-2.0

package engine

import "errors"

// The errors a caller can tell apart. None of them carries material, plaintext or ciphertext.
var (
	// ErrCiphertext is the one answer to a ciphertext that cannot be opened: damaged,
	// truncated, another key's, another context's, of an unknown suite.
	ErrCiphertext = errors.New("ciphertext does not open")
	// ErrSpec reports a spec that this engine cannot serve.
	ErrSpec = errors.New("unsupported key spec")
	// ErrMaterial reports key material that is malformed, invalid or not of its spec.
	ErrMaterial = errors.New("invalid key material")
	// ErrWrapped is the one answer to wrapped material that is not what it should be: damaged,
	// wrapped for another key, padded wrongly, of another length or kind, not a valid key.
	ErrWrapped = errors.New("wrapped key material does not open")
	// ErrAlgorithm reports an algorithm that does not fit the key's spec or the call.
	ErrAlgorithm = errors.New("algorithm does not fit the key")
	// ErrFIPS reports a spec or algorithm that is not approved while FIPS 140-3 is
	// enforced. Every ErrFIPS is also an [ErrAlgorithm].
	ErrFIPS = errors.New("not approved while FIPS 140-3 is enforced")
	// ErrDigestSize reports a digest that is not as long as the algorithm's hash.
	ErrDigestSize = errors.New("digest length does not fit the algorithm")
	// ErrTooLong reports a plaintext beyond the capacity of the public key.
	ErrTooLong = errors.New("plaintext is too long for the key")
	// ErrEmpty reports an empty plaintext for an algorithm that cannot encrypt one.
	ErrEmpty = errors.New("the algorithm cannot encrypt an empty plaintext")
	// ErrHeader reports a [Header] that cannot be sealed.
	ErrHeader = errors.New("invalid envelope header")
	// ErrContext reports an encryption context that has no canonical form.
	ErrContext = errors.New("encryption context is not valid UTF-8")
	// ErrWiped reports the use of a [Key] after Wipe.
	ErrWiped = errors.New("key was wiped")
)
