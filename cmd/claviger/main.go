// SPDX-License-Identifier: Apache-2.0

// The mode is the operator's choice, in the environment; built with GOFIPS140 it would be on.
//go:debug fips140=off

// Command claviger is the key management server and the client of its admin API.
//
// Data goes to standard output and talk to standard error. Every flag has a twin in the
// environment: --ready-file is CLAVIGER_READY_FILE. The exit code is 0 for success, 1 when the
// command could not be done, 2 when it was called wrongly, 3 when what it asks for does not exist.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
