// SPDX-License-Identifier: Apache-2.0

// Package provider is the provider oci: its configuration, and which resources and data sources it
// has. The configuration is that of Oracle's provider with an API key or a session token; what cannot
// be honoured is refused. Nothing is sent when the provider is configured.
package provider

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"claviger/terraform-provider-oci/internal/cloud"
	"claviger/terraform-provider-oci/internal/kms"
	"claviger/terraform-provider-oci/internal/settings"
)

// Process is what the provider takes from the process that it runs in.
type Process struct {
	settings.Surroundings
	Version string // of the provider

	// Now is the machine's clock, and Pause waits for a duration or until the context ends.
	Now   func() time.Time
	Pause func(context.Context, time.Duration) error
}

type ociProvider struct{ process Process }

var _ provider.ProviderWithEphemeralResources = (*ociProvider)(nil)

// New returns what makes the provider; its configuration comes later, from Terraform.
func New(p Process) func() provider.Provider {
	return func() provider.Provider { return &ociProvider{p} }
}

func (p *ociProvider) Metadata(_ context.Context, _ provider.MetadataRequest, a *provider.MetadataResponse) {
	a.TypeName, a.Version = "oci", p.process.Version
}

// model is the provider block.
type model struct {
	Auth                 types.String `tfsdk:"auth"`
	TenancyOCID          types.String `tfsdk:"tenancy_ocid"`
	UserOCID             types.String `tfsdk:"user_ocid"`
	Fingerprint          types.String `tfsdk:"fingerprint"`
	PrivateKey           types.String `tfsdk:"private_key"`
	PrivateKeyPath       types.String `tfsdk:"private_key_path"`
	PrivateKeyPassword   types.String `tfsdk:"private_key_password"`
	Region               types.String `tfsdk:"region"`
	ConfigFileProfile    types.String `tfsdk:"config_file_profile"`
	DisableAutoRetries   types.Bool   `tfsdk:"disable_auto_retries"`
	RetryDurationSeconds types.Int64  `tfsdk:"retry_duration_seconds"`
	IgnoreDefinedTags    types.List   `tfsdk:"ignore_defined_tags"`
}

func (p *ociProvider) Schema(_ context.Context, _ provider.SchemaRequest, a *provider.SchemaResponse) {
	text := func(doc string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: doc}
	}
	secret := func(doc string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: doc}
	}
	a.Schema = schema.Schema{
		MarkdownDescription: "Vaults, keys and key versions of OCI Key Management, in Oracle's cloud or in a Claviger server.\n\n" +
			"Each argument can also be given in the environment, as `TF_VAR_name` or `OCI_name`, or in the profile of `~/.oci/config`.",
		Attributes: map[string]schema.Attribute{
			"auth":                 text("How requests are signed: `ApiKey` (the default), or `SecurityToken` with the session of a profile."),
			"tenancy_ocid":         text("The OCID of the tenancy."),
			"user_ocid":            text("The OCID of the user."),
			"fingerprint":          text("The fingerprint of the user's API key."),
			"private_key":          secret("The private API key in PEM. It takes precedence over `private_key_path`."),
			"private_key_path":     text("The path of a file with the private API key in PEM."),
			"private_key_password": secret("The password of the private key, if it is encrypted."),
			"region":               text("The region whose vault service is asked, such as `us-ashburn-1`."),
			"config_file_profile":  text("The profile of `~/.oci/config` (or of the file that `OCI_CONFIG_FILE` names). The default is `DEFAULT`."),
			"disable_auto_retries": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether no request is ever repeated.",
			},
			"retry_duration_seconds": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "For how many seconds a request is repeated after 429, 5xx, a transient state or a broken " +
					"connection, instead of 600 for the first and 120 for the others. Negative: until the timeout of the resource.",
			},
			"ignore_defined_tags": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Defined tags, as `namespace.key`, that others set: they are neither shown nor removed.",
			},
		},
	}
}

func (p *ociProvider) Configure(ctx context.Context, q provider.ConfigureRequest, a *provider.ConfigureResponse) {
	var m model
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	arguments := m.arguments(ctx, &a.Diagnostics)
	if a.Diagnostics.HasError() {
		return
	}
	options, err := settings.Resolve(arguments, p.process.Surroundings)
	var problem *settings.Problem
	switch {
	case errors.As(err, &problem) && problem.Argument != "":
		a.Diagnostics.AddAttributeError(path.Root(problem.Argument), problem.Summary, problem.Detail)
		return
	case errors.As(err, &problem):
		a.Diagnostics.AddError(problem.Summary, problem.Detail)
		return
	case err != nil:
		a.Diagnostics.AddError("Provider not configured", err.Error())
		return
	}
	options.UserAgent = "terraform-provider-oci/" + p.process.Version + " terraform/" + q.TerraformVersion
	options.Now, options.Pause = p.process.Now, p.process.Pause
	c, err := cloud.New(options)
	if err != nil {
		a.Diagnostics.AddError("Provider not configured", err.Error())
		return
	}
	a.ResourceData, a.DataSourceData, a.EphemeralResourceData = c, c, c
}

// arguments refuses values that are only known once something else was made: who signs must be known
// before anything is read.
func (m *model) arguments(ctx context.Context, diags *diag.Diagnostics) settings.Arguments {
	read := func(name string, v types.String) string {
		if v.IsUnknown() {
			diags.AddAttributeError(path.Root(name), "Value not known yet", "The provider's "+name+" comes from a resource that does "+
				"not exist yet. Make that resource first, with: terraform apply -target=ADDRESS.")
		}
		return v.ValueString()
	}
	s := settings.Arguments{
		Auth: read("auth", m.Auth), TenancyOCID: read("tenancy_ocid", m.TenancyOCID), UserOCID: read("user_ocid", m.UserOCID),
		Fingerprint: read("fingerprint", m.Fingerprint), PrivateKey: read("private_key", m.PrivateKey),
		PrivateKeyPath: read("private_key_path", m.PrivateKeyPath), PrivateKeyPassword: read("private_key_password", m.PrivateKeyPassword),
		Region: read("region", m.Region), ConfigFileProfile: read("config_file_profile", m.ConfigFileProfile),
		DisableAutoRetries: m.DisableAutoRetries.ValueBoolPointer(), RetryDurationSeconds: m.RetryDurationSeconds.ValueInt64Pointer(),
	}
	if !m.IgnoreDefinedTags.IsNull() && !m.IgnoreDefinedTags.IsUnknown() {
		diags.Append(m.IgnoreDefinedTags.ElementsAs(ctx, &s.IgnoreDefinedTags, false)...)
	}
	return s
}

func (p *ociProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		kms.NewVault, kms.NewKey, kms.NewKeyVersion,
		kms.NewEncryptedData, kms.NewGeneratedKey, kms.NewSign, kms.NewVerify, kms.NewVaultReplication,
	}
}

func (p *ociProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		kms.NewVaultData, kms.NewVaultsData, kms.NewKeyData, kms.NewKeysData, kms.NewKeyVersionData, kms.NewKeyVersionsData,
		kms.NewEncryptedDataData, kms.NewDecryptedDataData,
		kms.NewVaultReplicasData, kms.NewReplicationStatusData, kms.NewVaultUsageData,
	}
}

func (p *ociProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{kms.NewDecryptedDataEphemeral, kms.NewGeneratedKeyEphemeral}
}
