// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/config"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

type storeFillCmd struct {
	Config   string `required:"" help:"Configuration of the server." placeholder:"FILE"`
	Tenant   string `required:"" help:"Name of the tenant that gets the keys." placeholder:"NAME"`
	Region   string `help:"The region whose default vault gets them. Default: the first one." placeholder:"NAME"`
	Spec     string `default:"AES_256" help:"The spec of the keys."`
	Keys     int    `default:"1000" help:"How many keys."`
	Versions int    `default:"10000" help:"How many key versions all keys have together."`
	Largest  int    `default:"1000" help:"How many of these are the first key's; the others share the rest evenly."`
	Prefix   string `default:"fill-" help:"What the keys' names begin with; a number follows."`
}

// Help says what there is to know before.
func (storeFillCmd) Help() string {
	return "Every key version has material of its own, sealed, counted and audited as one made by a request; " +
		"only that hundreds share a transaction. Keys are made for good: use a database that serves nothing else. " +
		"A server on SQLite must be stopped meanwhile. What was made before an interruption stays."
}

// Run fills the database.
func (c *storeFillCmd) Run(a *app) (err error) {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	undo := &cleanup{}
	defer func() { err = errors.Join(err, undo.run()) }()
	service, err := openService(a.ctx, c.Config, cfg, newLogger(a.err, "text", "warn"), undo)
	if err != nil {
		return err
	}
	vault, err := c.vault(a.ctx, service, cfg)
	if err != nil {
		return err
	}
	began, shown := time.Now(), a.progress("key versions")
	err = service.Fill(a.ctx, service.System("FillStore"), kms.Filling{
		Vault: vault, Prefix: c.Prefix, Spec: keys.Spec(c.Spec), Keys: c.Keys, Versions: c.Versions, Largest: c.Largest,
	}, shown.show)
	shown.end()
	if err != nil {
		return err
	}
	took := time.Since(began)
	_, err = fmt.Fprintf(a.out, "%d keys with %d key versions, the first with %d, in %s (%.0f versions/s)\n",
		c.Keys, c.Versions, c.Largest, took.Round(100*time.Millisecond), float64(c.Versions)/took.Seconds())
	return err
}

// vault finds the default vault of the tenant.
func (c *storeFillCmd) vault(ctx context.Context, service *kms.Service, cfg *config.Config) (keys.ID, error) {
	tenants, err := service.Tenants(ctx, service.System("FillStore"))
	if err != nil {
		return keys.ID{}, err
	}
	vaults, err := service.AllVaults(ctx)
	if err != nil {
		return keys.ID{}, err
	}
	region := c.Region
	if region == "" {
		region = cfg.Regions[0].Name
	}
	for _, t := range tenants {
		if t.Name != c.Tenant {
			continue
		}
		for _, v := range vaults {
			if v.Tenant == t.ID && v.Default && v.Region == keys.Region(region) {
				return v.ID, nil
			}
		}
		return keys.ID{}, fmt.Errorf("tenant %s has no vault in region %s: start the server once, which makes it", c.Tenant, region)
	}
	return keys.ID{}, fmt.Errorf("there is no tenant %s: start the server and run \"claviger tenant create %s\"", c.Tenant, c.Tenant)
}
