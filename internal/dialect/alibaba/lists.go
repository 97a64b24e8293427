// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// paged is what every numbered page says of itself.
type paged struct {
	page
	total int
}

func (p paged) write(d *document) {
	d.number("PageNumber", p.number)
	d.number("PageSize", p.size)
	d.number("TotalCount", p.total)
}

type listKeysRequest struct {
	page    page
	filters filters
}

func (q *listKeysRequest) read(r *reader) {
	q.page = r.page()
	q.filters = r.filters("Filters")
}

// keyList is the answer of ListKeys.
type keyList struct {
	paged
	items           []*kms.Key
	region, account string
}

func (a *keyList) write(d *document) {
	d.list("Keys", "Key", len(a.items), func(i int) {
		d.text("KeyId", KeyName(a.items[i].ID))
		d.text("KeyArn", KeyARN(a.region, a.account, a.items[i].ID))
	})
	a.paged.write(d)
}

func (d *Dialect) listKeys(ctx context.Context, c *kms.Call, q *listKeysRequest) (*keyList, error) {
	f := kms.KeyFilter{Specs: visibleSpecs(), HideDeleted: true}
	if len(q.filters) > 0 {
		var err error
		if f.Match, err = d.match(ctx, c, q.filters); err != nil {
			return nil, err
		}
	}
	account, err := d.service.TenantName(ctx, c.Who.Tenant, Name)
	if err != nil {
		return nil, err
	}
	list, err := d.service.Keys(ctx, c, f, kms.Page{Limit: q.page.size, Offset: q.page.offset()})
	if err != nil {
		return nil, err
	}
	return &keyList{paged{q.page, list.Total}, list.Items, d.cfg.Regions[c.Region], account}, nil
}

// version writes the members of a key version.
func (d *document) version(v *kms.Version) {
	d.text("KeyId", KeyName(v.Key))
	d.text("KeyVersionId", VersionName(v.ID))
	d.time("CreationDate", v.CreatedAt)
}

// keyVersion is the answer of CreateKeyVersion and DescribeKeyVersion.
type keyVersion struct{ *kms.Version }

func (a keyVersion) write(d *document) { d.object("KeyVersion", func() { d.version(a.Version) }) }

func (d *Dialect) createKeyVersion(ctx context.Context, c *kms.Call, q *keyNameRequest) (keyVersion, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return keyVersion{}, err
	}
	v, err := d.service.Rotate(ctx, c, ref)
	return keyVersion{v}, err
}

type describeVersionRequest struct {
	key     string
	version kms.VersionRef
}

func (q *describeVersionRequest) read(r *reader) {
	q.key = r.keyName("KeyId")
	q.version = r.versionID("KeyVersionId")
}

func (d *Dialect) describeKeyVersion(ctx context.Context, c *kms.Call, q *describeVersionRequest) (keyVersion, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return keyVersion{}, err
	}
	v, err := d.service.Version(ctx, c, ref, q.version)
	return keyVersion{v}, err
}

type listVersionsRequest struct {
	key  string
	page page
}

func (q *listVersionsRequest) read(r *reader) {
	q.key = r.keyName("KeyId")
	q.page = r.page()
}

// versionList is the answer of ListKeyVersions.
type versionList struct {
	paged
	items []*kms.Version
}

func (a *versionList) write(d *document) {
	d.list("KeyVersions", "KeyVersion", len(a.items), func(i int) { d.version(a.items[i]) })
	a.paged.write(d)
}

func (d *Dialect) listKeyVersions(ctx context.Context, c *kms.Call, q *listVersionsRequest) (*versionList, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	list, err := d.service.Versions(ctx, c, ref, kms.Page{Limit: q.page.size, Offset: q.page.offset()}, true)
	if err != nil {
		return nil, err
	}
	return &versionList{paged{q.page, list.Total}, list.Items}, nil
}

type createAliasRequest struct {
	name string
	key  kms.KeyRef
}

func (q *createAliasRequest) read(r *reader) {
	q.name = r.newAlias("AliasName")
	q.key = r.keyID("KeyId")
}

type aliasRequest struct{ name string }

func (q *aliasRequest) read(r *reader) { q.name = r.alias("AliasName") }

type updateAliasRequest struct {
	name string
	key  kms.KeyRef
}

func (q *updateAliasRequest) read(r *reader) {
	q.name = r.alias("AliasName")
	q.key = r.keyID("KeyId")
}

func (d *Dialect) createAlias(ctx context.Context, c *kms.Call, q *createAliasRequest) (nothing, error) {
	return nothing{}, d.service.CreateAlias(ctx, c, q.name, q.key)
}

func (d *Dialect) updateAlias(ctx context.Context, c *kms.Call, q *updateAliasRequest) (nothing, error) {
	return nothing{}, d.service.UpdateAlias(ctx, c, q.name, q.key)
}

func (d *Dialect) deleteAlias(ctx context.Context, c *kms.Call, q *aliasRequest) (nothing, error) {
	return nothing{}, d.service.DeleteAlias(ctx, c, q.name)
}

type listAliasesRequest struct{ page page }

func (q *listAliasesRequest) read(r *reader) { q.page = r.page() }

type keyAliasesRequest struct {
	key  kms.KeyRef
	page page
}

func (q *keyAliasesRequest) read(r *reader) {
	q.key = r.keyID("KeyId")
	q.page = r.page()
}

// aliasList is the answer of ListAliases and ListAliasesByKeyId.
type aliasList struct {
	paged
	items           []*keys.Alias
	region, account string
}

func (a *aliasList) write(d *document) {
	d.list("Aliases", "Alias", len(a.items), func(i int) {
		d.text("AliasName", a.items[i].Name)
		d.text("AliasArn", AliasARN(a.region, a.account, a.items[i].Name))
		d.text("KeyId", KeyName(a.items[i].Key))
	})
	a.paged.write(d)
}

func (d *Dialect) listAliases(ctx context.Context, c *kms.Call, q *listAliasesRequest) (*aliasList, error) {
	list, err := d.service.Aliases(ctx, c, kms.Page{Limit: q.page.size, Offset: q.page.offset()})
	return d.aliasList(ctx, c, q.page, list, err)
}

func (d *Dialect) listAliasesByKeyID(ctx context.Context, c *kms.Call, q *keyAliasesRequest) (*aliasList, error) {
	list, err := d.service.KeyAliases(ctx, c, q.key, kms.Page{Limit: q.page.size, Offset: q.page.offset()})
	return d.aliasList(ctx, c, q.page, list, err)
}

func (d *Dialect) aliasList(ctx context.Context, c *kms.Call, p page, list *kms.List[*keys.Alias], err error) (*aliasList, error) {
	if err != nil {
		return nil, err
	}
	account, err := d.service.TenantName(ctx, c.Who.Tenant, Name)
	if err != nil {
		return nil, err
	}
	return &aliasList{paged{p, list.Total}, list.Items, d.cfg.Regions[c.Region], account}, nil
}

type regionsRequest struct{}

func (*regionsRequest) read(*reader) {}

// regionList is the answer of DescribeRegions.
type regionList []string

func (a regionList) write(d *document) {
	d.list("Regions", "Region", len(a), func(i int) { d.text("RegionId", a[i]) })
}

func (d *Dialect) describeRegions(context.Context, *kms.Call, *regionsRequest) (regionList, error) {
	return d.regions, nil
}
