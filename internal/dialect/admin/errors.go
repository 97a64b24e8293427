// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"net/http"

	"claviger/internal/keys"
)

// problems maps the core's kinds to status and code. Kinds that this API cannot meet are
// mapped all the same: a table without holes needs no explanation.
var problems = map[keys.Kind]struct {
	status int
	code   string
}{
	keys.KindMalformed:       {http.StatusBadRequest, "malformed"},
	keys.KindMissing:         {http.StatusBadRequest, "missing"},
	keys.KindInvalid:         {http.StatusBadRequest, "invalid"},
	keys.KindTooLarge:        {http.StatusRequestEntityTooLarge, "too-large"},
	keys.KindUnauthenticated: {http.StatusUnauthorized, "unauthenticated"},
	keys.KindDenied:          {http.StatusForbidden, "denied"},
	keys.KindNotFound:        {http.StatusNotFound, "not-found"},
	keys.KindRelatedNotFound: {http.StatusBadRequest, "related-not-found"},
	keys.KindExists:          {http.StatusConflict, "exists"},
	keys.KindState:           {http.StatusConflict, "state"},
	keys.KindPrimary:         {http.StatusConflict, "primary"},
	keys.KindTooSoon:         {http.StatusConflict, "too-soon"},
	keys.KindLimit:           {http.StatusConflict, "limit"},
	keys.KindThrottled:       {http.StatusTooManyRequests, "throttled"},
	keys.KindTransient:       {http.StatusConflict, "transient"},
	keys.KindReadOnly:        {http.StatusForbidden, "read-only"},
	keys.KindRevision:        {http.StatusPreconditionFailed, "revision"},
	keys.KindToken:           {http.StatusConflict, "token"},
	keys.KindReplay:          {http.StatusConflict, "replay"},
	keys.KindCiphertext:      {http.StatusBadRequest, "ciphertext"},
	keys.KindMaterial:        {http.StatusBadRequest, "material"},
	keys.KindImportToken:     {http.StatusBadRequest, "import-token"},
	keys.KindImportOver:      {http.StatusBadRequest, "import-token-over"},
	keys.KindUnsupported:     {http.StatusBadRequest, "unsupported"},
	keys.KindProtected:       {http.StatusConflict, "protected"},
	keys.KindAliasNotAllowed: {http.StatusBadRequest, "alias-not-allowed"},
	keys.KindNotImplemented:  {http.StatusNotImplemented, "not-implemented"},
	keys.KindUnavailable:     {http.StatusServiceUnavailable, "unavailable"},
	keys.KindInternal:        {http.StatusInternalServerError, "internal"},
}
