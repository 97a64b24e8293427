// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// deletionTime plans time_of_deletion. It is what the configuration says, in the notation of the state
// if that is the same instant. Where the configuration says nothing, it is the service's time while a
// deletion is scheduled, and nothing otherwise: then it was only meant for a later destruction.
type deletionTime struct{}

func (deletionTime) Description(context.Context) string {
	return "equal instants in other notations are no change"
}
func (d deletionTime) MarkdownDescription(c context.Context) string { return d.Description(c) }

func (deletionTime) PlanModifyString(ctx context.Context, q planmodifier.StringRequest, a *planmodifier.StringResponse) {
	old := instant{q.StateValue}
	switch {
	case q.ConfigValue.IsUnknown():
	case !q.ConfigValue.IsNull():
		if _, is := old.time(); is && old.same(instant{q.ConfigValue}) {
			a.PlanValue = q.StateValue
		}
	default:
		a.PlanValue = types.StringNull()
		if q.State.Raw.IsNull() {
			return
		}
		var state types.String
		a.Diagnostics.Append(q.State.GetAttribute(ctx, path.Root("state"), &state)...)
		if state.ValueString() == pendingDeletion {
			a.PlanValue = q.StateValue
		}
	}
}

// follows plans a computed attribute that repeats another one's planned value: state, which becomes
// what desired_state says.
type follows struct{ leader path.Path }

func (f follows) Description(context.Context) string           { return "follows " + f.leader.String() }
func (f follows) MarkdownDescription(c context.Context) string { return f.Description(c) }

func (f follows) PlanModifyString(ctx context.Context, q planmodifier.StringRequest, a *planmodifier.StringResponse) {
	if q.State.Raw.IsNull() {
		return
	}
	var leader types.String
	a.Diagnostics.Append(q.Plan.GetAttribute(ctx, f.leader, &leader)...)
	switch {
	case leader.IsUnknown():
		a.PlanValue = basetypes.NewStringUnknown()
	case leader.IsNull():
		a.PlanValue = q.StateValue
	default:
		a.PlanValue = leader
	}
}

// Final states that several kinds of things share.
const (
	enabled         = "ENABLED"
	disabled        = "DISABLED"
	pendingDeletion = "PENDING_DELETION"
	deleted         = "DELETED"
)
