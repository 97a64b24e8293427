// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sqlstore

import "errors"

func lockDir(string) (func() error, error) {
	return nil, errors.New("this system has no lock that keeps a second process out of a data directory")
}
