// SPDX-License-Identifier: Apache-2.0

//go:build faultclock

package main

import (
	"fmt"
	"os"
	"time"
)

// A server that is built with the tag faultclock takes its clocks for further on, or behind, by
// what a file says, which the environment names: two durations, such as "-90s 5s", for the
// machine's time and for the time since it started. Tests change the file while the server runs.
// No release is built this way, and a test looks.
const faultClockFile = "CLAVIGER_FAULTCLOCK"

func clockFaults() (wall, boot time.Duration) {
	text, err := os.ReadFile(os.Getenv(faultClockFile))
	if err != nil {
		return 0, 0
	}
	var w, b string
	if _, err := fmt.Sscan(string(text), &w, &b); err != nil {
		panic(err)
	}
	wall, err = time.ParseDuration(w)
	if err == nil {
		boot, err = time.ParseDuration(b)
	}
	if err != nil {
		panic(err)
	}
	return wall, boot
}

// wallNow is the machine's time, stepped. It has no monotonic reading, which would hide the step.
func wallNow() time.Time {
	wall, _ := clockFaults()
	return time.Now().Add(wall).Round(0)
}

// bootNow is the time since the machine started, its sleep included, stepped.
func bootNow() time.Duration {
	_, boot := clockFaults()
	return sinceBoot() + boot
}
