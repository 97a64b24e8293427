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

// follows plans a computed attribute that becomes what another one is configured to be: state, which
// follows desired_state.
type follows struct{ leader path.Path }

func (f follows) Description(context.Context) string           { return "follows " + f.leader.String() }
func (f follows) MarkdownDescription(c context.Context) string { return f.Description(c) }

func (f follows) PlanModifyString(ctx context.Context, q planmodifier.StringRequest, a *planmodifier.StringResponse) {
	if q.State.Raw.IsNull() {
		return
	}
	var leader types.String // of the configuration: what the plan has of it depends on which of the two is planned first
	a.Diagnostics.Append(q.Config.GetAttribute(ctx, f.leader, &leader)...)
	switch {
	case leader.IsUnknown():
		a.PlanValue = basetypes.NewStringUnknown()
	case leader.IsNull():
		a.PlanValue = q.StateValue
	default:
		a.PlanValue = leader
	}
}

// scheduleStart plans time_of_schedule_start: the service keeps the day alone, so another time of the
// same day is no change. Where the configuration says nothing, the schedule goes on as it is.
type scheduleStart struct{}

func (scheduleStart) Description(context.Context) string {
	return "other times of the same day are no change"
}
func (s scheduleStart) MarkdownDescription(c context.Context) string { return s.Description(c) }

func (scheduleStart) PlanModifyString(_ context.Context, q planmodifier.StringRequest, a *planmodifier.StringResponse) {
	if q.StateValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	if q.ConfigValue.IsNull() || (instant{q.ConfigValue}).sameDay(instant{q.StateValue}) {
		a.PlanValue = q.StateValue
	}
}

// sameSchedule plans what the service computes of a schedule: it stays unless the schedule changes.
type sameSchedule struct{}

func (sameSchedule) Description(context.Context) string             { return "stays unless the schedule changes" }
func (s sameSchedule) MarkdownDescription(c context.Context) string { return s.Description(c) }

func (sameSchedule) PlanModifyString(ctx context.Context, q planmodifier.StringRequest, a *planmodifier.StringResponse) {
	if q.State.Raw.IsNull() {
		return
	}
	block, rotates := q.Path.ParentPath(), path.Root("is_auto_rotation_enabled")
	var interval, oldInterval types.Int64
	var start, oldStart instant
	var on, wasOn types.Bool
	for _, get := range []struct {
		at       path.Path
		now, was any
	}{
		{block.AtName("rotation_interval_in_days"), &interval, &oldInterval},
		{block.AtName("time_of_schedule_start"), &start, &oldStart},
		{rotates, &on, &wasOn},
	} {
		a.Diagnostics.Append(q.Config.GetAttribute(ctx, get.at, get.now)...)
		a.Diagnostics.Append(q.State.GetAttribute(ctx, get.at, get.was)...)
	}
	if (interval.IsNull() || interval.Equal(oldInterval)) && (start.IsNull() || start.sameDay(oldStart)) &&
		(on.IsNull() || on.Equal(wasOn)) && !oldInterval.IsNull() {
		a.PlanValue = q.StateValue
	}
}

// Final states that several kinds of things share.
const (
	enabled         = "ENABLED"
	disabled        = "DISABLED"
	pendingDeletion = "PENDING_DELETION"
	deleted         = "DELETED"
)
