// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// defaultTimeout is how long an operation may take, waiting included, unless the configuration says
// otherwise: 20 minutes, as in Oracle's provider.
const defaultTimeout = 20 * time.Minute

// timeouts is the block of that name; nil when it is absent.
type timeouts struct {
	Create types.String `tfsdk:"create"`
	Update types.String `tfsdk:"update"`
	Delete types.String `tfsdk:"delete"`
}

func timeoutsBlock() schema.Block {
	limit := func(of string) schema.Attribute {
		return schema.StringAttribute{
			Optional: true, Validators: []validator.String{duration{}},
			MarkdownDescription: "How long to wait for the resource to be " + of + ", such as `5m`. The default is `20m`.",
		}
	}
	return schema.SingleNestedBlock{
		MarkdownDescription: "Limits of time for the operations on the resource.",
		Attributes:          map[string]schema.Attribute{"create": limit("created"), "update": limit("updated"), "delete": limit("deleted")},
	}
}

// within bounds a context by one of the timeouts.
func (t *timeouts) within(ctx context.Context, which func(*timeouts) types.String) (context.Context, context.CancelFunc) {
	limit := defaultTimeout
	if t != nil {
		if d, err := time.ParseDuration(which(t).ValueString()); err == nil {
			limit = d
		}
	}
	return context.WithTimeout(ctx, limit)
}

func creating(t *timeouts) types.String { return t.Create }
func updating(t *timeouts) types.String { return t.Update }
func deleting(t *timeouts) types.String { return t.Delete }
