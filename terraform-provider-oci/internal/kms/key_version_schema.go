// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"claviger/terraform-provider-oci/internal/cloud"
)

// Attributes that never change in the life of a thing keep their value in every plan.

func lasting(doc string) schema.StringAttribute {
	return schema.StringAttribute{
		Computed: true, MarkdownDescription: doc,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
}

func lastingBool(doc string) schema.BoolAttribute {
	return schema.BoolAttribute{
		Computed: true, MarkdownDescription: doc,
		PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
	}
}

func lastingList(doc string, fields map[string]attr.Type) schema.ListAttribute {
	return schema.ListAttribute{
		Computed: true, MarkdownDescription: doc, ElementType: types.ObjectType{AttrTypes: fields},
		PlanModifiers: []planmodifier.List{listplanmodifier.UseStateForUnknown()},
	}
}

// fixed is a required argument; another value makes another thing.
func fixed(doc string, checks ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, MarkdownDescription: doc, Validators: checks,
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

// chosen is an optional argument which the service fills when it is absent; another value makes another thing.
func chosen(doc string, checks ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, MarkdownDescription: doc, Validators: checks,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplaceIfConfigured()},
	}
}

func managementEndpoint() schema.StringAttribute {
	return fixed("The management endpoint of the vault that holds the key: the attribute `management_endpoint` of `oci_kms_vault`.",
		endpoint{cloud.ManagementPurpose})
}

func timeOfDeletion(doc string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, CustomType: instantType{}, MarkdownDescription: doc,
		Validators: []validator.String{moment{}}, PlanModifiers: []planmodifier.String{deletionTime{}},
	}
}

func (r *keyVersion) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "A key version: new cryptographic material of a master encryption key. Creating one rotates the key, which must " +
			"be enabled, and makes it the current version. Destroying it schedules its deletion.\n\n" +
			"The current version of a key cannot be deleted: its destruction is refused until the key is rotated again. To keep it and only " +
			"forget it, use `terraform state rm`. With `disable_kms_version_delete=true` in the environment no version is deleted at all.",
		Attributes: map[string]schema.Attribute{
			"id":                      lasting("The OCID of the key version."),
			"key_id":                  fixed("The OCID of the key."),
			"management_endpoint":     managementEndpoint(),
			"external_key_version_id": chosen("The version's id in the external key manager, for keys whose protection mode is `EXTERNAL`."),
			"time_of_deletion": timeOfDeletion("When the key version is to be deleted, in RFC 3339, such as `2019-04-03T21:10:29.600Z`: 7 to 30 " +
				"days after its destruction is asked for; the service's default is 30 days. It can be changed at any time. While the version is " +
				"enabled it is only kept, and sent when the resource is destroyed. If a deletion is scheduled already, it is scheduled anew."),
			"key_version_id":               lasting("The OCID of the key version."),
			"compartment_id":               lasting("The OCID of the compartment that holds the key version."),
			"vault_id":                     lasting("The OCID of the vault that holds the key version."),
			"state":                        lasting("The state of the key version, such as `ENABLED`."),
			"time_created":                 lasting("When the key version was created, in RFC 3339."),
			"public_key":                   lasting("The public key in PEM, of RSA and ECDSA keys."),
			"restored_from_key_id":         lasting("The OCID of the key version that this one was restored from."),
			"restored_from_key_version_id": lasting("The OCID of the key version that this one was restored from."),
			"is_primary":                   lastingBool("Whether it lies in the primary vault, and not in a replica. It does not say which version is current."),
			"is_auto_rotated":              lastingBool("Whether it was made by the key's rotation schedule."),
			"replica_details":              lastingList("Replication of the key version to another region.", replicaFields()),
			"external_key_reference_details": lastingList("The key and version in the external key manager, for keys whose protection mode is "+
				"`EXTERNAL`.", externalKeyFields()),
		},
		Blocks: map[string]schema.Block{"timeouts": timeoutsBlock()},
	}
}
