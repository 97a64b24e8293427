// SPDX-License-Identifier: Apache-2.0

package dialect

import "claviger/internal/keys"

// hint is what the error itself advises, or what can be said to every error of its kind. It tells
// no more than the answer does: what is hidden and what is not there read the same.
func hint(e *keys.Error) string {
	if e.Hint != "" {
		return e.Hint
	}
	switch e.Kind {
	case keys.KindNotFound, keys.KindRelatedNotFound:
		noun := string(e.Noun)
		if noun == "" {
			noun = "resource"
		}
		return "the caller can see no such " + noun + " here: check its id, the endpoint's vault and region, and the caller's role"
	case keys.KindCiphertext:
		return "key, ciphertext and encryption context do not belong together, or the key version is gone; which of these is never told"
	case keys.KindMalformed:
		return "the request cannot be read: check its form against the API's description"
	case keys.KindInternal:
		return "a fault of the server: its log says more under this request's id"
	default:
		return ""
	}
}
