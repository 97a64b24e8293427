// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"

	"claviger/internal/config"
	"claviger/internal/server"
)

// cleanup is what must be undone, last thing first.
type cleanup struct{ undo []func() error }

func (c *cleanup) add(undo func() error) { c.undo = append(c.undo, undo) }

func (c *cleanup) run() error {
	var err error
	for i := len(c.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, c.undo[i]())
	}
	c.undo = nil
	return err
}

// newLogger writes records to w; format is "json" or "text".
func newLogger(w io.Writer, format, level string) *slog.Logger {
	options := &slog.HandlerOptions{Level: levels[level]}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// serverOptions are the bounds that a configuration sets.
func serverOptions(c config.Config, t *tls.Config, log *slog.Logger) server.Options {
	trusted, _ := c.Server.Proxies() // checked with the configuration
	return server.Options{
		ReadHeaderTimeout: c.Server.ReadHeaderTimeout.Std(), ReadTimeout: c.Server.ReadTimeout.Std(),
		WriteTimeout: c.Server.WriteTimeout.Std(), IdleTimeout: c.Server.IdleTimeout.Std(),
		Connections: c.Limits.Connections, SourceConnections: c.Limits.SourceConnections, Trusted: trusted, TLS: t, Log: log,
	}
}
