// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/common"
)

// text is a string of the service; what is absent is null.
func text[S ~string](s *S) types.String {
	if s == nil {
		return types.StringNull()
	}
	return types.StringValue(string(*s))
}

// word is an enumerated value of the service; what is absent is null.
func word[S ~string](s S) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(string(s))
}

func timeText(t *common.SDKTime) types.String {
	if t == nil {
		return types.StringNull()
	}
	return types.StringValue(t.UTC().Format(timeLayout))
}

// sent is a string for a request; null, unknown and empty are absent, as Oracle's provider has it.
func sent(s types.String) *string {
	if s.ValueString() == "" {
		return nil
	}
	return s.ValueStringPointer()
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// object is a list of one object, as blocks and nested values are kept, or an empty list for none.
func object(fields map[string]attr.Type, values map[string]attr.Value) types.List {
	of := types.ObjectType{AttrTypes: fields}
	if values == nil {
		return types.ListValueMust(of, []attr.Value{})
	}
	return types.ListValueMust(of, []attr.Value{types.ObjectValueMust(fields, values)})
}

// kept is what was planned, if anything was, or else what is. A plan is a promise: what another one
// changed since then shows at the next refresh.
func kept[V attr.Value](planned, actual V) V {
	if planned.IsUnknown() {
		return actual
	}
	return planned
}

// replicaFields is the type of replica_details of vaults, keys and versions.
func replicaFields() map[string]attr.Type {
	return map[string]attr.Type{"replication_id": types.StringType}
}

func replica(id *string, present bool) types.List {
	if !present {
		return object(replicaFields(), nil)
	}
	return object(replicaFields(), map[string]attr.Value{"replication_id": text(id)})
}
