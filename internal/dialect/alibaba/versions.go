// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// version writes the members of a key version.
func (d *document) version(v *kms.Version) {
	d.id("KeyId", v.Key)
	d.id("KeyVersionId", v.ID)
	d.time("CreationDate", v.CreatedAt)
}

// keyVersion is the answer of CreateKeyVersion and DescribeKeyVersion.
type keyVersion struct{ *kms.Version }

func (a keyVersion) about() *keys.Key { return &a.OfKey.Key }

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
