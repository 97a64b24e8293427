// SPDX-License-Identifier: Apache-2.0

package main

import "runtime"

// processorLender gives the process one more processor, in Go's sense of how many goroutines run at once,
// until back is called. Who computes for long keeps a processor for up to 10 ms while others wait; when as
// many compute as there are, a request waits that long each time that it goes on. With one more it is the
// system's scheduler that decides, which lets who woke up go first.
//
// It is nil where somebody has said how many there are to be. Where a container may use less than the
// machine has, nothing is lent: what is used beyond is taken away from all, later.
func processorLender(env map[string]string) (lend func() (back func())) {
	if env["GOMAXPROCS"] != "" {
		return nil
	}
	return func() func() {
		n := runtime.GOMAXPROCS(0)
		if n < runtime.NumCPU() {
			return func() {}
		}
		runtime.GOMAXPROCS(n + 1)
		return runtime.SetDefaultGOMAXPROCS
	}
}
