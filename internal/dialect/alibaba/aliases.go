// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

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
		d.id("KeyId", a.items[i].Key)
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
