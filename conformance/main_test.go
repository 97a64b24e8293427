// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// binary is the server under test, built once by TestMain before any test runs.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if told := os.Getenv(roleOfChild); told != "" {
		if err := chainInChild(strings.Fields(told)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "claviger-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = live.Build("..", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start runs a server for this test alone.
func start(t *testing.T, options live.Options) *live.Process {
	t.Helper()
	return live.Start(t, binary, options)
}

// throughOCI is the first principal of p, calling through Oracle's SDK.
func throughOCI(t *testing.T, p *live.Process) oci {
	t.Helper()
	return oci{oracle.New(t, p.Ready.OCI), p.Ready.OCI.Compartment}
}

// throughAlibaba is the first principal of p, calling through one of Alibaba's SDK generations.
func throughAlibaba(t *testing.T, p *live.Process, g alibaba.Generation) ali {
	t.Helper()
	return aliWith(t, p, g, p.Ready.Alibaba.AccessKeyID, p.Ready.Alibaba.AccessKeySecret)
}

func aliWith(t *testing.T, p *live.Process, g alibaba.Generation, id, secret string) ali {
	t.Helper()
	return aliFor(t, p, g, alibaba.Config{ID: id, Secret: secret})
}

// aliFor is the caller that config names, at the endpoint of p.
func aliFor(t *testing.T, p *live.Process, g alibaba.Generation, config alibaba.Config) ali {
	t.Helper()
	config.Endpoint, config.Region = p.Ready.Alibaba.Endpoint, p.Ready.Alibaba.RegionID
	if file := p.Ready.CA.File; file != "" {
		ca, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		config.CA = string(ca)
	}
	client, err := alibaba.New(g, config)
	if err != nil {
		t.Fatal(err)
	}
	return ali{client}
}

// want fails the test unless a refusal, or the "200" of a success, is exactly as given.
func want(t *testing.T, what, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: answered %q, want %q", what, got, wanted)
	}
}
