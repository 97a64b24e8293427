// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// recovering keeps a panic in h from ending the connection without an answer or a log line.
// The client learns nothing of it but the status.
func recovering(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it this way itself
				panic(v)
			}
			log.Error("panic in a handler", "panic", fmt.Sprint(v), "path", r.URL.Path, "stack", string(debug.Stack()))
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}()
		h.ServeHTTP(w, r)
	})
}
