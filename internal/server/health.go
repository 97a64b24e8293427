// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// readyTimeout bounds a check of readiness: whoever asks has a time limit of his own.
const readyTimeout = 2 * time.Second

// Health answers whether the process is alive and whether it can do its work.
type Health struct {
	check    func(context.Context) error
	changes  func() error
	log      *slog.Logger
	stopping atomic.Bool
}

// NewHealth makes the two answers; check says why no request can be served, or nil, and changes why
// all but changes can.
func NewHealth(check func(context.Context) error, changes func() error, log *slog.Logger) *Health {
	return &Health{check: check, changes: changes, log: log}
}

// Stopping makes Ready answer no from now on, so that no new work is sent here.
func (h *Health) Stopping() { h.stopping.Store(true) }

// Alive answers 200 as long as the process can answer at all.
func (h *Health) Alive(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// Ready answers 200 when requests can be served and 503 otherwise. A store that takes no changes
// makes no difference but in the text: data calls go on, and a full disk that all nodes share must
// not end them. The reason goes to the log only: anybody may ask here.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if h.stopping.Load() {
		plain(w, http.StatusServiceUnavailable, "stopping\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := h.check(ctx); err != nil {
		h.log.Warn("not ready", "error", err)
		plain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	if err := h.changes(); err != nil {
		h.log.Warn("ready, but changes are refused", "error", err)
		plain(w, http.StatusOK, "ready, but changes are refused\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client is gone: nobody to tell
}
