// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"claviger/internal/bench"
)

// lab is what rows are measured with. Servers are started when a row needs them.
type lab struct {
	o     options
	dir   string
	cert  *certificate
	pairs map[bool]*pair // by whether they speak TLS
}

func (l *lab) close() (err error) {
	for _, p := range l.pairs {
		err = errors.Join(err, p.close())
	}
	return err
}

func (l *lab) pair(ctx context.Context, tls bool) (*pair, error) {
	if p := l.pairs[tls]; p != nil {
		return p, nil
	}
	var cert *certificate
	if tls {
		cert = l.cert
	}
	p, err := newPair(ctx, l.o, l.dir, cert)
	if err == nil {
		l.pairs[tls] = p
	}
	return p, err
}

// side is one of several servers that are measured in turn.
type side struct {
	plan *bench.Plan
	pid  int
	into *[]bench.Result
}

// pairsMade is for how many seconds a server rests when its RSA pairs are made: making one takes less.
const pairsMade = 3

// inTurn measures sides in rounds, once they are at rest. The order within a round is turned round each time. What r leaves
// open is as the options say.
func inTurn(ctx context.Context, o options, r bench.Run, sides []side) error {
	if r.Duration == 0 {
		r.Duration = time.Duration(o.seconds * float64(time.Second))
	}
	r.WarmUp = o.warmUp
	for _, s := range sides {
		if !o.rest {
			break
		}
		if err := rest(ctx, s.pid, pairsMade); err != nil {
			return err
		}
	}
	for range o.rounds {
		for _, s := range sides {
			r.Server = s.pid
			res, err := s.plan.Do(ctx, r)
			if err := sound(ctx, res, err); err != nil {
				return err
			}
			*s.into = append(*s.into, *res)
		}
		slices.Reverse(sides)
	}
	return nil
}

// sound reports whether a result counts: nothing failed, something was measured.
func sound(ctx context.Context, res *bench.Result, err error) error {
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case len(res.Errors) > 0:
		return fmt.Errorf("%d requests failed, such as %+v", res.Failed, res.Errors[0])
	case res.Server == nil || res.Requests == 0:
		return errors.New("nothing was measured")
	}
	return nil
}

// load is a workload of one operation as the options say.
func (l *lab) load(operation string, size int) bench.Workload {
	return bench.Workload{Mix: []bench.Share{{Operation: operation, Weight: 1}}, Size: size, Connections: l.o.connections, Pool: l.o.pool}
}

// dev is a claviger dev: with its data in a directory it keeps an audit log, without it does not.
type dev struct {
	*process
	oci, acs3 bench.Target
}

func newDev(ctx context.Context, l *lab, data bool) (*dev, error) {
	dir, err := os.MkdirTemp(l.dir, "dev-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "ready.json")
	args := []string{"dev", "--listen", "127.0.0.1:0", "--ready-file", file, "--log-level", "warn"}
	if data {
		args = append(args, "--data", filepath.Join(dir, "data"))
	}
	d := &dev{}
	if d.process, err = start(l.o.claviger, func(string) {}, args...); err != nil {
		return nil, err
	}
	err = d.await(ctx, func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	if err == nil {
		err = d.read(file)
	}
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// read reads who calls and where from the ready file.
func (d *dev) read(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r struct {
		OCI     struct{ Tenancy, User, Fingerprint, PrivateKeyFile, ManagementEndpoint, CryptoEndpoint, Compartment string }
		Alibaba struct{ Endpoint, AccessKeyID, AccessKeySecret string }
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	private, err := os.ReadFile(r.OCI.PrivateKeyFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(private)
	if block == nil {
		return fmt.Errorf("%s holds no PEM", r.OCI.PrivateKeyFile)
	}
	key, err := parseRSA(block.Bytes)
	if err != nil {
		return err
	}
	d.oci = bench.Target{
		Dialect: bench.OCI, Endpoint: r.OCI.CryptoEndpoint, Management: r.OCI.ManagementEndpoint, Compartment: r.OCI.Compartment,
		APIKey: bench.APIKey{ID: r.OCI.Tenancy + "/" + r.OCI.User + "/" + r.OCI.Fingerprint, Key: key},
	}
	d.acs3 = bench.Target{Dialect: bench.ACS3, Endpoint: r.Alibaba.Endpoint, AccessKey: bench.AccessKey{ID: r.Alibaba.AccessKeyID, Secret: r.Alibaba.AccessKeySecret}}
	return nil
}
