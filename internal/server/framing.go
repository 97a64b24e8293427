// SPDX-License-Identifier: Apache-2.0

package server

import "net/http"

// framed refuses what is not HTTP/1, and ends the connection after a request whose end a proxy may see
// elsewhere: net/http follows Transfer-Encoding and forgets a Content-Length beside it, and in HTTP/1.0 the
// other way round. What follows such a request is never taken for another one (RFC 9112 §6.1).
func framed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 { // the preface of HTTP/2, which net/http hands on
			w.Header().Set("Connection", "close")
			http.Error(w, "this listener speaks HTTP/1.1", http.StatusHTTPVersionNotSupported)
			return
		}
		if r.ProtoMinor == 0 || len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
