// SPDX-License-Identifier: Apache-2.0

// Command terraform prints the path of the binary that the tests run, and builds OpenTofu first where
// there is none. It is run before the tests, whose time is limited.
package main

import (
	"fmt"
	"os"

	"claviger/terraform-provider-oci/internal/livetest"
)

func main() {
	path, _, err := livetest.Terraform("..")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, path)
}
