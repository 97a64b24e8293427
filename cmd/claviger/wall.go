// SPDX-License-Identifier: Apache-2.0

//go:build !faultclock

package main

import "time"

// wallNow is the machine's time.
func wallNow() time.Time { return time.Now() }

// bootNow is the time since the machine started, its sleep included.
func bootNow() time.Duration { return sinceBoot() }
