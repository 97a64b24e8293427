// SPDX-License-Identifier: Apache-2.0

package porttest

import (
	"fmt"
	"net"
	"runtime"
	"testing"
)

func TestRow(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("ports are kept on Linux only")
	}
	first, err := Row(3)
	if err != nil {
		t.Fatal(err)
	}
	for port := first; port < first+3; port++ {
		if reserve(port, 1) {
			t.Errorf("port %d was found twice", port)
		}
		for range 2 {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatalf("a server cannot listen at its port: %v", err)
			}
			if reserve(port, 1) {
				t.Errorf("port %d was found while a server listens", port)
			}
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			// The server closes first: its side waits on in TIME_WAIT when the next one listens.
			s.Close()
			c.Close()
			l.Close()
		}
	}
}
