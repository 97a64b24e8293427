// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"claviger/internal/dialect/admin"
)

type principalCmd struct {
	List   principalListCmd   `cmd:"" help:"List principals with their roles."`
	Create principalCreateCmd `cmd:"" help:"Create a principal with a role."`
	Role   principalRoleCmd   `cmd:"" help:"Replace a principal's role."`
	Delete principalDeleteCmd `cmd:"" help:"Delete a principal with its credentials and sessions."`

	Trust       principalTrustCmd       `cmd:"" help:"Say who may have sessions as a principal."`
	EndSessions principalEndSessionsCmd `cmd:"" help:"End every session of a principal, and those assumed through it, at once."`
}

type principalListCmd struct {
	adminFlags
	Tenant string `help:"Only principals of this tenant." placeholder:"TENANT"`
}

// Run lists principals.
func (c *principalListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Principals(a.ctx, c.Tenant)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, p := range all {
			rows = append(rows, []string{p.ID, p.Name, roles(p.Roles), p.Names["oci"]})
		}
		a.table([]string{"ID", "NAME", "ROLES", "OCI USER"}, rows)
	})
}

func roles(all []admin.Role) string {
	var out []string
	for _, r := range all {
		if r.Vault != "" {
			r.Role += "@" + r.Vault
		}
		out = append(out, r.Role)
	}
	return strings.Join(out, " ")
}

// roleFlags say what a principal may do, and where.
type roleFlags struct {
	Role  string `required:"" enum:"admin,operator,user,auditor" help:"admin: everything; operator: manages keys, uses none; user: uses keys, manages none; auditor: reads." placeholder:"ROLE"`
	Vault string `help:"The role is on this vault only. Default: on the whole tenant." placeholder:"VAULT"`
}

type principalCreateCmd struct {
	adminFlags
	roleFlags
	cloudNames
	Name   string `arg:"" help:"The principal's name, for people."`
	Tenant string `required:"" help:"The tenant that it belongs to." placeholder:"TENANT"`
}

// Run creates a principal.
func (c *principalCreateCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	p, err := client.CreatePrincipal(a.ctx, admin.NewPrincipal{
		Tenant: c.Tenant, Name: c.Name, Names: c.names(), Role: c.Role, Vault: c.Vault,
	})
	if err != nil {
		return err
	}
	return show(a, c.JSON, p, func() {
		a.fields("id", p.ID, "name", p.Name, "roles", roles(p.Roles), "oci", p.Names["oci"])
	})
}

type principalRoleCmd struct {
	adminFlags
	roleFlags
	Principal string `arg:"" help:"The principal: its id, OCID or name."`
}

// Run gives a principal a role.
func (c *principalRoleCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	return client.SetRole(a.ctx, c.Principal, admin.Role{Role: c.Role, Vault: c.Vault})
}

type principalDeleteCmd struct {
	adminFlags
	confirmFlag
	Principal string `arg:"" help:"The principal: its id, OCID or name."`
}

// Run deletes a principal.
func (c *principalDeleteCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	if err := c.confirm(a, "delete principal", c.Principal); err != nil {
		return err
	}
	return client.DeletePrincipal(a.ctx, c.Principal)
}

type credentialCmd struct {
	List    credentialListCmd    `cmd:"" help:"List credentials. Secrets are never shown again."`
	Add     credentialAddCmd     `cmd:"" help:"Add an OCI API key, or make an Alibaba access key."`
	Disable credentialDisableCmd `cmd:"" help:"Turn a credential off."`
	Enable  credentialEnableCmd  `cmd:"" help:"Turn a credential on again."`
	Remove  credentialRemoveCmd  `cmd:"" help:"Remove a credential. Sessions that it asked for end at once."`
	Session credentialSessionCmd `cmd:"" help:"Make a session: credentials that end by themselves."`
}

type credentialListCmd struct {
	adminFlags
	Tenant string `help:"Only credentials of this tenant." placeholder:"TENANT"`
}

// Run lists credentials.
func (c *credentialListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Credentials(a.ctx, c.Tenant)
	if err != nil {
		return err
	}
	principals, err := client.Principals(a.ctx, c.Tenant)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, p := range principals {
		names[p.ID] = p.Name
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, r := range all {
			state := "enabled"
			if r.Disabled {
				state = "disabled"
			}
			rows = append(rows, []string{r.ID, r.Kind, state, stamp(r.CreatedAt), names[r.Principal], r.Fingerprint, r.Name})
		}
		a.table([]string{"ID", "KIND", "STATE", "CREATED", "PRINCIPAL", "FINGERPRINT", "NAME"}, rows)
	})
}

type credentialAddCmd struct {
	adminFlags
	Principal string `required:"" help:"The principal that it is for: its id, OCID or name." placeholder:"PRINCIPAL"`
	PublicKey string `help:"PEM file with the public half of an RSA key: an OCI API key." placeholder:"FILE"`
	AccessKey bool   `help:"Make an Alibaba access key. Its secret is printed now and never again."`
}

// Run adds a credential.
func (c *credentialAddCmd) Run(a *app) error {
	if (c.PublicKey != "") == c.AccessKey {
		return usageError{errors.New("give either --public-key FILE or --access-key")}
	}
	wish := admin.NewCredential{Principal: c.Principal}
	if c.PublicKey != "" {
		pem, err := os.ReadFile(c.PublicKey)
		if err != nil {
			return fmt.Errorf("read public key: %w", err)
		}
		if strings.Contains(string(pem), "PRIVATE KEY") {
			return usageError{fmt.Errorf("%s holds a private key, which stays with its owner; "+
				"openssl pkey -in %s -pubout gives the public half", c.PublicKey, c.PublicKey)}
		}
		wish.PublicKey = string(pem)
	}
	client, err := c.client(a)
	if err != nil {
		return err
	}
	r, err := client.AddCredential(a.ctx, wish)
	if err != nil {
		return err
	}
	return show(a, c.JSON, r, func() {
		switch {
		case r.Secret != "":
			a.fields("access key id", r.Name, "access key secret", r.Secret)
			_, _ = fmt.Fprintln(a.err, "The secret is stored nowhere in the clear and cannot be shown again.") // nobody to tell
		default:
			a.fields("id", r.ID, "fingerprint", r.Fingerprint, "key id", r.Name)
		}
	})
}

type credentialArg struct {
	adminFlags
	Credential string `arg:"" help:"The credential: its id or name."`
}

type credentialDisableCmd struct{ credentialArg }

// Run turns a credential off.
func (c *credentialDisableCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	return client.SetCredentialDisabled(a.ctx, c.Credential, true)
}

type credentialEnableCmd struct{ credentialArg }

// Run turns a credential on.
func (c *credentialEnableCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	return client.SetCredentialDisabled(a.ctx, c.Credential, false)
}

type credentialRemoveCmd struct {
	credentialArg
	confirmFlag
}

// Run removes a credential.
func (c *credentialRemoveCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	if err := c.confirm(a, "remove credential", c.Credential); err != nil {
		return err
	}
	return client.RemoveCredential(a.ctx, c.Credential)
}
