// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"

	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/sqlstore"
)

// chaosOnPostgres kills a node of serve as the other tests of chaos kill dev, a tenth as often: each
// start waits until the lease of the node that was killed is over. One time in four PostgreSQL is
// killed with it, as when a machine loses its power.
func chaosOnPostgres(t *testing.T, binary string) {
	t.Helper()
	database := pgtest.Start(t)
	site, first := newNodeSet(t, binary, database.URL("postgres"), 1, `node.lease = "10s"`, `node.margin = "200ms"`, `limits.mode = "off"`)
	first.stop(t)
	random := rand.New(rand.NewPCG(chaosSeed(t), 3))
	crashes := 0
	c := &chaos{
		ledger: &ledger{}, random: rand.New(rand.NewPCG(random.Uint64(), 0)),
		place: place{
			start:  func(t *testing.T) *server { return site.start(t, 0) },
			launch: func(t *testing.T) *server { return site.begin(t, 0) },
			caller: func(t *testing.T, _ *server) *caller { return site.caller(t, 0) },
			kill: func(t *testing.T, s *server) {
				crash := random.IntN(4) == 0
				if crash {
					database.Kill()
					crashes++
				}
				s.kill()
				if crash {
					database.Start(t)
				}
			},
			inStore: func(t *testing.T, f func(store.Store) error) error {
				s, err := sqlstore.OpenPostgres(t.Context(), sqlstore.PostgresOptions{URL: site.url})
				if err != nil {
					return err
				}
				return errors.Join(f(s), s.Close())
			},
			verify: site.verify,
			audit:  filepath.Join(site.nodes[0].data, "audit"),
		},
	}
	c.all(t, max(2, chaosKills(t)/10))
	t.Logf("the database crashed %d times", crashes)
}

// verifyData runs claviger store verify on the data directory of dev.
func verifyData(t *testing.T, binary, data string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "verify.toml")
	write(t, config, fmt.Appendf(nil, `data = %q
seal.file = %q
admin.token_file = %q
vaults.ports = "7500-7509"
[[region]]
name = "us-ashburn-1"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "127.0.0.1:7443"
`, data, filepath.Join(data, "root.key"), filepath.Join(data, "none")))
	if out, err := exec.Command(binary, "store", "verify", "--config", config).CombinedOutput(); err != nil {
		t.Errorf("the store: %v\n%s", err, out)
	}
}
