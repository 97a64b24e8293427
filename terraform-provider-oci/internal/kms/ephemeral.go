// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"claviger/terraform-provider-oci/internal/cloud"
)

// ephemeralBase is base with the methods that ephemeral resources share. What they answer is in no
// state and in no plan; there is nothing to be given back when they are closed.
type ephemeralBase struct{ base }

func (e *ephemeralBase) Metadata(_ context.Context, q ephemeral.MetadataRequest, a *ephemeral.MetadataResponse) {
	a.TypeName = e.typeName(q.ProviderTypeName)
}

func (e *ephemeralBase) Configure(_ context.Context, q ephemeral.ConfigureRequest, a *ephemeral.ConfigureResponse) {
	e.serve(q.ProviderData, &a.Diagnostics)
}

// asked is a required argument of an ephemeral resource.
func asked(doc string, checks ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: doc, Validators: checks}
}

func askedAtCrypto() schema.Attribute {
	return asked(aboutCryptoEndpoint, endpoint{cloud.CryptoPurpose})
}

// askedPairs is an optional argument of names and values of an ephemeral resource.
func askedPairs(doc string) schema.Attribute {
	return schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: doc, Validators: []validator.Map{given{}}}
}

// answered is what an ephemeral resource gives.
func answered(doc string, secret bool) schema.Attribute {
	return schema.StringAttribute{Computed: true, Sensitive: secret, MarkdownDescription: doc}
}
