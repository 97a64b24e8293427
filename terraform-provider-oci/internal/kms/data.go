// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// dataBase is base with the methods that data sources share.
type dataBase struct{ base }

func (d *dataBase) Metadata(_ context.Context, q datasource.MetadataRequest, a *datasource.MetadataResponse) {
	a.TypeName = d.typeName(q.ProviderTypeName)
}

func (d *dataBase) Configure(_ context.Context, q datasource.ConfigureRequest, a *datasource.ConfigureResponse) {
	d.serve(q.ProviderData, &a.Diagnostics)
}

// Data sources show things with the attributes and blocks of their resources, as Oracle's provider
// does, so their types are taken from there.

// notShown are the parts of a resource's schema that say something about Terraform alone.
const notShown = "timeouts"

// fieldsOf is the type of one thing: every attribute and block of its resource.
func fieldsOf(ctx context.Context, of resource.Resource) map[string]attr.Type {
	fields := schemaOf(ctx, of)
	delete(fields, notShown)
	return fields
}

func schemaOf(ctx context.Context, of resource.Resource) map[string]attr.Type {
	var a resource.SchemaResponse
	of.Schema(ctx, resource.SchemaRequest{}, &a)
	typed, ok := a.Schema.Type().(attr.TypeWithAttributeTypes)
	if !ok {
		return nil
	}
	return maps.Clone(typed.AttributeTypes())
}

// itemOf makes a value of fieldsOf from the model of a resource.
func itemOf(ctx context.Context, of resource.Resource, model any, diags *diag.Diagnostics) types.Object {
	whole, more := types.ObjectValueFrom(ctx, schemaOf(ctx, of), model)
	diags.Append(more...)
	values := whole.Attributes()
	delete(values, notShown)
	item, more := types.ObjectValue(fieldsOf(ctx, of), values)
	diags.Append(more...)
	return item
}

// oneSchema is the schema of a data source that shows one thing, found by arguments.
func oneSchema(ctx context.Context, of resource.Resource, doc string, arguments map[string]schema.Attribute) schema.Schema {
	var a resource.SchemaResponse
	of.Schema(ctx, resource.SchemaRequest{}, &a)
	attributes := map[string]schema.Attribute{}
	for name, field := range fieldsOf(ctx, of) {
		about := ""
		if attribute, ok := a.Schema.Attributes[name]; ok {
			about = attribute.GetMarkdownDescription()
		} else if block, ok := a.Schema.Blocks[name]; ok {
			about = block.GetMarkdownDescription()
		}
		attributes[name] = computed(field, about)
	}
	maps.Copy(attributes, arguments)
	return schema.Schema{MarkdownDescription: doc, Attributes: attributes}
}

// computed is an attribute of a type that is only shown.
func computed(field attr.Type, doc string) schema.Attribute {
	switch t := field.(type) {
	case types.ListType:
		return schema.ListAttribute{Computed: true, ElementType: t.ElemType, MarkdownDescription: doc}
	case types.MapType:
		return schema.MapAttribute{Computed: true, ElementType: t.ElemType, MarkdownDescription: doc}
	}
	switch {
	case field.Equal(types.BoolType):
		return schema.BoolAttribute{Computed: true, MarkdownDescription: doc}
	case field.Equal(types.Int64Type):
		return schema.Int64Attribute{Computed: true, MarkdownDescription: doc}
	}
	return schema.StringAttribute{Computed: true, MarkdownDescription: doc}
}

// setOne puts a thing into the state of a data source with oneSchema.
func setOne(ctx context.Context, into *tfsdk.State, item types.Object, diags *diag.Diagnostics) {
	for name, value := range item.Attributes() {
		if i, ok := value.(instant); ok {
			value = i.StringValue
		}
		diags.Append(into.SetAttribute(ctx, path.Root(name), value)...)
	}
}

// manySchema is the schema of a data source that lists things under a name, found by arguments.
func manySchema(ctx context.Context, of resource.Resource, name, doc string, arguments map[string]schema.Attribute) schema.Schema {
	attributes := map[string]schema.Attribute{
		"id": schema.StringAttribute{Computed: true, MarkdownDescription: "What the list was made from."},
		name: schema.ListAttribute{
			Computed: true, ElementType: types.ObjectType{AttrTypes: fieldsOf(ctx, of)},
			MarkdownDescription: "What was found, newest first. Lists of the service tell less of each thing than the data source of one.",
		},
	}
	maps.Copy(attributes, arguments)
	return schema.Schema{
		MarkdownDescription: doc, Attributes: attributes, Blocks: map[string]schema.Block{"filter": filterBlock()},
	}
}

// listOf is the list of those items that all filters let pass.
func listOf(ctx context.Context, of resource.Resource, filters []filter, items []types.Object, diags *diag.Diagnostics) types.List {
	passed := []attr.Value{}
	for _, item := range items {
		passes := true
		for _, f := range filters {
			match, err := f.match(item)
			if err != nil {
				diags.AddAttributeError(path.Root("filter"), "Filter not usable", err.Error())
				return types.ListNull(types.ObjectType{AttrTypes: fieldsOf(ctx, of)})
			}
			passes = passes && match
		}
		if passes {
			passed = append(passed, item)
		}
	}
	list, more := types.ListValue(types.ObjectType{AttrTypes: fieldsOf(ctx, of)}, passed)
	diags.Append(more...)
	return list
}

// pages follows a list to its end; each page is asked for with the cursor that came with the one before.
func pages[T any](page func(cursor *string) ([]T, *string, error)) (all []T, err error) {
	var cursor *string
	for {
		items, next, err := page(cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if deref(next) == "" {
			return all, nil
		}
		if deref(next) == deref(cursor) {
			return nil, fmt.Errorf("the list goes in circles at page %q", *next)
		}
		cursor = next
	}
}

// wanted is a required argument of a data source.
func wanted(doc string, checks ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: doc, Validators: checks}
}
