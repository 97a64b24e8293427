// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// vaultModel is Vault; its first half is VaultSummary.
type vaultModel struct {
	vaultSummary
	WrappingKeyID       string          `json:"wrappingkeyId"`
	TimeOfDeletion      *string         `json:"timeOfDeletion"`
	RestoredFromVaultID *string         `json:"restoredFromVaultId"`
	ReplicaDetails      *replicaDetails `json:"replicaDetails"`
	IsPrimary           bool            `json:"isPrimary"`
	IsVaultReplicable   bool            `json:"isVaultReplicable"`
}

type vaultSummary struct {
	ID                                string                       `json:"id"`
	CompartmentID                     string                       `json:"compartmentId"`
	DisplayName                       string                       `json:"displayName"`
	VaultType                         string                       `json:"vaultType"`
	LifecycleState                    string                       `json:"lifecycleState"`
	TimeCreated                       string                       `json:"timeCreated"`
	CryptoEndpoint                    string                       `json:"cryptoEndpoint"`
	ManagementEndpoint                string                       `json:"managementEndpoint"`
	FreeformTags                      map[string]string            `json:"freeformTags"`
	DefinedTags                       map[string]map[string]string `json:"definedTags"`
	ExternalKeyManagerMetadataSummary *string                      `json:"externalKeyManagerMetadataSummary"`
}

func (d *Dialect) vaultSummary(v *kms.Vault, compartment string) vaultSummary {
	url := d.baseURL(v)
	return vaultSummary{
		ID: d.namer.VaultName(&v.Vault), CompartmentID: compartment, DisplayName: v.Name,
		VaultType: nameOf(vaultTypes, v.Kind), LifecycleState: stateName(shown(v.Busy, v.State)), TimeCreated: timeText(v.CreatedAt),
		CryptoEndpoint: url, ManagementEndpoint: url, FreeformTags: freeform(v.Tags), DefinedTags: defined(v.Tags),
	}
}

func (d *Dialect) vault(ctx context.Context, v *kms.Vault, err error) (one, error) {
	if err != nil {
		return one{}, err
	}
	compartment, err := d.compartments(ctx).name(v.Tenant, v.Compartment)
	if err != nil {
		return one{}, err
	}
	v = d.settling.vault(v)
	model := vaultModel{
		vaultSummary: d.vaultSummary(v, compartment), WrappingKeyID: d.namer.wrappingKeyName(&v.Vault),
		ReplicaDetails: replicaOf(&v.Vault), IsPrimary: v.Through == nil, IsVaultReplicable: true,
	}
	if v.State != keys.Active && v.State != keys.Restoring {
		model.TimeOfDeletion = deletionTime(v.DeleteAt)
	}
	if v.Restored != nil {
		from := d.namer.vaultName(v.Region, v.Restored.From)
		model.RestoredFromVaultID = &from
	}
	return one{etag: v.ETag, body: model}, nil
}

// compartments renders the names of compartments, each looked up once per answer.
type compartments struct {
	ctx  context.Context //nolint:containedctx // lives as long as the answer that it is for
	kms  *kms.Service
	seen map[keys.ID]string
}

func (d *Dialect) compartments(ctx context.Context) *compartments {
	return &compartments{ctx: ctx, kms: d.kms, seen: map[keys.ID]string{}}
}

func (c *compartments) name(tenant, compartment keys.ID) (string, error) {
	if name, ok := c.seen[compartment]; ok {
		return name, nil
	}
	name, err := c.kms.CompartmentName(c.ctx, tenant, compartment, Name)
	if err != nil {
		return "", err
	}
	c.seen[compartment] = name
	return name, nil
}

// vaultRequest names a vault and nothing else.
type vaultRequest struct{ vault kms.VaultRef }

func (q *vaultRequest) decode(in *input) (err error) {
	in.noBody()
	q.vault, err = in.vaultRef()
	return err
}

func (d *Dialect) getVault(ctx context.Context, c *kms.Call, q *vaultRequest) (one, error) {
	v, err := d.kms.Vault(ctx, c, q.vault)
	return d.vault(ctx, v, err)
}

func (d *Dialect) cancelVaultDeletion(ctx context.Context, c *kms.Call, q *vaultRequest) (one, error) {
	v, err := d.kms.CancelVaultDeletion(ctx, c, q.vault)
	return d.vault(ctx, v, err)
}

// listVaultsRequest asks for the vaults of one compartment.
type listVaultsRequest struct {
	compartment string
	page        kms.Page
}

func (q *listVaultsRequest) decode(in *input) (err error) {
	if q.compartment, err = in.compartment(); err != nil {
		return err
	}
	q.page, err = in.page()
	return err
}

func (d *Dialect) listVaults(ctx context.Context, c *kms.Call, q *listVaultsRequest) (page[vaultSummary], error) {
	list, err := d.kms.Vaults(ctx, c, q.compartment, q.page)
	if err != nil {
		return page[vaultSummary]{}, err
	}
	out := page[vaultSummary]{next: list.Next}
	names := d.compartments(ctx)
	for _, v := range list.Items {
		if !d.settling.listed(v.ID, v.State) || (v.Through != nil && !d.replicaListed(v.Through)) {
			continue
		}
		v = d.settling.vault(v)
		compartment, err := names.name(v.Tenant, v.Compartment)
		if err != nil {
			return out, err
		}
		out.items = append(out.items, d.vaultSummary(v, compartment))
	}
	return out, nil
}

// createVaultDetails is CreateVaultDetails.
type createVaultDetails struct {
	labels
	compartmentID string
	vaultType     keys.VaultKind
	typeGiven     bool
	externalGiven bool // externalKeyManagerMetadata
}

func (q *createVaultDetails) field(r *reader, name []byte) bool {
	switch string(name) {
	case "compartmentId":
		q.compartmentID = r.text()
	case "vaultType":
		q.vaultType, q.typeGiven = choice(r, vaultTypes)
	case "externalKeyManagerMetadata":
		q.externalGiven = r.present()
	default:
		return q.labels.field(r, name)
	}
	return true
}

func (q *createVaultDetails) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	switch {
	case q.compartmentID == "":
		return keys.Missing("compartmentId")
	case q.displayName == nil:
		return keys.Missing("displayName")
	case !q.typeGiven:
		return keys.Missing("vaultType")
	case q.vaultType == external:
		return keys.Invalid("vaultType", "vaults of keys in a third party's key manager are not supported: use DEFAULT or VIRTUAL_PRIVATE")
	case q.externalGiven:
		return keys.Invalid("externalKeyManagerMetadata", "externalKeyManagerMetadata goes with vaultType EXTERNAL only, which is not supported")
	}
	return q.checkLabels()
}

func (d *Dialect) createVault(ctx context.Context, c *kms.Call, q *createVaultDetails) (one, error) {
	v, err := d.kms.CreateVault(ctx, c, kms.NewVault{Compartment: q.compartmentID, Name: *q.displayName, Kind: q.vaultType, Tags: q.tags()})
	return d.vault(ctx, v, err)
}

// updateVaultDetails is UpdateVaultDetails.
type updateVaultDetails struct {
	labels
	vault kms.VaultRef
}

func (q *updateVaultDetails) decode(in *input) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	if err := in.body(&q.labels); err != nil {
		return err
	}
	return q.checkLabels()
}

func (d *Dialect) updateVault(ctx context.Context, c *kms.Call, q *updateVaultDetails) (one, error) {
	v, err := d.kms.UpdateVault(ctx, c, q.vault, kms.VaultUpdate{Name: q.displayName, Plain: q.newPlain(), Namespaced: q.newNamespaced()})
	return d.vault(ctx, v, err)
}

// scheduleDetails is the body of every Schedule…Deletion: the time may be absent, and so may
// the body.
type scheduleDetails struct{ timeOfDeletion time.Time }

func (q *scheduleDetails) field(r *reader, name []byte) bool {
	if string(name) != "timeOfDeletion" {
		return false
	}
	q.timeOfDeletion = r.moment()
	return true
}

type scheduleVaultRequest struct {
	scheduleDetails
	vault kms.VaultRef
}

func (q *scheduleVaultRequest) decode(in *input) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	return in.body(&q.scheduleDetails)
}

func (d *Dialect) scheduleVaultDeletion(ctx context.Context, c *kms.Call, q *scheduleVaultRequest) (one, error) {
	v, err := d.kms.ScheduleVaultDeletion(ctx, c, q.vault, q.timeOfDeletion)
	return d.vault(ctx, v, err)
}

// compartmentDetails is the body of every Change…Compartment.
type compartmentDetails struct{ compartmentID string }

func (q *compartmentDetails) field(r *reader, name []byte) bool {
	if string(name) != "compartmentId" {
		return false
	}
	q.compartmentID = r.text()
	return true
}

func (q *compartmentDetails) read(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	return required([2]string{"compartmentId", q.compartmentID})
}

type moveVaultRequest struct {
	compartmentDetails
	vault kms.VaultRef
}

func (q *moveVaultRequest) decode(in *input) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	return q.read(in)
}

func (d *Dialect) changeVaultCompartment(ctx context.Context, c *kms.Call, q *moveVaultRequest) (one, error) {
	v, err := d.kms.MoveVault(ctx, c, q.vault, q.compartmentID)
	if err != nil {
		return one{}, err
	}
	return one{etag: v.ETag}, nil
}
