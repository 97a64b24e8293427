// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"claviger/internal/dialect/admin"
)

// cloudNames are the names of a new thing that are carried over from a cloud.
type cloudNames struct {
	OCI     string `name:"oci" help:"Its OCID, to carry one over. Default: made up." placeholder:"OCID"`
	Alibaba string `name:"alibaba" help:"Its account or user id at Alibaba, to carry one over. Default: made up." placeholder:"ID"`
}

func (n cloudNames) names() admin.Names {
	out := admin.Names{}
	if n.OCI != "" {
		out["oci"] = n.OCI
	}
	if n.Alibaba != "" {
		out["alibaba"] = n.Alibaba
	}
	return out
}

type tenantCmd struct {
	List   tenantListCmd   `cmd:"" help:"List tenants."`
	Create tenantCreateCmd `cmd:"" help:"Create a tenant with a vault in each region."`
}

type tenantListCmd struct{ adminFlags }

// Run lists tenants.
func (c *tenantListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Tenants(a.ctx)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, t := range all {
			rows = append(rows, []string{t.ID, t.Name, t.Names["alibaba"], t.Names["oci"]})
		}
		a.table([]string{"ID", "NAME", "ALIBABA ACCOUNT", "OCI TENANCY"}, rows)
	})
}

type tenantCreateCmd struct {
	adminFlags
	cloudNames
	Name string `arg:"" help:"The tenant's name, for people."`
}

// Run creates a tenant.
func (c *tenantCreateCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	t, err := client.CreateTenant(a.ctx, admin.NewTenant{Name: c.Name, Names: c.names()})
	if err != nil {
		return err
	}
	return show(a, c.JSON, t, func() {
		a.fields("id", t.ID, "name", t.Name, "oci", t.Names["oci"], "alibaba", t.Names["alibaba"])
	})
}

type compartmentCmd struct {
	List   compartmentListCmd   `cmd:"" help:"List compartments."`
	Create compartmentCreateCmd `cmd:"" help:"Create a compartment."`
}

type compartmentListCmd struct {
	adminFlags
	Tenant string `help:"Only compartments of this tenant." placeholder:"TENANT"`
}

// Run lists compartments.
func (c *compartmentListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Compartments(a.ctx, c.Tenant)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, p := range all {
			rows = append(rows, []string{p.ID, p.Name, p.Parent, p.Names["oci"]})
		}
		a.table([]string{"ID", "NAME", "PARENT", "OCI"}, rows)
	})
}

type compartmentCreateCmd struct {
	adminFlags
	Name   string `arg:"" help:"The compartment's name, for people."`
	Tenant string `required:"" help:"The tenant that it belongs to." placeholder:"TENANT"`
	Parent string `help:"The compartment that it lies in. Default: the root." placeholder:"COMPARTMENT"`
	OCI    string `name:"oci" help:"Its OCID, to carry one over. Default: made up." placeholder:"OCID"`
}

// Run creates a compartment.
func (c *compartmentCreateCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	p, err := client.CreateCompartment(a.ctx, admin.NewCompartment{
		Tenant: c.Tenant, Parent: c.Parent, Name: c.Name, Names: cloudNames{OCI: c.OCI}.names(),
	})
	if err != nil {
		return err
	}
	return show(a, c.JSON, p, func() { a.fields("id", p.ID, "name", p.Name, "oci", p.Names["oci"]) })
}

type grantCmd struct {
	List   grantListCmd   `cmd:"" help:"List the grants of a key."`
	Create grantCreateCmd `cmd:"" help:"Open a key to another tenant."`
	Remove grantRemoveCmd `cmd:"" help:"Take a grant back."`
}

type grantListCmd struct {
	adminFlags
	Key string `arg:"" help:"The key: its id, OCID, ARN or alias."`
}

// Run lists the grants of a key.
func (c *grantListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Grants(a.ctx, c.Key)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, g := range all {
			rows = append(rows, []string{g.ID, g.Grantee, strings.Join(g.Actions, " ")})
		}
		a.table([]string{"ID", "GRANTEE", "ACTIONS"}, rows)
	})
}

type grantCreateCmd struct {
	adminFlags
	Key     string   `arg:"" help:"The key: its id, OCID, ARN or alias."`
	Grantee string   `required:"" help:"The tenant that may use it." placeholder:"TENANT"`
	Actions []string `required:"" help:"What it may: Encrypt, Decrypt, GenerateDataKey, Sign, Verify, GenerateMAC, VerifyMAC, ReadPublicKey, ReadKey, ReadVersion, ListVersions." placeholder:"ACTION"`
}

// Run opens a key to another tenant.
func (c *grantCreateCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	g, err := client.CreateGrant(a.ctx, admin.NewGrant{Key: c.Key, Grantee: c.Grantee, Actions: c.Actions})
	if err != nil {
		return err
	}
	return show(a, c.JSON, g, func() {
		a.fields("id", g.ID, "key", g.Key, "grantee", g.Grantee, "actions", strings.Join(g.Actions, " "))
	})
}

type grantRemoveCmd struct {
	adminFlags
	confirmFlag
	Grant string `arg:"" help:"The grant's id."`
}

// Run takes a grant back.
func (c *grantRemoveCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	if err := c.confirm(a, "remove grant", c.Grant); err != nil {
		return err
	}
	return client.RemoveGrant(a.ctx, c.Grant)
}
