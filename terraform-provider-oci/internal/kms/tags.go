// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// tags are the two kinds of tags; the defined ones are kept as "namespace.key" = "value".
type tags struct {
	defined, freeform types.Map
}

func tagAttributes() (defined, freeform schema.MapAttribute) {
	attribute := func(doc string, checks ...validator.Map) schema.MapAttribute {
		return schema.MapAttribute{
			Optional: true, Computed: true, ElementType: types.StringType, MarkdownDescription: doc, Validators: checks,
			PlanModifiers: []planmodifier.Map{mapplanmodifier.UseStateForUnknown()},
		}
	}
	return attribute("Defined tags, as `\"namespace.key\" = \"value\"`.", qualified{}), attribute("Free-form tags.")
}

// qualified accepts maps whose keys are namespace.key.
type qualified struct{}

func (qualified) Description(context.Context) string             { return "keys of the form namespace.key" }
func (q qualified) MarkdownDescription(c context.Context) string { return q.Description(c) }

func (qualified) ValidateMap(_ context.Context, q validator.MapRequest, a *validator.MapResponse) {
	for name := range q.ConfigValue.Elements() {
		if namespace, key, ok := strings.Cut(name, "."); !ok || namespace == "" || key == "" {
			a.Diagnostics.AddAttributeError(q.Path.AtMapKey(name), "Not a defined tag", fmt.Sprintf(
				"%q is not of the form namespace.key. Tags without a namespace belong into freeform_tags.", name))
		}
	}
}

// show makes tags of what the service has. Tags that others manage are left out unless prior has them.
func (b *base) show(defined map[string]map[string]interface{}, freeform map[string]string, prior tags) tags {
	flat := map[string]attr.Value{}
	for namespace, pairs := range defined {
		for key, value := range pairs {
			name := namespace + "." + key
			_, wanted := prior.defined.Elements()[name]
			if wanted || !slices.Contains(b.cloud.IgnoredTags, name) {
				flat[name] = types.StringValue(fmt.Sprint(value))
			}
		}
	}
	free := map[string]attr.Value{}
	for key, value := range freeform {
		free[key] = types.StringValue(value)
	}
	return tags{types.MapValueMust(types.StringType, flat), types.MapValueMust(types.StringType, free)}
}

// sentFreeform is nil, for "no change", unless the plan says what there shall be.
func sentFreeform(m types.Map) map[string]string {
	if m.IsNull() || m.IsUnknown() {
		return nil
	}
	free := map[string]string{}
	for key, value := range m.Elements() {
		free[key] = plain(value)
	}
	return free
}

// sentDefined is nil, for "no change", unless the plan says what there shall be. A request replaces
// all tags, so those that others manage go along as they are.
func (b *base) sentDefined(m types.Map, now map[string]map[string]interface{}) map[string]map[string]interface{} {
	if m.IsNull() || m.IsUnknown() {
		return nil
	}
	defined := map[string]map[string]interface{}{}
	put := func(namespace, key string, value any) {
		if defined[namespace] == nil {
			defined[namespace] = map[string]interface{}{}
		}
		defined[namespace][key] = value
	}
	for namespace, pairs := range now {
		for key, value := range pairs {
			if slices.Contains(b.cloud.IgnoredTags, namespace+"."+key) {
				put(namespace, key, value)
			}
		}
	}
	for name, value := range m.Elements() {
		namespace, key, _ := strings.Cut(name, ".")
		put(namespace, key, plain(value))
	}
	return defined
}

// plain is the text of a string value.
func plain(v attr.Value) string {
	if s, ok := v.(types.String); ok {
		return s.ValueString()
	}
	return ""
}
