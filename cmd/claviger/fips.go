// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/fips140"
	"fmt"
	"slices"
	"strings"

	"claviger/internal/config"
)

// The modes of FIPS 140-3, as GODEBUG and the configuration have them; each holds what those before it do.
const (
	fipsOff  = "off"
	fipsOn   = "on"
	fipsOnly = "only"
)

// fipsState is what a process runs with. It is decided when the process starts, and never changes.
type fipsState struct {
	mode   string
	module string // the version of the module's code; unfrozen for the toolchain's own
}

// unfrozen is the version of module code that came with the toolchain, and is in no validation.
const unfrozen = "latest"

// fipsOfProcess is what the standard library says of this process.
func fipsOfProcess() fipsState {
	s := fipsState{mode: fipsOff, module: fips140.Version()}
	switch {
	case fips140.Enforced():
		s.mode = fipsOnly
	case fips140.Enabled():
		s.mode = fipsOn
	}
	return s
}

// suffices refuses a process that runs in a lesser mode than is wanted, and says how it is started in
// that one: command and GODEBUG are those of this process.
func (s fipsState) suffices(wanted, command, godebug string) error {
	if wanted == fipsOff {
		return nil
	}
	if s.module == unfrozen {
		return fmt.Errorf("fips140 = %q needs a binary with a frozen version of the FIPS 140-3 module, which this one is not: "+
			`build it with "make build", or with GOFIPS140 set as the Makefile has it`, wanted)
	}
	modes := []string{fipsOff, fipsOn, fipsOnly}
	if slices.Index(modes, s.mode) >= slices.Index(modes, wanted) {
		return nil
	}
	set := "GODEBUG=" + withMode(godebug, wanted)
	return fmt.Errorf("fips140 = %q, but this process runs with the mode %s: start it with %s claviger %s …, or, in a unit of systemd, with Environment=%s",
		wanted, s.mode, set, command, set)
}

// withMode is GODEBUG's value with the mode in place of what it has of one.
func withMode(godebug, mode string) string {
	var kept []string
	for s := range strings.SplitSeq(godebug, ",") {
		if name, _, _ := strings.Cut(s, "="); s != "" && name != "fips140" {
			kept = append(kept, s)
		}
	}
	return strings.Join(append(kept, "fips140="+mode), ",")
}

// serverConfig reads the configuration of a command that opens the root key or the database, and refuses
// it where this process runs in a lesser mode than it insists on.
func (a *app) serverConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err == nil {
		err = a.fips.suffices(cfg.FIPS140, a.command, a.env["GODEBUG"])
	}
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}
