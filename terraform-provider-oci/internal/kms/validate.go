// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"claviger/terraform-provider-oci/internal/cloud"
)

// duration accepts Go's notation of a positive duration.
type duration struct{}

func (duration) Description(context.Context) string             { return "a duration such as 90s or 20m" }
func (d duration) MarkdownDescription(c context.Context) string { return d.Description(c) }

func (duration) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if q.ConfigValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	if d, err := time.ParseDuration(q.ConfigValue.ValueString()); err != nil || d <= 0 {
		a.Diagnostics.AddAttributeError(q.Path, "Not a duration", fmt.Sprintf("%q is not a duration such as 90s or 20m.", q.ConfigValue.ValueString()))
	}
}

// moment accepts times in RFC 3339. State may hold others: Oracle's provider writes Go's notation.
type moment struct{}

func (moment) Description(context.Context) string             { return "a time in RFC 3339" }
func (m moment) MarkdownDescription(c context.Context) string { return m.Description(c) }

func (moment) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if q.ConfigValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	if _, ok := (instant{q.ConfigValue}).time(); !ok {
		a.Diagnostics.AddAttributeError(q.Path, "Not a time", fmt.Sprintf(
			"%q is not a time in RFC 3339, such as 2019-04-03T21:10:29.600Z.", q.ConfigValue.ValueString()))
	}
}

// endpoint accepts addresses that can be those of a vault, for one purpose.
type endpoint struct{ purpose cloud.Purpose }

func (e endpoint) Description(context.Context) string {
	return "the " + string(e.purpose) + " endpoint of a vault"
}
func (e endpoint) MarkdownDescription(c context.Context) string { return e.Description(c) }

func (e endpoint) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if q.ConfigValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	err := cloud.CheckEndpoint(q.ConfigValue.ValueString())
	if err == nil {
		err = cloud.CheckPurpose(q.ConfigValue.ValueString(), e.purpose)
	}
	if err != nil {
		a.Diagnostics.AddAttributeError(q.Path, "Not the "+string(e.purpose)+" endpoint of a vault", err.Error()+".")
	}
}

// oneOf accepts some words.
type oneOf struct {
	words    []string
	caseless bool
}

func (o oneOf) Description(context.Context) string           { return "one of " + strings.Join(o.words, ", ") }
func (o oneOf) MarkdownDescription(c context.Context) string { return o.Description(c) }

func (o oneOf) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if q.ConfigValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	given := q.ConfigValue.ValueString()
	if !slices.ContainsFunc(o.words, func(w string) bool { return w == given || o.caseless && strings.EqualFold(w, given) }) {
		a.Diagnostics.AddAttributeError(q.Path, "Not a value of "+q.Path.String(), fmt.Sprintf("%q is not one of %s.", given, strings.Join(o.words, ", ")))
	}
}

// single accepts one block of its kind; required says that there must be one.
type single struct{ required bool }

func (s single) Description(context.Context) string {
	if s.required {
		return "exactly one block"
	}
	return "at most one block"
}
func (s single) MarkdownDescription(c context.Context) string { return s.Description(c) }

func (s single) ValidateList(_ context.Context, q validator.ListRequest, a *validator.ListResponse) {
	if q.ConfigValue.IsUnknown() {
		return
	}
	n := len(q.ConfigValue.Elements())
	if n > 1 || s.required && n == 0 {
		a.Diagnostics.AddAttributeError(q.Path, "Wrong number of blocks", fmt.Sprintf("There are %d blocks %s; there must be %s.", n, q.Path, s.Description(context.Background())))
	}
}
