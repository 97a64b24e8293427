// SPDX-License-Identifier: Apache-2.0

// Command terraform-provider-oci is a small Terraform provider with the key management part of
// Oracle's: resources and data sources named oci_kms_*. Terraform starts it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"claviger/terraform-provider-oci/internal/cloud"
	"claviger/terraform-provider-oci/internal/provider"
	"claviger/terraform-provider-oci/internal/settings"
)

const (
	// address is Oracle's, so that configurations and state need no change.
	address = "registry.terraform.io/oracle/oci"
	// schemaVersion is the version of Oracle's provider whose schemas this one has.
	schemaVersion = "8.28.0"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-oci:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("terraform-provider-oci", flag.ContinueOnError)
	debugging := flags.Bool("debug", false, "wait for a debugger, and print what Terraform needs to find this process")
	printVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *printVersion {
		_, err := fmt.Fprintln(os.Stdout, "terraform-provider-oci", version())
		return err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // then there is no profile
	}
	process := provider.Process{
		Surroundings: settings.Surroundings{Getenv: os.Getenv, Home: home},
		Version:      version(), Now: time.Now, Pause: cloud.Pause,
	}
	return providerserver.Serve(ctx, provider.New(process), providerserver.ServeOpts{
		Address: address, Debug: *debugging, ProtocolVersion: 5,
	})
}

// version is schemaVersion and, behind a plus sign, the commit that the binary was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return schemaVersion + "+" + s.Value[:12]
			}
		}
	}
	return schemaVersion + "+devel"
}
