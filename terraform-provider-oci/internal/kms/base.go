// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"claviger/terraform-provider-oci/internal/cloud"
)

// base is what every resource and data source has: the service, once the provider is configured, and
// its own name.
type base struct {
	cloud *cloud.Cloud
	name  string // without the provider's prefix, such as kms_key
}

func (b *base) typeName(provider string) string { return provider + "_" + b.name }

// serve takes over what the provider was configured with; nil before that, while Terraform validates.
func (b *base) serve(provided any, diags *diag.Diagnostics) {
	if provided == nil {
		return
	}
	c, ok := provided.(*cloud.Cloud)
	if !ok {
		diags.AddError("Defect of the provider", fmt.Sprintf("It hands a %T to its resources.", provided))
		return
	}
	b.cloud = c
}

// refuse tells that an action on a thing did not succeed.
func (b *base) refuse(diags *diag.Diagnostics, action string, err error) {
	diags.AddError(action+" did not succeed", b.cloud.Explain(err))
}

// resourceBase is base with the methods that resources share.
type resourceBase struct{ base }

func (r *resourceBase) Metadata(_ context.Context, q resource.MetadataRequest, a *resource.MetadataResponse) {
	a.TypeName = r.typeName(q.ProviderTypeName)
}

func (r *resourceBase) Configure(_ context.Context, q resource.ConfigureRequest, a *resource.ConfigureResponse) {
	r.serve(q.ProviderData, &a.Diagnostics)
}
