// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// The work-request service, version 20160918: what clients poll to see how an operation goes on
// whose answer carried opc-work-request-id.

// workModel is WorkRequest; its first half is WorkRequestSummary.
type workModel struct {
	workSummary
	Resources []workResource `json:"resources"`
}

type workSummary struct {
	ID              string  `json:"id"`
	OperationType   string  `json:"operationType"`
	Status          string  `json:"status"`
	CompartmentID   string  `json:"compartmentId"`
	PercentComplete int     `json:"percentComplete"`
	TimeAccepted    string  `json:"timeAccepted"`
	TimeStarted     *string `json:"timeStarted"`
	TimeFinished    *string `json:"timeFinished"`
}

type workResource struct {
	ActionType string  `json:"actionType"`
	EntityType string  `json:"entityType"`
	Identifier string  `json:"identifier"`
	EntityURI  *string `json:"entityUri"`
}

type workError struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Timestamp string `json:"timestamp"`
}

type workLogEntry struct {
	Message   string `json:"message"`
	Timestamp string `json:"timestamp"`
}

// workOperationTypes are the values of operationType.
var workOperationTypes = []named[keys.Action]{
	{"BACKUP_KEY", keys.BackupKey},
	{"BACKUP_VAULT", keys.BackupVault},
	{"CREATE_VAULT_REPLICA", keys.CreateReplica},
	{"DELETE_VAULT_REPLICA", keys.DeleteReplica},
	{"RESTORE_KEY", keys.RestoreKeyBackup},
	{"RESTORE_VAULT", keys.RestoreVaultBackup},
}

func (d *Dialect) workSummary(w *keys.WorkRequest, compartment string) workSummary {
	s := workSummary{
		ID: d.namer.WorkRequestName(w), OperationType: nameOf(workOperationTypes, w.Action), Status: string(w.Status),
		CompartmentID: compartment, PercentComplete: w.Percent, TimeAccepted: timeText(w.CreatedAt),
		TimeStarted: timeOrNull(w.StartedAt), TimeFinished: timeOrNull(w.FinishedAt),
	}
	if s.OperationType == "" {
		s.OperationType = string(w.Action)
	}
	return s
}

// workResource shows a resource as affected by a work request: what the effect is shows when it
// is there.
func (d *Dialect) workResource(w *keys.WorkRequest, r *keys.WorkResource) workResource {
	out := workResource{ActionType: string(r.Effect)}
	switch {
	case !w.Finished() && r.Effect != keys.WorkRelated:
		out.ActionType = "IN_PROGRESS"
	case w.Status == keys.WorkFailed:
		out.ActionType = string(keys.WorkRelated)
	}
	path := ""
	switch r.Type {
	case keys.TypeKey:
		out.EntityType, out.Identifier, path = "key", d.namer.keyName(r.Region, r.Vault, r.ID), "/20180608/keys/"
	default:
		out.EntityType, out.Identifier, path = "vault", d.namer.vaultName(r.Region, r.ID), "/20180608/vaults/"
	}
	path += out.Identifier
	out.EntityURI = &path
	return out
}

// workRef is the work request that the path names.
func (in *input) workRef() (kms.WorkRef, error) {
	name := in.m.params[0]
	o, ok := parseOCID(name)
	if !ok || o.typ != typeWorkRequest {
		return kms.WorkRef{}, keys.NotFound(keys.TypeWork)
	}
	namer := in.d.namer
	return kms.WorkRef{ID: o.id, Accept: func(w *keys.WorkRequest) bool { return namer.WorkRequestName(w) == name }}, nil
}

// workRequest names a work request and nothing else.
type workRequest struct{ work kms.WorkRef }

func (q *workRequest) decode(in *input) (err error) {
	in.noBody()
	q.work, err = in.workRef()
	return err
}

func (d *Dialect) getWorkRequest(ctx context.Context, c *kms.Call, q *workRequest) (one, error) {
	w, err := d.kms.WorkRequest(ctx, c, q.work)
	if err != nil {
		return one{}, err
	}
	compartment, err := d.compartments(ctx).name(w.Tenant, w.Compartment)
	if err != nil {
		return one{}, err
	}
	model := workModel{workSummary: d.workSummary(w, compartment), Resources: []workResource{}}
	for i := range w.Resources {
		model.Resources = append(model.Resources, d.workResource(w, &w.Resources[i]))
	}
	return one{body: model}, nil
}

// listWorkRequest asks for the work requests of one compartment, and of one resource in it.
type listWorkRequest struct {
	filter kms.WorkFilter
	page   kms.Page
	none   bool // the resource is none that could be affected
}

func (q *listWorkRequest) decode(in *input) (err error) {
	if q.filter.Compartment, err = in.compartment(); err != nil {
		return err
	}
	if text, given := in.parameter("resourceId"); given {
		var t keys.Type
		t, q.filter.Resource, _ = ParseName(text)
		q.none = t != keys.TypeVault && t != keys.TypeKey
	}
	q.page, err = in.window()
	q.page.Desc = true // the newest first
	return err
}

func (d *Dialect) listWorkRequests(ctx context.Context, c *kms.Call, q *listWorkRequest) (page[workSummary], error) {
	list, err := d.kms.WorkRequests(ctx, c, q.filter, q.page)
	if err != nil || q.none {
		return page[workSummary]{}, err
	}
	out := page[workSummary]{next: list.Next}
	names := d.compartments(ctx)
	for _, w := range list.Items {
		compartment, err := names.name(w.Tenant, w.Compartment)
		if err != nil {
			return out, err
		}
		out.items = append(out.items, d.workSummary(w, compartment))
	}
	return out, nil
}

// workNotesRequest asks for the errors or logs of a work request, the oldest first unless asked
// otherwise.
type workNotesRequest struct {
	work  kms.WorkRef
	page  kms.Page
	hints bool // tell the caller more than the error table does
}

func (q *workNotesRequest) decode(in *input) (err error) {
	if q.work, err = in.workRef(); err != nil {
		return err
	}
	if q.page, err = in.window(); err != nil {
		return err
	}
	q.hints = in.d.cfg.Hints || in.d.kms.IsAdmin(in.x.Call.Who)
	q.page.Desc, _, err = pick(in, "sortOrder", sortOrders)
	return err
}

func (d *Dialect) listWorkRequestErrors(ctx context.Context, c *kms.Call, q *workNotesRequest) (page[workError], error) {
	list, err := d.kms.WorkErrors(ctx, c, q.work, q.page)
	if err != nil {
		return page[workError]{}, err
	}
	out := page[workError]{next: list.Next}
	for _, n := range list.Items {
		e := &keys.Error{Kind: n.Kind, Noun: n.Noun, Field: n.Field}
		row := find(e, nil)
		text := row.message(e, nil)
		if q.hints && n.Text != "" {
			text += ": " + n.Text
		}
		out.items = append(out.items, workError{Code: row.code, Message: text, Timestamp: timeText(n.At)})
	}
	return out, nil
}

func (d *Dialect) listWorkRequestLogs(ctx context.Context, c *kms.Call, q *workNotesRequest) (page[workLogEntry], error) {
	list, err := d.kms.WorkLogs(ctx, c, q.work, q.page)
	if err != nil {
		return page[workLogEntry]{}, err
	}
	out := page[workLogEntry]{next: list.Next}
	for _, n := range list.Items {
		out.items = append(out.items, workLogEntry{Message: n.Text, Timestamp: timeText(n.At)})
	}
	return out, nil
}
