// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// Destinations of backups.
const (
	toBucket = "BUCKET"
	toURI    = "PRE_AUTHENTICATED_REQUEST_URI"
)

// restoreFromStore is the block restore_from_object_store of vaults and keys.
type restoreFromStore struct {
	Destination types.String `tfsdk:"destination"`
	Bucket      types.String `tfsdk:"bucket"`
	Namespace   types.String `tfsdk:"namespace"`
	Object      types.String `tfsdk:"object"`
	URI         types.String `tfsdk:"uri"`
}

func restoreFromStoreBlock() schema.Block {
	optional := func(doc string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: doc}
	}
	return schema.ListNestedBlock{
		MarkdownDescription: "Restores from a backup in an object store when the resource is created, and again when `restore_trigger` changes.",
		Validators:          []validator.List{single{}},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"destination": schema.StringAttribute{
				Required: true, MarkdownDescription: "`BUCKET` or `PRE_AUTHENTICATED_REQUEST_URI`.",
				Validators: []validator.String{oneOf{words: []string{toBucket, toURI}, caseless: true}},
			},
			"bucket":    optional("The bucket, with `BUCKET`."),
			"namespace": optional("The namespace of the bucket, with `BUCKET`."),
			"object":    optional("The object in the bucket, with `BUCKET`."),
			"uri":       optional("The pre-authenticated address of the object, with `PRE_AUTHENTICATED_REQUEST_URI`."),
		}},
	}
}

func (r restoreFromStore) location() keymanagement.BackupLocation {
	if strings.EqualFold(r.Destination.ValueString(), toURI) {
		return keymanagement.BackupLocationUri{Uri: sent(r.URI)}
	}
	return keymanagement.BackupLocationBucket{BucketName: sent(r.Bucket), Namespace: sent(r.Namespace), ObjectName: sent(r.Object)}
}

// restoreFile is a backup that lies in the configuration, of a vault or a key.
type restoreFile struct {
	content []byte
	length  int64
	md5     *string
}

func restoreFromFileBlock(details string) schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "Restores from a backup file when the resource is created, and again when `restore_trigger` changes.",
		Validators:          []validator.List{single{}},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			details: schema.StringAttribute{
				Required: true, MarkdownDescription: "The backup in base64, such as `filebase64(\"backup\")`.", Validators: []validator.String{inBase64{}},
			},
			"content_length": schema.StringAttribute{
				Required: true, MarkdownDescription: "The length of the backup in bytes.", Validators: []validator.String{number{}},
			},
			"content_md5": schema.StringAttribute{Optional: true, MarkdownDescription: "The MD5 of the backup in base64, which the service checks."},
		}},
	}
}

func fileOf(details, length, md5 types.String) (restoreFile, error) {
	content, err := base64.StdEncoding.DecodeString(details.ValueString())
	if err != nil {
		return restoreFile{}, fmt.Errorf("decode backup: %w", err)
	}
	n, err := strconv.ParseInt(length.ValueString(), 10, 64)
	if err != nil || n != int64(len(content)) {
		return restoreFile{}, fmt.Errorf("content_length is %q, and the backup has %d bytes", length.ValueString(), len(content))
	}
	return restoreFile{content, n, sent(md5)}, nil
}

// body is the content for one attempt of a request.
func (f restoreFile) body() io.ReadCloser { return io.NopCloser(bytes.NewReader(f.content)) }

// inBase64 accepts base64 in its standard form.
type inBase64 struct{}

func (inBase64) Description(context.Context) string             { return "base64" }
func (b inBase64) MarkdownDescription(c context.Context) string { return b.Description(c) }

func (inBase64) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if _, err := base64.StdEncoding.DecodeString(q.ConfigValue.ValueString()); err != nil {
		a.Diagnostics.AddAttributeError(q.Path, "Not base64", "The backup must be given in base64, such as filebase64(\"backup\").")
	}
}

// number accepts digits.
type number struct{}

func (number) Description(context.Context) string             { return "a whole number" }
func (n number) MarkdownDescription(c context.Context) string { return n.Description(c) }

func (number) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if q.ConfigValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	if _, err := strconv.ParseUint(q.ConfigValue.ValueString(), 10, 63); err != nil {
		a.Diagnostics.AddAttributeError(q.Path, "Not a number", fmt.Sprintf("%q is not a number of bytes.", q.ConfigValue.ValueString()))
	}
}
