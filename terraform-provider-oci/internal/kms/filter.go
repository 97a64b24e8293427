// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// filter is a block of that name in a data source that lists.
type filter struct {
	Name   types.String   `tfsdk:"name"`
	Values []types.String `tfsdk:"values"`
	Regex  types.Bool     `tfsdk:"regex"`
}

func filterBlock() schema.Block {
	return schema.SetNestedBlock{
		MarkdownDescription: "Lets only those pass in which an attribute has one of some values. Several filters must all let it pass.",
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true, MarkdownDescription: "The attribute, such as `state`, or one within another, such as `freeform_tags.env`."},
			"values": schema.ListAttribute{
				Required: true, ElementType: types.StringType, MarkdownDescription: "The values, of which one must be the attribute's.",
			},
			"regex": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the values are regular expressions, which match anywhere in the attribute's."},
		}},
	}
}

// match says whether the filter lets an item pass. An attribute that things of its kind do not have is
// an error.
func (f filter) match(item types.Object) (bool, error) {
	found, err := reach(item, strings.Split(f.Name.ValueString(), "."))
	if err != nil {
		return false, fmt.Errorf("name = %q: %w", f.Name.ValueString(), err)
	}
	for _, v := range f.Values {
		matches := func(s string) bool { return s == v.ValueString() }
		if f.Regex.ValueBool() {
			expression, err := regexp.Compile(v.ValueString())
			if err != nil {
				return false, fmt.Errorf("values: %w", err)
			}
			matches = expression.MatchString
		}
		if slices.ContainsFunc(found, matches) {
			return true, nil
		}
	}
	return false, nil
}

// reach collects the texts of all values that a path leads to; a list is entered at each of its
// elements, and what is null has none.
func reach(v attr.Value, names []string) ([]string, error) {
	if list, ok := v.(types.List); ok {
		var found []string
		for _, element := range list.Elements() {
			more, err := reach(element, names)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
		return found, nil
	}
	if v.IsNull() {
		return nil, nil
	}
	if len(names) == 0 {
		if s, ok := v.(interface{ ValueString() string }); ok {
			return []string{s.ValueString()}, nil
		}
		return []string{v.String()}, nil // booleans and numbers
	}
	switch t := v.(type) {
	case types.Object:
		next, ok := t.Attributes()[names[0]]
		if !ok {
			return nil, fmt.Errorf("there is no attribute %s; there are %s", names[0],
				strings.Join(slices.Sorted(maps.Keys(t.AttributeTypes(context.Background()))), ", "))
		}
		return reach(next, names[1:])
	case types.Map:
		name := strings.Join(names, ".") // keys of defined tags have a dot
		if next, ok := t.Elements()[name]; ok {
			return reach(next, nil)
		}
		return nil, nil
	}
	return nil, fmt.Errorf("there is nothing within %s", v.Type(context.Background()))
}
