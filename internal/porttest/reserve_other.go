// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package porttest

import (
	"fmt"
	"net"
)

// reserve reports whether n ports can be listened at, all at once. It keeps none of them.
func reserve(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		defer l.Close()
	}
	return true
}
