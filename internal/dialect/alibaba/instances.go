// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/base32"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// A KMS instance of the cloud is a vault here. Every vault has the name of an instance, made of
// its id; a name that was carried over from the cloud comes before that. Keys in the account's
// default vault are the cloud's keys outside of instances, and show none.

const (
	instancePrefix = "kst-"
	instanceChars  = 26 // of 16 bytes in base32

	instancePageSize = 20 // where a request does not say
)

// instanceText is base32 (RFC 4648 §6) in lower case without padding.
var instanceText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// InstanceName is the vault's id as this cloud shows it, unless one was carried over.
func InstanceName(vault keys.ID) string {
	return instancePrefix + instanceText.EncodeToString(vault[:])
}

// ParseInstance reads exactly what [InstanceName] writes.
func ParseInstance(name string) (keys.ID, bool) {
	var id keys.ID
	text, ok := strings.CutPrefix(name, instancePrefix)
	if !ok || len(text) != instanceChars {
		return id, false
	}
	if _, err := instanceText.Decode(id[:], []byte(text)); err != nil || InstanceName(id) != name {
		return keys.ID{}, false
	}
	return id, !id.IsZero() // which would mean no vault in particular
}

// ParseInstanceName makes the reference of an instance's id, as ParseKeyName does for keys.
func ParseInstanceName(name string) kms.VaultRef {
	if id, ok := ParseInstance(name); ok {
		return kms.VaultRef{ID: id, HideDeleted: true}
	}
	return kms.VaultRef{External: name, HideDeleted: true}
}

// instanceName is what answers call a vault.
func (d *Dialect) instanceName(ctx context.Context, vault keys.ID) (string, error) {
	name, err := d.service.ExternalName(ctx, Name, vault)
	if name == "" {
		name = InstanceName(vault)
	}
	return name, err
}

// instanceID reads a parameter that takes an instance's id.
func (r *reader) instanceID(name string) kms.VaultRef {
	v := r.text(name)
	if r.err == nil && !validName(v) {
		r.invalid(name, name+" is the id of an instance, of the form kst-...")
	}
	return ParseInstanceName(v)
}

type listInstancesRequest struct{ page page }

// read takes Filters only as far as they ask for nothing: none is documented.
func (q *listInstancesRequest) read(r *reader) {
	q.page = r.pageOf(instancePageSize)
	if v, _ := r.optional("Filters"); v != "" {
		if j := (jsonText{s: v}); j.array(func() error { return errFilter }) != nil || !j.end() {
			r.invalid("Filters", "no filter of instances is known: leave Filters out")
		}
	}
}

// instanceList is the answer of ListKmsInstances.
type instanceList struct {
	paged
	names           []string
	region, account string
}

func (a *instanceList) write(d *document) {
	d.list("KmsInstances", "KmsInstance", len(a.names), func(i int) {
		d.text("KmsInstanceId", a.names[i])
		d.text("KmsInstanceArn", arnPrefix+a.region+":"+a.account+":keystore/"+a.names[i])
	})
	a.paged.write(d)
}

func (d *Dialect) listInstances(ctx context.Context, c *kms.Call, q *listInstancesRequest) (*instanceList, error) {
	account, err := d.service.TenantName(ctx, c.Who.Tenant, Name)
	if err != nil {
		return nil, err
	}
	list, err := d.service.LiveVaults(ctx, c, kms.Page{Limit: q.page.size, Offset: q.page.offset()})
	if err != nil {
		return nil, err
	}
	out := &instanceList{paged: paged{q.page, list.Total}, region: d.cfg.Regions[c.Region], account: account}
	for _, v := range list.Items {
		name, err := d.instanceName(ctx, v.ID)
		if err != nil {
			return nil, err
		}
		out.names = append(out.names, name)
	}
	return out, nil
}

type instanceRequest struct{ vault kms.VaultRef }

func (q *instanceRequest) read(r *reader) { q.vault = r.instanceID("KmsInstanceId") }

// instance is the answer of GetKmsInstance. What it says nothing of, a server of one's own
// does not have: networks, prices, quotas and a contract's end.
type instance struct {
	*kms.Vault
	name string
}

func (a *instance) write(d *document) {
	d.object("KmsInstance", func() {
		d.text("InstanceId", a.name)
		d.text("InstanceName", a.Name)
		d.text("Status", a.status())
		d.list("BindVpcs", "BindVpc", 0, nil)
		d.time("CreateTime", a.CreatedAt)
		d.time("StartDate", a.CreatedAt)
		d.boolean("DeletionProtection", false)
		d.text("DeletionProtectionDescription", "")
	})
}

func (a *instance) status() string {
	if a.State == keys.Active {
		return "Connected"
	}
	return "Disconnected" // scheduled for deletion: nothing in it can be used
}

func (d *Dialect) getInstance(ctx context.Context, c *kms.Call, q *instanceRequest) (*instance, error) {
	v, err := d.service.Vault(ctx, c, q.vault)
	if err != nil {
		return nil, err
	}
	name, err := d.instanceName(ctx, v.ID)
	return &instance{v, name}, err
}

// defaultInstance is the answer of GetDefaultKmsInstance.
type defaultInstance string

func (a defaultInstance) write(d *document) { d.text("DefaultKmsInstanceId", string(a)) }

func (d *Dialect) getDefaultInstance(ctx context.Context, c *kms.Call, _ *plainRequest) (defaultInstance, error) {
	v, err := d.service.DefaultVault(ctx, c)
	if err != nil {
		return "", err
	}
	name, err := d.instanceName(ctx, v.ID)
	return defaultInstance(name), err
}
