// SPDX-License-Identifier: Apache-2.0

package porttest

import "syscall"

// reserve binds n ports with sockets that never listen, and reports whether all were free. Bound
// without SO_REUSEADDR a port must be wholly unused; given the option afterwards, the socket lets
// a server with the same option listen there (socket(7)). The system closes the sockets when the
// process ends, however it ends.
func reserve(first, n int) bool {
	var bound []int
	for port := first; port < first+n; port++ {
		fd, err := bind(port)
		if err != nil {
			for _, fd := range bound {
				syscall.Close(fd)
			}
			return false
		}
		bound = append(bound, fd)
	}
	return true
}

func bind(port int) (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err != nil {
		syscall.Close(fd)
	}
	return fd, err
}
