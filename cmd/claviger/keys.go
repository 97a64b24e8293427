// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"

	"claviger/internal/dialect/admin"
)

type keyCmd struct {
	List    keyListCmd    `cmd:"" help:"List keys."`
	Show    keyShowCmd    `cmd:"" help:"Show a key with its names and versions."`
	Version keyVersionCmd `cmd:"" help:"Show the versions of a key."`
}

type keyVersionCmd struct {
	List keyVersionListCmd `cmd:"" help:"List the versions of a key."`
	Show keyVersionShowCmd `cmd:"" help:"Show one version of a key."`
}

type keyListCmd struct {
	adminFlags
	Tenant string `help:"Only keys of this tenant." placeholder:"TENANT"`
	Vault  string `help:"Only keys of this vault." placeholder:"VAULT"`
}

// Run lists keys.
func (c *keyListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Keys(a.ctx, c.Tenant, c.Vault)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, k := range all {
			rows = append(rows, []string{k.ID, k.Name, k.Spec, k.Usage, k.State, strconv.Itoa(k.Count), stamp(k.CreatedAt)})
		}
		a.table([]string{"ID", "NAME", "SPEC", "USAGE", "STATE", "VERSIONS", "CREATED"}, rows)
	})
}

// keyArg names a key.
type keyArg struct {
	Key    string `arg:"" help:"The key: its id, OCID, ARN or alias."`
	Tenant string `help:"Whose alias it is, if several tenants have it." placeholder:"TENANT"`
}

func (k keyArg) find(a *app, f *adminFlags) (*admin.Key, error) {
	client, err := f.client(a)
	if err != nil {
		return nil, err
	}
	return client.Key(a.ctx, k.Key, k.Tenant)
}

type keyShowCmd struct {
	adminFlags
	keyArg
}

// Run shows a key.
func (c *keyShowCmd) Run(a *app) error {
	k, err := c.find(a, &c.adminFlags)
	if err != nil {
		return err
	}
	return show(a, c.JSON, k, func() {
		a.fields("id", k.ID, "oci", k.Names["oci"], "alibaba", k.Names["alibaba"], "name", k.Name,
			"description", k.Description, "spec", k.Spec, "usage", k.Usage, "origin", k.Origin,
			"protection", k.Protection, "state", k.State, "deletion", stampOf(k.DeleteAt), "material until", stampOf(k.MaterialEnd),
			"created", stamp(k.CreatedAt), "region", k.Region, "vault", k.Vault, "tenant", k.Tenant, "rotation", rotation(k.Rotation))
		for _, alias := range k.Aliases {
			a.fields("alias", alias)
		}
		_, _ = fmt.Fprintln(a.out) // nobody to tell
		versionTable(a, k.Versions)
	})
}

func rotation(r *admin.Rotation) string {
	switch {
	case r == nil:
		return ""
	case r.Suspended:
		return "every " + r.Interval + ", suspended"
	}
	return "every " + r.Interval + ", next " + stampOf(r.Next)
}

func versionTable(a *app, versions []admin.Version) {
	var rows [][]string
	for _, v := range versions {
		mark := ""
		if v.Primary {
			mark = "primary"
		}
		rows = append(rows, []string{strconv.Itoa(v.Ordinal), v.ID, v.State, mark, stamp(v.CreatedAt), stampOf(v.DeleteAt)})
	}
	a.table([]string{"NO", "VERSION", "STATE", "", "CREATED", "DELETION"}, rows)
}

type keyVersionListCmd struct {
	adminFlags
	keyArg
}

// Run lists the versions of a key.
func (c *keyVersionListCmd) Run(a *app) error {
	k, err := c.find(a, &c.adminFlags)
	if err != nil {
		return err
	}
	return show(a, c.JSON, k.Versions, func() { versionTable(a, k.Versions) })
}

type keyVersionShowCmd struct {
	adminFlags
	keyArg
	KeyVersion string `arg:"" help:"The version: its id, OCID or number."`
}

// Run shows a version of a key.
func (c *keyVersionShowCmd) Run(a *app) error {
	k, err := c.find(a, &c.adminFlags)
	if err != nil {
		return err
	}
	for _, v := range k.Versions {
		if c.KeyVersion != v.ID && c.KeyVersion != v.Names["oci"] && c.KeyVersion != strconv.Itoa(v.Ordinal) {
			continue
		}
		return show(a, c.JSON, v, func() {
			a.fields("id", v.ID, "oci", v.Names["oci"], "alibaba", v.Names["alibaba"], "number", strconv.Itoa(v.Ordinal),
				"state", v.State, "primary", yesNo(v.Primary), "origin", v.Origin, "automatic", yesNo(v.AutoRotated),
				"created", stamp(v.CreatedAt), "deletion", stampOf(v.DeleteAt))
			if v.PublicKey != "" {
				_, _ = fmt.Fprint(a.out, "\n", v.PublicKey) // nobody to tell
			}
		})
	}
	return &admin.Refusal{Status: 404, Problem: admin.Problem{Code: "not-found", Message: "key " + k.ID + " has no version " + c.KeyVersion}}
}

type aliasCmd struct {
	List aliasListCmd `cmd:"" help:"List aliases."`
}

type aliasListCmd struct {
	adminFlags
	Tenant string `help:"Only aliases of this tenant." placeholder:"TENANT"`
}

// Run lists aliases.
func (c *aliasListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Aliases(a.ctx, c.Tenant)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, alias := range all {
			rows = append(rows, []string{alias.Name, alias.Key, alias.Tenant, alias.Region, stamp(alias.CreatedAt)})
		}
		a.table([]string{"ALIAS", "KEY", "TENANT", "REGION", "CREATED"}, rows)
	})
}

type vaultCmd struct {
	List vaultListCmd `cmd:"" help:"List vaults."`
	Show vaultShowCmd `cmd:"" help:"Show a vault."`

	Reseal vaultResealCmd `cmd:"" help:"Replace a vault's key-encryption key: everything in it is sealed anew while calls go on."`
}

type vaultListCmd struct {
	adminFlags
	Tenant string `help:"Only vaults of this tenant." placeholder:"TENANT"`
}

// Run lists vaults.
func (c *vaultListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Vaults(a.ctx, c.Tenant)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, v := range all {
			rows = append(rows, []string{v.ID, v.Name, v.State, v.URL, replicaOf(v.Replica), stamp(v.CreatedAt)})
		}
		a.table([]string{"ID", "NAME", "STATE", "URL", "REPLICA", "CREATED"}, rows)
	})
}

// replicaOf says where a vault's replica is, and its URL.
func replicaOf(r *admin.Replica) string {
	if r == nil {
		return ""
	}
	return strings.TrimSpace(r.Region + " " + r.URL)
}

type vaultShowCmd struct {
	adminFlags
	Vault string `arg:"" help:"The vault: its id, OCID or name."`
}

// Run shows a vault.
func (c *vaultShowCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	v, err := client.Vault(a.ctx, c.Vault)
	if err != nil {
		return err
	}
	return show(a, c.JSON, v, func() {
		a.fields("id", v.ID, "oci", v.Names["oci"], "name", v.Name, "state", v.State, "url", v.URL, "kind", v.Kind,
			"default", yesNo(v.Default), "region", v.Region, "tenant", v.Tenant, "compartment", v.Compartment,
			"replica", replicaOf(v.Replica), "created", stamp(v.CreatedAt), "deletion", stampOf(v.DeleteAt))
	})
}
