// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func (r *key) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	definedTags, freeformTags := tagAttributes()
	a.Schema = schema.Schema{
		MarkdownDescription: "A master encryption key. Destroying it schedules its deletion, with that of all its versions.",
		Attributes: map[string]schema.Attribute{
			"id":                  lasting("The OCID of the key."),
			"compartment_id":      schema.StringAttribute{Required: true, MarkdownDescription: "The OCID of the compartment that holds the key. Another one moves it there."},
			"display_name":        schema.StringAttribute{Required: true, MarkdownDescription: "The name of the key. It need not be unique."},
			"management_endpoint": managementEndpoint(),
			"protection_mode": chosen("`HSM` (the service's default), `SOFTWARE` or `EXTERNAL`.",
				oneOf{words: []string{"HSM", "SOFTWARE", "EXTERNAL"}}),
			"desired_state": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{oneOf{words: []string{enabled, disabled}}},
				MarkdownDescription: "`ENABLED` or `DISABLED`. A disabled key neither encrypts nor decrypts, signs nor verifies.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"is_auto_rotation_enabled": schema.BoolAttribute{
				Optional: true, Computed: true, MarkdownDescription: "Whether the key is rotated on a schedule.",
				PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
			},
			"defined_tags":  definedTags,
			"freeform_tags": freeformTags,
			"time_of_deletion": timeOfDeletion("When the key is to be deleted, in RFC 3339, such as `2019-04-03T21:10:29.600Z`: 7 to 30 days after " +
				"its destruction is asked for; the service's default is 30 days. It is only kept, and sent when the resource is destroyed."),
			"restore_trigger":     schema.BoolAttribute{Optional: true, MarkdownDescription: "A change of it restores again."},
			"current_key_version": lasting("The OCID of the key version that encrypts and signs now."),
			"state": schema.StringAttribute{
				Computed: true, MarkdownDescription: "The state of the key, such as `ENABLED`.",
				PlanModifiers: []planmodifier.String{follows{path.Root("desired_state")}},
			},
			"time_created":         lasting("When the key was created, in RFC 3339."),
			"vault_id":             lasting("The OCID of the vault that holds the key."),
			"restored_from_key_id": lasting("The OCID of the key that this one was restored from."),
			"is_primary":           lastingBool("Whether it lies in the primary vault, and not in a replica."),
			"replica_details":      lastingList("Replication of the key to another region.", replicaFields()),
			"external_key_reference_details": lastingList("The key and its version in the external key manager, for the protection mode `EXTERNAL`.",
				externalKeyFields()),
		},
		Blocks: map[string]schema.Block{
			"key_shape":                 keyShapeBlock(),
			"auto_key_rotation_details": keyRotationBlock(),
			"external_key_reference": schema.ListNestedBlock{
				MarkdownDescription: "The key in the external key manager, for the protection mode `EXTERNAL`.",
				Validators:          []validator.List{single{}},
				PlanModifiers:       []planmodifier.List{listplanmodifier.RequiresReplace()},
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"external_key_id": schema.StringAttribute{Required: true, MarkdownDescription: "Its id there."},
				}},
			},
			"restore_from_object_store": restoreFromStoreBlock(),
			"restore_from_file":         restoreFromFileBlock("restore_key_from_file_details"),
			"timeouts":                  timeoutsBlock(),
		},
	}
}

func keyShapeBlock() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "What kind of key it is.",
		Validators:          []validator.List{single{required: true}},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"algorithm": fixed("`AES`, `RSA` or `ECDSA`.", oneOf{words: []string{"AES", "RSA", "ECDSA"}}),
			"length": schema.Int64Attribute{
				Required: true, PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
				MarkdownDescription: "The length in bytes: 16, 24 or 32 of AES, 256, 384 or 512 of RSA, 32, 48 or 66 of ECDSA keys.",
			},
			"curve_id": chosen("`NIST_P256`, `NIST_P384` or `NIST_P521`, of ECDSA keys.",
				oneOf{words: []string{"NIST_P256", "NIST_P384", "NIST_P521"}}),
		}},
	}
}

func keyRotationBlock() schema.Block {
	planned := func(doc string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: doc, PlanModifiers: []planmodifier.String{sameSchedule{}}}
	}
	return schema.ListNestedBlock{
		MarkdownDescription: "The schedule on which the key is rotated, if `is_auto_rotation_enabled` is true.",
		Validators:          []validator.List{single{}},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"rotation_interval_in_days": schema.Int64Attribute{
				Optional: true, Computed: true, MarkdownDescription: "The days between two rotations, 60 to 365.",
				PlanModifiers: []planmodifier.Int64{int64planmodifier.UseNonNullStateForUnknown()},
			},
			"time_of_schedule_start": schema.StringAttribute{
				Optional: true, Computed: true, CustomType: instantType{},
				MarkdownDescription: "The day on which the schedule begins, in RFC 3339. The default is today.",
				Validators:          []validator.String{moment{}}, PlanModifiers: []planmodifier.String{scheduleStart{}},
			},
			"last_rotation_message": planned("What is to be said of the last rotation."),
			"last_rotation_status":  planned("`SUCCESS`, `FAILED` or `IN_PROGRESS`."),
			"time_of_last_rotation": planned("When the key was last rotated on schedule, in RFC 3339."),
			"time_of_next_rotation": planned("When the key will be rotated next, in RFC 3339."),
		}},
	}
}
