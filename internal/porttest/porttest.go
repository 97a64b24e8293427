// SPDX-License-Identifier: Apache-2.0

// Package porttest finds ports for servers that tests start, and stop and start again.
package porttest

import (
	"crypto/rand"
	"fmt"
	"math/big"
)

// Ports below those that Linux gives to whoever asks for any (ip_local_port_range begins with
// 32768), and below those of vaults where claviger dev picks ports: nobody takes one of them by chance
// while its server is down.
const (
	lowest  = 10_000
	highest = 20_000
)

// Row finds n ports in a row that are free on 127.0.0.1, and answers the first. On Linux they stay
// this process's until it ends: no other call, in whichever process, finds them, and servers listen
// at them as often as they like.
func Row(n int) (first int, err error) {
	for range 1000 {
		at, err := rand.Int(rand.Reader, big.NewInt(int64(highest-lowest-n)))
		if err != nil {
			return 0, err
		}
		if first = lowest + int(at.Int64()); reserve(first, n) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row between %d and %d", n, lowest, highest)
}
