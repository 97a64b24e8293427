// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

// TestRest waits for a process that does nothing, and gives up when it is told to.
func TestRest(t *testing.T) {
	t.Parallel()
	idle := exec.Command("sleep", "3600")
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = idle.Process.Kill()
		_ = idle.Wait()
	})
	if err := rest(t.Context(), idle.Process.Pid, 1); err != nil {
		t.Errorf("an idle process: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rest(over, idle.Process.Pid, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
