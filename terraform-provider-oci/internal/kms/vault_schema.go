// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func (r *vault) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	definedTags, freeformTags := tagAttributes()
	a.Schema = schema.Schema{
		MarkdownDescription: "A vault: a named set of keys with endpoints of its own. Destroying it schedules the deletion of the vault and of " +
			"all its keys.",
		Attributes: map[string]schema.Attribute{
			"id":             lasting("The OCID of the vault."),
			"compartment_id": schema.StringAttribute{Required: true, MarkdownDescription: "The OCID of the compartment that holds the vault. Another one moves it there."},
			"display_name":   schema.StringAttribute{Required: true, MarkdownDescription: "The name of the vault. It need not be unique."},
			"vault_type": fixed("`DEFAULT` (a shared partition), `VIRTUAL_PRIVATE` (one of its own) or `EXTERNAL` (keys in a third party's key manager).",
				oneOf{words: []string{"DEFAULT", "VIRTUAL_PRIVATE", "EXTERNAL"}}),
			"defined_tags":  definedTags,
			"freeform_tags": freeformTags,
			"time_of_deletion": timeOfDeletion("When the vault is to be deleted, in RFC 3339, such as `2019-04-03T21:10:29.600Z`: 7 to 30 days after " +
				"its destruction is asked for; the service's default is 30 days. It is only kept, and sent when the resource is destroyed."),
			"restore_trigger":                       schema.BoolAttribute{Optional: true, MarkdownDescription: "A change of it restores again."},
			"crypto_endpoint":                       lasting("The address for encrypting, decrypting, signing and verifying with the vault's keys."),
			"management_endpoint":                   lasting("The address for creating and changing the vault's keys."),
			"state":                                 lasting("The state of the vault, such as `ACTIVE`."),
			"time_created":                          lasting("When the vault was created, in RFC 3339."),
			"restored_from_vault_id":                lasting("The OCID of the vault that this one was restored from."),
			"is_primary":                            lastingBool("Whether it is the primary vault, and not a replica."),
			"is_vault_replicable":                   lastingBool("Whether it can be replicated to another region."),
			"replica_details":                       lastingList("Replication of the vault to another region.", replicaFields()),
			"external_key_manager_metadata_summary": lastingList("The third party's key manager, of vaults of the type `EXTERNAL`.", externalSummaryFields()),
		},
		Blocks: map[string]schema.Block{
			"external_key_manager_metadata": externalManagerBlock(),
			"restore_from_object_store":     restoreFromStoreBlock(),
			"restore_from_file":             restoreFromFileBlock("restore_vault_from_file_details"),
			"timeouts":                      timeoutsBlock(),
		},
	}
}

func externalManagerBlock() schema.Block {
	required := func(doc string) schema.StringAttribute {
		return schema.StringAttribute{Required: true, MarkdownDescription: doc}
	}
	secret := required("The secret of the client application.")
	secret.Sensitive = true
	return schema.ListNestedBlock{
		MarkdownDescription: "The third party's key manager, for vaults of the type `EXTERNAL`.",
		Validators:          []validator.List{single{}},
		PlanModifiers:       []planmodifier.List{listplanmodifier.RequiresReplace()},
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"external_vault_endpoint_url": required("The address of the vault in the key manager."),
				"private_endpoint_id":         required("The OCID of the private endpoint through which it is reached."),
			},
			Blocks: map[string]schema.Block{"oauth_metadata": schema.ListNestedBlock{
				MarkdownDescription: "How the service gets in.",
				Validators:          []validator.List{single{required: true}},
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"client_app_id":         required("The id of the client application."),
					"client_app_secret":     secret,
					"idcs_account_name_url": required("The address of the identity domain."),
				}},
			}},
		},
	}
}
