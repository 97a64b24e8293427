// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// The tables of the records that have an ID. What is fixed is compared on every update, so
// that a change to it is refused rather than lost.
var (
	tenantTable = define(table{
		name: "tenants", announced: keys.TypeTenant, revised: true, renamed: true,
		key: columns("id"), fixed: columns("created_at kek_generation"), mutable: columns("name names"),
	})
	compartmentTable = define(table{
		name: "compartments", announced: keys.TypeCompartment, revised: true,
		key: columns("id"), fixed: columns("tenant created_at"), mutable: columns("parent name names"),
	})
	vaultTable = define(table{
		name: "vaults", announced: keys.TypeVault, revised: true, renamed: true, stateful: true,
		key:     columns("id"),
		fixed:   columns("tenant region kind restored_from created_at kek_generation"),
		mutable: columns("compartment name is_default endpoint state delete_at tags restored_at replica fleet"),
	})
	replicaTable = define(table{
		name: "replicas", announced: keys.TypeReplica, revised: true, stateful: true,
		key: columns("id"), fixed: columns("tenant vault region endpoint created_at"), mutable: columns("state delete_at"),
	})
	keyTable = define(table{
		name: "keys", announced: keys.TypeKey, revised: true, stateful: true, lasting: columns("name"),
		key:   columns("id"),
		fixed: columns("tenant vault region spec usages origin protection hidden creator restored_from created_at"),
		mutable: columns(`compartment name description state state_before delete_at
			primary_version versions erased last_version_at
			rotation_interval rotation_start rotation_next rotation_last rotation_status rotation_message
			deletion_protected deletion_protection material_expires_at tags restored_at`),
	})
	versionTable = define(table{
		name: "versions", announced: keys.TypeVersion, revised: true, stateful: true, sealed: true,
		key:     columns("id"),
		fixed:   columns("tenant vault key region ordinal origin auto_rotated restored_from created_at"),
		mutable: columns("state delete_at public_key sealed fingerprint kek_generation restored_at"),
	})
	aliasTable = define(table{
		name: "aliases", announced: keys.TypeAlias, revised: true,
		key: columns("tenant region name"), fixed: columns("created_at"), mutable: columns("key"),
	})
	grantTable = define(table{
		name: "grants", announced: keys.TypeGrant, revised: true,
		key: columns("id"), fixed: columns("tenant key grantee created_at"), mutable: columns("actions"),
	})
	principalTable = define(table{
		name: "principals", announced: keys.TypePrincipal, revised: true, renamed: true,
		key: columns("id"), fixed: columns("tenant created_at"), mutable: columns("name names session_epoch assumable_by"),
	})
	// principalNameTable is the same table by the name for people.
	principalNameTable = define(table{
		name: "principals", announced: keys.TypePrincipal, revised: true,
		key: columns("tenant name"), fixed: columns("id created_at"), mutable: columns("names session_epoch assumable_by"),
	})
	bindingTable = define(table{
		name: "bindings", announced: keys.TypeBinding, revised: true,
		key: columns("id"), fixed: columns("tenant principal created_at"), mutable: columns("role vault"),
	})
	credentialTable = define(table{
		name: "credentials", announced: keys.TypeCredential, revised: true, sealed: true,
		key:     columns("id"),
		fixed:   columns("tenant principal kind name created_at"),
		mutable: columns("public_key sealed kek_generation mac disabled"),
	})
	workTable = define(table{
		name: "work_requests", announced: keys.TypeWork, revised: true,
		key:     columns("id"),
		fixed:   columns("tenant region compartment vault action creator created_at"),
		mutable: columns("status percent owner started_at finished_at resources errors logs"),
	})
	// credentialNameTable is the same table by what a request names a credential by.
	credentialNameTable = define(table{
		name: "credentials", announced: keys.TypeCredential, revised: true,
		key:     columns("kind name"),
		fixed:   columns("id tenant principal created_at"),
		mutable: columns("public_key sealed kek_generation mac disabled"),
	})
)

// The tables of the records that have neither an ID of their own nor a revision.
var (
	kekTable = define(table{
		name: "keks", announced: keys.TypeKEK, key: columns("owner generation"), mutable: columns("root sealed created_at"),
	})
	settingTable = define(table{
		name: "settings", key: columns("name"), mutable: columns("value"),
	})
	externalIDTable = define(table{
		name: "external_ids", key: columns("dialect type tenant region name"), mutable: columns("id"),
	})
	tokenTable = define(table{
		name: "tokens", key: columns("principal operation token"),
		mutable: columns("fingerprint type result id expires_at"),
	})
	nonceTable = define(table{
		name: "nonces", key: columns("hash"), mutable: columns("expires_at"),
	})
)

// describe takes a record apart.
func describe(rec store.Record) (row, error) {
	switch r := rec.(type) {
	case *keys.Tenant:
		return row{record: r, table: tenantTable, revision: &r.Revision, id: &r.ID, fields: []any{
			(*idCol)(&r.ID), (*timeCol)(&r.CreatedAt), &r.KEKGeneration, &r.Name, (*namesCol)(&r.Names), &r.Revision,
		}}, nil
	case *keys.Compartment:
		return row{record: r, table: compartmentTable, revision: &r.Revision, id: &r.ID, fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*timeCol)(&r.CreatedAt),
			(*idCol)(&r.Parent), &r.Name, (*namesCol)(&r.Names), &r.Revision,
		}}, nil
	case *keys.Vault:
		return describeVault(r), nil
	case *keys.Replica:
		return row{record: r, table: replicaTable, revision: &r.Revision, id: &r.ID, state: &r.State, fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Vault), &r.Region, &r.Endpoint, (*timeCol)(&r.CreatedAt),
			&r.State, (*timeCol)(&r.DeleteAt), &r.Revision,
		}}, nil
	case *keys.Key:
		return describeKey(r), nil
	case *keys.Version:
		return describeVersion(r), nil
	case *keys.Alias:
		return row{
			record: r, table: aliasTable, revision: &r.Revision,
			fields: []any{
				(*idCol)(&r.Tenant), &r.Region, &r.Name, (*timeCol)(&r.CreatedAt), (*idCol)(&r.Key), &r.Revision,
			},
		}, nil
	case *keys.Grant:
		return row{record: r, table: grantTable, revision: &r.Revision, id: &r.ID, fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Key), (*idCol)(&r.Grantee), (*timeCol)(&r.CreatedAt),
			(*actionsCol)(&r.Actions), &r.Revision,
		}}, nil
	case *identity.Principal:
		return describePrincipal(r), nil
	case *identity.Binding:
		return row{record: r, table: bindingTable, revision: &r.Revision, id: &r.ID, fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Principal), (*timeCol)(&r.CreatedAt),
			&r.Role, (*idCol)(&r.Vault), &r.Revision,
		}}, nil
	case *identity.CredentialRow:
		return describeCredential(r), nil
	case *keys.WorkRequest:
		return describeWork(r), nil
	}
	return describeUnnumbered(rec)
}

func describeUnnumbered(rec store.Record) (row, error) {
	switch r := rec.(type) {
	case *store.KEK:
		return row{record: r, table: kekTable, id: &r.Owner, fields: []any{
			(*idCol)(&r.Owner), &r.Generation, &r.Root, (*blobCol)(&r.Sealed), (*timeCol)(&r.CreatedAt),
		}}, nil
	case *store.Setting:
		return row{record: r, table: settingTable, fields: []any{&r.Name, &r.Value}}, nil
	case *store.ExternalID:
		return row{record: r, table: externalIDTable, fields: []any{
			&r.Dialect, &r.Type, (*idCol)(&r.Tenant), &r.Region, &r.Name, (*idCol)(&r.ID),
		}}, nil
	case *store.Token:
		return row{record: r, table: tokenTable, fields: []any{
			(*idCol)(&r.Principal), &r.Operation, &r.Token,
			(*hashCol)(&r.Fingerprint), &r.Type, (*blobCol)(&r.Result), (*idCol)(&r.ID), (*timeCol)(&r.ExpiresAt),
		}}, nil
	case *store.Nonce:
		return row{record: r, table: nonceTable, fields: []any{(*idCol)(&r.Hash), (*timeCol)(&r.ExpiresAt)}}, nil
	}
	return row{}, fmt.Errorf("%T is not a record", rec)
}

func describeVault(r *keys.Vault) row {
	return row{
		record: r, table: vaultTable, revision: &r.Revision, id: &r.ID, state: &r.State,
		fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), &r.Region, &r.Kind,
			restoredFromCol{&r.Restored},
			(*timeCol)(&r.CreatedAt), &r.KEKGeneration,
			(*idCol)(&r.Compartment), &r.Name, (*boolCol)(&r.Default), &r.Endpoint, &r.State, (*timeCol)(&r.DeleteAt),
			(*tagsCol)(&r.Tags),
			restoredAtCol{&r.Restored},
			(*idCol)(&r.Replica), &r.Fleet, &r.Revision,
		},
	}
}

func describeKey(r *keys.Key) row {
	return row{
		record: r, table: keyTable, revision: &r.Revision, id: &r.ID, state: &r.State,
		fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Vault), &r.Region, &r.Spec, &r.Usages, &r.Origin,
			&r.Protection, (*boolCol)(&r.Hidden), (*idCol)(&r.Creator),
			restoredFromCol{&r.Restored},
			(*timeCol)(&r.CreatedAt),
			(*idCol)(&r.Compartment), &r.Name, &r.Description, &r.State, &r.Before, (*timeCol)(&r.DeleteAt),
			(*idCol)(&r.Primary), &r.Versions, &r.Erased, (*timeCol)(&r.LastVersionAt),
			(*durationCol)(&r.Rotation.Interval), (*timeCol)(&r.Rotation.Start), (*timeCol)(&r.Rotation.Next),
			(*timeCol)(&r.Rotation.Last), &r.Rotation.Status, &r.Rotation.Message,
			(*boolCol)(&r.DeletionProtected), &r.DeletionProtection, (*timeCol)(&r.MaterialExpiresAt), (*tagsCol)(&r.Tags),
			restoredAtCol{&r.Restored},
			&r.Revision,
		},
	}
}

func describeVersion(r *keys.Version) row {
	return row{
		record: r, table: versionTable, revision: &r.Revision, id: &r.ID, state: &r.State,
		fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Vault), (*idCol)(&r.Key), &r.Region, &r.Ordinal, &r.Origin,
			(*boolCol)(&r.AutoRotated),
			restoredFromCol{&r.Restored},
			(*timeCol)(&r.CreatedAt),
			&r.State, (*timeCol)(&r.DeleteAt), (*blobCol)(&r.PublicKey), (*blobCol)(&r.Sealed), (*blobCol)(&r.Fingerprint),
			&r.KEKGeneration,
			restoredAtCol{&r.Restored},
			&r.Revision,
		},
	}
}

func describePrincipal(r *identity.Principal) row {
	mutable := []any{(*namesCol)(&r.Names), &r.SessionEpoch, (*idsCol)(&r.AssumableBy), &r.Revision}
	out := row{record: r, table: principalTable, revision: &r.Revision, id: &r.ID}
	if r.ID.IsZero() {
		out.table = principalNameTable
		out.fields = append([]any{(*idCol)(&r.Tenant), &r.Name, (*idCol)(&r.ID), (*timeCol)(&r.CreatedAt)}, mutable...)
		return out
	}
	out.fields = append([]any{(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*timeCol)(&r.CreatedAt), &r.Name}, mutable...)
	return out
}

func describeCredential(r *identity.CredentialRow) row {
	mutable := []any{
		(*blobCol)(&r.PublicKey), (*blobCol)(&r.Sealed), &r.KEKGeneration, (*blobCol)(&r.MAC), (*boolCol)(&r.Disabled), &r.Revision,
	}
	out := row{record: r, table: credentialTable, revision: &r.Revision, id: &r.ID}
	if r.ID.IsZero() {
		out.table = credentialNameTable
		out.fields = append([]any{
			&r.Kind, &r.Name, (*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Principal), (*timeCol)(&r.CreatedAt),
		}, mutable...)
		return out
	}
	out.fields = append([]any{
		(*idCol)(&r.ID), (*idCol)(&r.Tenant), (*idCol)(&r.Principal), &r.Kind, &r.Name, (*timeCol)(&r.CreatedAt),
	}, mutable...)
	return out
}

func describeWork(r *keys.WorkRequest) row {
	return row{
		record: r, table: workTable, revision: &r.Revision, id: &r.ID,
		fields: []any{
			(*idCol)(&r.ID), (*idCol)(&r.Tenant), &r.Region, (*idCol)(&r.Compartment), (*idCol)(&r.Vault), &r.Action,
			(*idCol)(&r.Creator), (*timeCol)(&r.CreatedAt),
			&r.Status, &r.Percent, &r.Owner, (*timeCol)(&r.StartedAt), (*timeCol)(&r.FinishedAt),
			(*workResourcesCol)(&r.Resources), (*workNotesCol)(&r.Errors), (*workNotesCol)(&r.Logs), &r.Revision,
		},
	}
}
