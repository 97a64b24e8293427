// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"claviger/internal/bench"
	"claviger/internal/porttest"
)

// pair is a Claviger and a floor that knows its caller and its keys, so that both take the same
// requests.
type pair struct {
	*site
	floor *process
	oci   bench.Target // the floor as OCI's clients see it
	acs3  bench.Target // and as Alibaba's do
	fixed string       // base URL of the fixed answer
	plain bool         // the floor encrypts under its key itself
}

func surroundings() bench.Surroundings {
	return bench.Surroundings{Now: time.Now, Random: rand.Reader}
}

// newPair starts both.
func newPair(ctx context.Context, o options, dir string, cert *certificate) (*pair, error) {
	var flags []string
	if o.profiles != "" {
		name := "http.pprof"
		if cert != nil {
			name = "https.pprof"
		}
		flags = []string{"--cpu-profile", filepath.Join(o.profiles, name)}
	}
	s, err := newSite(ctx, o.claviger, dir, "", cert, flags...)
	if err != nil {
		return nil, err
	}
	p := &pair{site: s, plain: o.plain}
	if err := p.startFloor(ctx, o.floor); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pair) close() error {
	err := p.stop()
	if p.floor != nil {
		err = errors.Join(err, p.floor.stop())
	}
	return err
}

// kinds are the keys that the data path uses.
func kinds() []bench.Share {
	return []bench.Share{{Operation: "encrypt", Weight: 1}, {Operation: "sign-ec", Weight: 1}, {Operation: "sign-rsa", Weight: 1}}
}

// startFloor makes the keys at Claviger, and a floor whose keys have the same names.
func (p *pair) startFloor(ctx context.Context, binary string) error {
	keys := map[bench.Dialect]map[bench.Kind]bench.Key{}
	for _, t := range []*bench.Target{&p.site.oci, &p.site.acs3} {
		plan, err := bench.Prepare(ctx, t, bench.Workload{Mix: kinds(), Size: 32, Connections: 1, Pool: 3}, surroundings())
		if err != nil {
			return err
		}
		keys[t.Dialect] = plan.Keys()
		t.Keys = plan.Keys()
	}
	der, err := x509.MarshalPKIXPublicKey(p.site.oci.APIKey.Key.Public())
	if err != nil {
		return err
	}
	ports, err := porttest.Row(3)
	if err != nil {
		return err
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports+i) }
	settings := map[string]any{
		"oci": address(0), "alibaba": address(1), "fixed": address(2), "plain": p.plain,
		"keyId": p.site.oci.APIKey.ID, "publicKey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"accessKey": p.site.acs3.AccessKey.ID, "secret": p.site.acs3.AccessKey.Secret,
	}
	scheme := "http://"
	if p.tls != nil {
		settings["certFile"], settings["keyFile"], scheme = p.tls.certFile, p.tls.keyFile, "https://"
	}
	names := map[string]map[string]string{}
	p.oci, p.acs3 = p.site.oci, p.site.acs3
	p.oci.Keys, p.acs3.Keys = map[bench.Kind]bench.Key{}, map[bench.Kind]bench.Key{}
	for kind, k := range keys[bench.OCI] {
		a := keys[bench.ACS3][kind]
		names[string(kind)] = map[string]string{"oci": k.ID, "ociVersion": k.Version, "alibaba": a.ID, "alibabaVersion": a.Version}
		k.Public, a.Public = "", "" // the floor's are others
		p.oci.Keys[kind], p.acs3.Keys[kind] = k, a
	}
	settings["names"] = names
	p.oci.Endpoint, p.oci.Management, p.acs3.Endpoint = scheme+address(0), scheme+address(0), scheme+address(1)
	p.fixed = "http://" + address(2)
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	file := filepath.Join(p.dir, "floor.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	var ready atomic.Bool
	if p.floor, err = start(binary, func(line string) { ready.Store(ready.Load() || line == "ready") }, file); err != nil {
		return err
	}
	return p.floor.await(ctx, ready.Load)
}

// floorTarget is the floor as a dialect's client sees it.
func (p *pair) floorTarget(d bench.Dialect) *bench.Target {
	t := p.acs3
	if d == bench.OCI {
		t = p.oci
	}
	t.Dialect = d
	return &t
}
