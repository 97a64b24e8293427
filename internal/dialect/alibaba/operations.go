// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"slices"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// op builds a row: the wire name is the route.
func op[Req any, Resp content](name, class string, action keys.Action, fn func(context.Context, *kms.Call, *Req) (Resp, error)) dialect.Operation {
	return dialect.Op(name, name, class, action, fn)
}

// gaps builds the rows of operations that are not supported, for one reason.
func gaps(reason string, names ...string) []dialect.Operation {
	out := make([]dialect.Operation, 0, len(names))
	for _, name := range names {
		out = append(out, dialect.Unsupported(name, name, reason))
	}
	return out
}

// gap marks an operation that always refuses, but not as unknown to this server.
func gap(op dialect.Operation, reason string) dialect.Operation {
	op.Gap = reason
	return op
}

// operations is the table: every operation that any of the cloud's clients knows, as its
// documentation divides them.
func (d *Dialect) operations() []dialect.Group {
	return []dialect.Group{
		{Name: "Key management", Operations: d.keyOperations()},
		{Name: "Cryptography", Operations: d.cryptoOperations()},
		{Name: "Alias", Operations: []dialect.Operation{
			op("CreateAlias", classManage, keys.CreateAlias, d.createAlias),
			op("UpdateAlias", classManage, keys.UpdateAlias, d.updateAlias),
			op("DeleteAlias", classManage, keys.DeleteAlias, d.deleteAlias),
			op("ListAliases", classManage, keys.ListAliases, d.listAliases),
			op("ListAliasesByKeyId", classManage, keys.ListAliases, d.listAliasesByKeyID),
		}},
		{Name: "Tag", Operations: []dialect.Operation{
			op("TagResource", classManage, keys.TagKey, d.tagResource),
			op("UntagResource", classManage, keys.TagKey, d.untagResource),
			op("ListResourceTags", classManage, keys.ReadKey, d.listResourceTags),
			op("TagResources", classManage, keys.TagKey, d.tagResources),
			op("UntagResources", classManage, keys.TagKey, d.untagResources),
			op("ListTagResources", classManage, keys.ListKeys, d.listTagResources),
		}},
		{Name: "Policy", Operations: append([]dialect.Operation{
			op("GetKeyPolicy", classManage, keys.ReadKey, d.getKeyPolicy),
			gap(op("SetKeyPolicy", classManage, keys.ReadKey, d.setKeyPolicy), "rights come from roles and grants"),
		}, gaps("secrets are not kept here", "GetSecretPolicy", "SetSecretPolicy")...)},
		{Name: "Service", Operations: []dialect.Operation{
			op("DescribeRegions", classManage, "", d.describeRegions),
			op("DescribeAccountKmsStatus", classManage, "", d.describeAccountStatus),
			op("OpenKmsService", classManage, "", d.openService),
		}},
		{Name: "Secret", Operations: gaps("secrets are not kept here",
			"CreateSecret", "DescribeSecret", "ListSecrets", "UpdateSecret", "DeleteSecret", "RestoreSecret", "GetSecretValue",
			"PutSecretValue", "ListSecretVersionIds", "UpdateSecretVersionStage", "UpdateSecretRotationPolicy", "RotateSecret",
			"GetRandomPassword")},
		{Name: "Certificate", Operations: gaps("the cloud has removed certificates",
			"CreateCertificate", "UploadCertificate", "GetCertificate", "DescribeCertificate", "UpdateCertificateStatus",
			"DeleteCertificate", "CertificatePublicKeyEncrypt", "CertificatePrivateKeyDecrypt", "CertificatePrivateKeySign",
			"CertificatePublicKeyVerify")},
		{Name: "Instance", Operations: slices.Concat([]dialect.Operation{
			op("GetKmsInstance", classManage, keys.ReadVault, d.getInstance),
			op("ListKmsInstances", classManage, keys.ListVaults, d.listInstances),
			op("GetDefaultKmsInstance", classManage, keys.ReadVault, d.getDefaultInstance),
		},
			gaps("an instance is a vault, ready as soon as it is made; there are no VPCs", "ConnectKmsInstance", "UpdateKmsInstanceBindVpc"),
			gaps("a vault is deleted through OCI's API, after its retention", "ReleaseKmsInstance"),
			gaps("vaults have no quotas of their own", "GetKmsInstanceQuotaInfos"))},
		{Name: "Access point and network", Operations: gaps("rights come from roles and grants; an instance has no gateway of its own",
			"CreateApplicationAccessPoint", "DescribeApplicationAccessPoint", "ListApplicationAccessPoints",
			"UpdateApplicationAccessPoint", "DeleteApplicationAccessPoint", "CreateClientKey", "GetClientKey", "ListClientKeys",
			"DeleteClientKey", "CreateNetworkRule", "DescribeNetworkRule", "ListNetworkRules", "UpdateNetworkRule",
			"DeleteNetworkRule", "CreatePolicy", "DescribePolicy", "ListPolicies", "UpdatePolicy", "DeletePolicy")},
		{Name: "Known to one client only", Operations: gaps("not part of the documented API", "AdvanceEncrypt", "DescribeService", "BatchGetSecretValue")},
	}
}

func (d *Dialect) keyOperations() []dialect.Operation {
	return []dialect.Operation{
		op("CreateKey", classManage, keys.CreateKey, d.createKey),
		op("DescribeKey", classManage, keys.ReadKey, d.describeKey),
		op("ListKeys", classManage, keys.ListKeys, d.listKeys),
		op("EnableKey", classManage, keys.EnsureEnabled, d.changeState(keys.EnsureEnabled)),
		op("DisableKey", classManage, keys.EnsureDisabled, d.changeState(keys.EnsureDisabled)),
		op("ScheduleKeyDeletion", classManage, keys.ScheduleKeyDeletion, d.scheduleKeyDeletion),
		op("CancelKeyDeletion", classManage, keys.RestoreKey, d.changeState(keys.RestoreKey)),
		op("UpdateKeyDescription", classManage, keys.UpdateKey, d.updateKeyDescription),
		op("CreateKeyVersion", classManage, keys.Rotate, d.createKeyVersion),
		op("DescribeKeyVersion", classManage, keys.ReadVersion, d.describeKeyVersion),
		op("ListKeyVersions", classManage, keys.ListVersions, d.listKeyVersions),
		op("UpdateRotationPolicy", classManage, keys.SetRotation, d.updateRotationPolicy),
		op("SetDeletionProtection", classManage, keys.SetProtection, d.setDeletionProtection),
		op("GetParametersForImport", classManage, keys.ReadImportParameters, d.getParametersForImport),
		op("ImportKeyMaterial", classManage, keys.ImportMaterial, d.importKeyMaterial),
		op("DeleteKeyMaterial", classManage, keys.DeleteMaterial, d.deleteKeyMaterial),
	}
}

func (d *Dialect) cryptoOperations() []dialect.Operation {
	return append([]dialect.Operation{
		cryptoOp("Encrypt", classCrypto, keys.Encrypt, d.encrypt),
		cryptoOp("Decrypt", classCrypto, keys.Decrypt, d.decrypt),
		cryptoOp("ReEncrypt", classReEncrypt, keys.ReEncrypt, d.reEncrypt),
		cryptoOp("GenerateDataKey", classCrypto, keys.GenerateDataKey, d.generateDataKey),
		cryptoOp("GenerateDataKeyWithoutPlaintext", classCrypto, keys.GenerateDataKey, d.generateDataKeyWithoutPlaintext),
		cryptoOp("ExportDataKey", classCrypto, keys.ExportDataKey, d.exportDataKey),
		cryptoOp("GenerateAndExportDataKey", classCrypto, keys.GenerateDataKey, d.generateAndExportDataKey),
		cryptoOp("AsymmetricEncrypt", classAsymmetric, keys.Encrypt, d.asymmetricEncrypt),
		cryptoOp("AsymmetricDecrypt", classAsymmetric, keys.Decrypt, d.asymmetricDecrypt),
		cryptoOp("AsymmetricSign", classAsymmetric, keys.Sign, d.asymmetricSign),
		cryptoOp("AsymmetricVerify", classAsymmetric, keys.Verify, d.asymmetricVerify),
		cryptoOp("GetPublicKey", classAsymmetric, keys.ReadPublicKey, d.getPublicKey),
		cryptoOp("GenerateMac", classCrypto, keys.GenerateMAC, d.generateMAC),
		cryptoOp("VerifyMac", classCrypto, keys.VerifyMAC, d.verifyMAC),
	}, gaps("the cloud's own services manage these data keys", "GetManagedDataKey", "ListManagedDataKeyVersions")...)
}
