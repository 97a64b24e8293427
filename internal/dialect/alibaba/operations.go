// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

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
		{Name: "Tag", Operations: gaps("tags are set by CreateKey only",
			"TagResource", "UntagResource", "ListResourceTags", "TagResources", "UntagResources", "ListTagResources")},
		{Name: "Policy", Operations: gaps("rights come from roles and grants",
			"GetKeyPolicy", "SetKeyPolicy", "GetSecretPolicy", "SetSecretPolicy")},
		{Name: "Service", Operations: append([]dialect.Operation{
			op("DescribeRegions", classManage, "", d.describeRegions),
		}, gaps("there is no account to open or bill",
			"DescribeAccountKmsStatus", "OpenKmsService")...)},
		{Name: "Secret", Operations: gaps("secrets are not kept here",
			"CreateSecret", "DescribeSecret", "ListSecrets", "UpdateSecret", "DeleteSecret", "RestoreSecret", "GetSecretValue",
			"PutSecretValue", "ListSecretVersionIds", "UpdateSecretVersionStage", "UpdateSecretRotationPolicy", "RotateSecret",
			"GetRandomPassword")},
		{Name: "Certificate", Operations: gaps("the cloud has removed certificates",
			"CreateCertificate", "UploadCertificate", "GetCertificate", "DescribeCertificate", "UpdateCertificateStatus",
			"DeleteCertificate", "CertificatePublicKeyEncrypt", "CertificatePrivateKeyDecrypt", "CertificatePrivateKeySign",
			"CertificatePublicKeyVerify")},
		{Name: "Instance", Operations: gaps("there are no KMS instances here",
			"ConnectKmsInstance", "UpdateKmsInstanceBindVpc", "GetKmsInstance", "ListKmsInstances", "GetDefaultKmsInstance",
			"ReleaseKmsInstance", "GetKmsInstanceQuotaInfos")},
		{Name: "Access point and network", Operations: gaps("there are no KMS instances here",
			"CreateApplicationAccessPoint", "DescribeApplicationAccessPoint", "ListApplicationAccessPoints",
			"UpdateApplicationAccessPoint", "DeleteApplicationAccessPoint", "CreateClientKey", "GetClientKey", "ListClientKeys",
			"DeleteClientKey", "CreateNetworkRule", "DescribeNetworkRule", "ListNetworkRules", "UpdateNetworkRule",
			"DeleteNetworkRule", "CreatePolicy", "DescribePolicy", "ListPolicies", "UpdatePolicy", "DeletePolicy")},
		{Name: "Known to one client only", Operations: gaps("not part of the documented API", "AdvanceEncrypt", "DescribeService", "BatchGetSecretValue")},
	}
}

func (d *Dialect) keyOperations() []dialect.Operation {
	return append([]dialect.Operation{
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
		dialect.Unsupported("SetDeletionProtection", "SetDeletionProtection", "deletion protection cannot be set yet"),
	}, gaps("key material is made here, not imported", "GetParametersForImport", "ImportKeyMaterial", "DeleteKeyMaterial")...)
}

func (d *Dialect) cryptoOperations() []dialect.Operation {
	return append([]dialect.Operation{
		cryptoOp("Encrypt", classCrypto, keys.Encrypt, d.encrypt),
		cryptoOp("Decrypt", classCrypto, keys.Decrypt, d.decrypt),
		cryptoOp("GenerateDataKey", classCrypto, keys.GenerateDataKey, d.generateDataKey),
		cryptoOp("GenerateDataKeyWithoutPlaintext", classCrypto, keys.GenerateDataKey, d.generateDataKeyWithoutPlaintext),
		cryptoOp("AsymmetricEncrypt", classAsymmetric, keys.Encrypt, d.asymmetricEncrypt),
		cryptoOp("AsymmetricDecrypt", classAsymmetric, keys.Decrypt, d.asymmetricDecrypt),
		cryptoOp("AsymmetricSign", classAsymmetric, keys.Sign, d.asymmetricSign),
		cryptoOp("AsymmetricVerify", classAsymmetric, keys.Verify, d.asymmetricVerify),
		cryptoOp("GetPublicKey", classAsymmetric, keys.ReadPublicKey, d.getPublicKey),
		dialect.Unsupported("ReEncrypt", "ReEncrypt", "decrypt and encrypt instead"),
	}, append(gaps("data keys are not exported under other keys", "ExportDataKey", "GenerateAndExportDataKey"),
		append(gaps("there are no HMAC keys", "GenerateMac", "VerifyMac"),
			gaps("there are no KMS instances here", "GetManagedDataKey", "ListManagedDataKeyVersions")...)...)...)
}
