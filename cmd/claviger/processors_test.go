// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"testing"
)

// TestProcessorLender is not parallel: it changes what all goroutines have.
func TestProcessorLender(t *testing.T) { //nolint:paralleltest // see above
	if lend := processorLender(map[string]string{"GOMAXPROCS": "1"}); lend != nil {
		t.Error("it lends although the environment says how many there are")
	}
	lend := processorLender(map[string]string{})
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.GOMAXPROCS(runtime.NumCPU())
	back := lend()
	if got, want := runtime.GOMAXPROCS(0), runtime.NumCPU()+1; got != want {
		t.Errorf("%d processors while one is lent, want %d", got, want)
	}
	back()
	if got := runtime.GOMAXPROCS(0); got > runtime.NumCPU() {
		t.Errorf("%d processors after it was given back, the machine has %d", got, runtime.NumCPU())
	}
	if runtime.NumCPU() == 1 {
		return
	}
	runtime.GOMAXPROCS(runtime.NumCPU() - 1) // as in a container with a limit
	lend()()
	if got, want := runtime.GOMAXPROCS(0), runtime.NumCPU()-1; got != want {
		t.Errorf("%d processors where fewer may be used, want %d", got, want)
	}
}
