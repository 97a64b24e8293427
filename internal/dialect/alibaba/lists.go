// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

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
		d.id("KeyId", a.items[i].ID)
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
