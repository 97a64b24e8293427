// SPDX-License-Identifier: Apache-2.0

// Package porttest finds ports for servers that tests start, and stop and start again.
package porttest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"strconv"
)

// Ports below those that Linux gives to whoever asks for any (ip_local_port_range begins with
// 32768): no connection takes one of them by chance while its server is down.
const (
	lowest  = 10_000
	highest = 32_000
)

// Row finds n ports in a row that are free on 127.0.0.1, and answers the first. Where it searches is
// drawn, so that processes which search at the same time do not meet.
func Row(n int) (first int, err error) {
	for range 1000 {
		at, err := rand.Int(rand.Reader, big.NewInt(int64(highest-lowest-n)))
		if err != nil {
			return 0, err
		}
		if first = lowest + int(at.Int64()); free(first, n) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row between %d and %d", n, lowest, highest)
}

// free reports whether n ports can be listened on at once.
func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		defer l.Close()
	}
	return true
}
