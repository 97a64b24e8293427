// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"net/http"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// replicaDetails is VaultReplicaDetails, KeyReplicaDetails and KeyVersionReplicaDetails. Oracle's
// service sends that of a version with a null inside where there is no replica.
type replicaDetails struct {
	ReplicationID *string `json:"replicationId"`
}

// replicaOf is nil for a vault that has no replica.
func replicaOf(v *keys.Vault) *replicaDetails {
	if v.Replica.IsZero() || v.State == keys.Deleted {
		return nil
	}
	id := v.Replica.String()
	return &replicaDetails{ReplicationID: &id}
}

// baseURL is a vault's endpoint as the caller's region has it.
func (d *Dialect) baseURL(v *kms.Vault) string {
	if v.Through != nil {
		return d.cfg.ReplicaURL(v.Through)
	}
	return d.cfg.VaultURL(&v.Vault)
}

// replicaSummary is VaultReplicaSummary.
type replicaSummary struct {
	Region             string `json:"region"`
	Status             string `json:"status"`
	CryptoEndpoint     string `json:"cryptoEndpoint"`
	ManagementEndpoint string `json:"managementEndpoint"`
}

// accepted answers an operation that gives nothing back but the name of its work request.
type accepted struct{ work string }

func (a accepted) write(x *dialect.Exchange) {
	h := x.Header()
	h.Set("Opc-Work-Request-Id", a.work)
	h.Del("Content-Type")
	x.Write(http.StatusOK, "", nil)
}

// replicaRegionDetails is the body of DeleteVaultReplica, and of CreateVaultReplica but for what
// belongs to external key managers.
type replicaRegionDetails struct {
	vault  kms.VaultRef
	region string
}

func (q *replicaRegionDetails) field(r *reader, name []byte) bool {
	if string(name) != "replicaRegion" {
		return false
	}
	q.region = r.text()
	return true
}

func (q *replicaRegionDetails) read(in *input, into fields) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	if err := in.body(into); err != nil {
		return err
	}
	return required([2]string{"replicaRegion", q.region})
}

// createReplicaDetails is CreateVaultReplicaDetails.
type createReplicaDetails struct {
	replicaRegionDetails
	metadataGiven bool // replicaVaultMetadata
}

func (q *createReplicaDetails) field(r *reader, name []byte) bool {
	if string(name) == "replicaVaultMetadata" {
		q.metadataGiven = r.present()
		return true
	}
	return q.replicaRegionDetails.field(r, name)
}

func (q *createReplicaDetails) decode(in *input) error {
	if err := q.read(in, q); err != nil {
		return err
	}
	if q.metadataGiven {
		return keys.Invalid("replicaVaultMetadata", "replicaVaultMetadata goes with vaults of type EXTERNAL only, which are not supported")
	}
	return nil
}

func (d *Dialect) createVaultReplica(ctx context.Context, c *kms.Call, q *createReplicaDetails) (accepted, error) {
	region, known := d.namer.regionNamed(q.region)
	if !known {
		region = noRegionHas // refused by the core, after it has looked whether the caller may ask
	}
	out, err := d.kms.CreateReplica(ctx, c, q.vault, region)
	return d.replicated(out, err)
}

func (d *Dialect) replicated(out *kms.Replicated, err error) (accepted, error) {
	if err != nil {
		return accepted{}, err
	}
	return accepted{d.namer.WorkRequestName(out.Work)}, nil
}

// noRegionHas is no region's name.
const noRegionHas keys.Region = "\x00"

// deleteReplicaDetails is DeleteVaultReplicaDetails.
type deleteReplicaDetails struct{ replicaRegionDetails }

func (q *deleteReplicaDetails) decode(in *input) error { return q.read(in, q) }

// deleteVaultReplica finds the replica of a region that is not served any more by the region's
// own name.
func (d *Dialect) deleteVaultReplica(ctx context.Context, c *kms.Call, q *deleteReplicaDetails) (accepted, error) {
	region, known := d.namer.regionNamed(q.region)
	if !known {
		region = keys.Region(q.region)
	}
	out, err := d.kms.DeleteReplica(ctx, c, q.vault, region)
	return d.replicated(out, err)
}

// listReplicasRequest asks for a vault's replicas. There is at most one, so that no page has a
// next one, and every order is the same.
type listReplicasRequest struct{ vault kms.VaultRef }

func (q *listReplicasRequest) decode(in *input) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	page, err := in.page()
	if err == nil && page.Cursor != "" {
		err = keys.Invalid("page", "page must be what opc-next-page said")
	}
	return err
}

func (d *Dialect) listVaultReplicas(ctx context.Context, c *kms.Call, q *listReplicasRequest) (page[replicaSummary], error) {
	v, replicas, err := d.kms.Replicas(ctx, c, q.vault)
	if err != nil {
		return page[replicaSummary]{}, err
	}
	out := page[replicaSummary]{etag: v.ETag}
	for _, r := range replicas {
		status := "CREATED"
		if !d.replicaListed(&r.Replica) {
			status = string(creating)
		}
		out.items = append(out.items, d.replicaSummary(&r.Replica, status))
	}
	if r := d.settling.left(v.ID); r != nil && len(out.items) == 0 {
		out.items = append(out.items, d.replicaSummary(r, string(deleting)))
	}
	return out, nil
}

// replicaListed reports whether a replica is there for everybody already, by one more look at it.
func (d *Dialect) replicaListed(r *keys.Replica) bool {
	d.settling.listed(r.ID, r.State)
	state, _ := d.settling.shown(r.ID, r.State)
	return state == r.State
}

func (d *Dialect) replicaSummary(r *keys.Replica, status string) replicaSummary {
	url := d.cfg.ReplicaURL(r)
	return replicaSummary{Region: d.namer.Region(r.Region), Status: status, CryptoEndpoint: url, ManagementEndpoint: url}
}

// replicationStatus is ReplicationStatusDetails.
type replicationStatus struct {
	ReplicaDetails []regionStatus `json:"replicaDetails"`
}

// regionStatus is ReplicaDetails.
type regionStatus struct {
	Region string `json:"region"`
	Status string `json:"status"`
}

// replicationRequest names a replication: the same id stands at the vault and all that is in it.
type replicationRequest struct{ id keys.ID }

func (q *replicationRequest) decode(in *input) (err error) {
	in.noBody()
	if q.id, err = keys.ParseID(in.m.params[0]); err != nil {
		return keys.NotFound(keys.TypeReplica)
	}
	return nil
}

func (d *Dialect) getReplicationStatus(ctx context.Context, c *kms.Call, q *replicationRequest) (one, error) {
	r, err := d.kms.Replication(ctx, c, q.id)
	if err != nil {
		return one{}, err
	}
	status := "REPLICATED"
	if state, _ := d.settling.shown(r.ID, r.State); state != r.State {
		status = "REPLICATING"
	}
	return one{etag: r.ETag, body: replicationStatus{[]regionStatus{{Region: d.namer.Region(r.Region), Status: status}}}}, nil
}
