// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// operation is one row of the table: what the pipeline needs, and what only OCI has.
type operation struct {
	dialect.Operation
	on      service
	headers headers
	query   []string // names of the query parameters
	upload  bool     // the body is a file

	method, path string // of the route; set by the router
	segments     []string
}

// headers is which optional request headers an operation documents, opc-request-id aside.
type headers uint8

const (
	retryToken headers = 1 << iota
	ifMatch
	none headers = 0
	both         = retryToken | ifMatch
)

// section is a part of the table, as Oracle's clients divide it.
type section struct {
	name       string
	operations []operation
}

// sections is the whole table, in Oracle's order of clients and in the order of names.
func (d *Dialect) sections() []section {
	return []section{
		{"Vault service (KmsVaultClient)", d.vaultOperations()},
		{"Management endpoint (KmsManagementClient)", d.managementOperations()},
		{"Crypto endpoint (KmsCryptoClient)", d.cryptoOperations()},
		{"External key managers (EkmClient)", ekmOperations()},
		{"Dedicated HSM clusters (KmsHsmClusterClient)", hsmClusterOperations()},
		{"Work requests (WorkRequestClient, 20160918)", d.workOperations()},
	}
}

// Why operations are not supported.
const (
	noEKM        = "keys in a third party's key manager"
	noHSMCluster = "dedicated HSM clusters"
)

// op builds a row of an operation that is supported. A request that cannot be decoded, or a
// response that cannot be written, does not compile.
func op[Req any, Resp answer, P interface {
	*Req
	request
}](name, route, class string, action keys.Action, fn func(context.Context, *kms.Call, *Req) (Resp, error)) dialect.Operation {
	return dialect.Op(name, route, class, action, fn)
}

func gap(name, route, why string, on service) operation {
	return operation{Operation: dialect.Unsupported(name, route, why), on: on}
}

func (d *Dialect) vaultOperations() []operation {
	list := append([]string{"compartmentId"}, listQuery...)
	const vaults, vault = "/20180608/vaults", "/20180608/vaults/{vaultId}"
	return []operation{
		{Operation: op("BackupVault", "POST "+vault+"/actions/backup", unlimited, keys.BackupVault, d.backupVault), headers: both},
		{Operation: op("CancelVaultDeletion", "POST "+vault+"/actions/cancelDeletion", provWrite, keys.CancelVaultDeletion, d.cancelVaultDeletion), headers: both},
		{Operation: op("ChangeVaultCompartment", "POST "+vault+"/actions/changeCompartment", provWrite, keys.MoveVault, d.changeVaultCompartment), headers: both},
		{Operation: op("CreateVault", "POST "+vaults, provWrite, keys.CreateVault, d.createVault), headers: retryToken},
		{Operation: op("CreateVaultReplica", "POST "+vault+"/actions/createReplica", provWrite, keys.CreateReplica, d.createVaultReplica), headers: both},
		{Operation: op("DeleteVaultReplica", "POST "+vault+"/actions/deleteReplica", provWrite, keys.DeleteReplica, d.deleteVaultReplica), headers: both},
		{Operation: op("GetVault", "GET "+vault, provRead, keys.ReadVault, d.getVault)},
		{Operation: op("GetVaultUsage", "GET "+vault+"/usage", unlimited, keys.ReadVault, d.getVaultUsage)},
		{Operation: op("ListVaultReplicas", "GET "+vault+"/actions/listReplicas", provWrite, keys.ReadReplica, d.listVaultReplicas), headers: both, query: listQuery},
		{Operation: op("ListVaults", "GET "+vaults, provRead, keys.ListVaults, d.listVaults), query: list},
		{Operation: op("RestoreVaultFromFile", "POST "+vaults+"/actions/restoreFromFile", unlimited, keys.RestoreVaultBackup, d.restoreVaultFromFile), headers: both, query: []string{"compartmentId"}, upload: true},
		{Operation: op("RestoreVaultFromObjectStore", "POST "+vaults+"/actions/restoreFromObjectStore", unlimited, keys.RestoreVaultBackup, d.restoreVaultFromObjectStore), headers: both, query: []string{"compartmentId"}},
		{Operation: op("ScheduleVaultDeletion", "POST "+vault+"/actions/scheduleDeletion", provWrite, keys.ScheduleVaultDeletion, d.scheduleVaultDeletion), headers: both},
		{Operation: op("UpdateRegisteredVaultForMtls", "PUT "+vault+"/updateRegisteredVaultForMtls", unlimited, keys.UpdateVault, d.updateRegisteredVaultForMtls), headers: ifMatch},
		{Operation: op("UpdateVault", "PUT "+vault, provWrite, keys.UpdateVault, d.updateVault), headers: ifMatch},
	}
}

func (d *Dialect) managementOperations() []operation {
	list := append([]string{"compartmentId", "protectionMode", "algorithm", "length", "curveId"}, listQuery...)
	const base, key, version = "/20180608/keys", "/20180608/keys/{keyId}", "/20180608/keys/{keyId}/keyVersions/{keyVersionId}"
	table := []operation{
		{Operation: op("BackupKey", "POST "+key+"/actions/backup", unlimited, keys.BackupKey, d.backupKey), headers: both},
		{Operation: op("CancelKeyDeletion", "POST "+key+"/actions/cancelDeletion", provWrite, keys.CancelKeyDeletion, d.cancelKeyDeletion), headers: both},
		{Operation: op("CancelKeyVersionDeletion", "POST "+version+"/actions/cancelDeletion", provWrite, keys.CancelVersionDeletion, d.cancelKeyVersionDeletion), headers: both},
		{Operation: op("ChangeKeyCompartment", "POST "+key+"/actions/changeCompartment", provWrite, keys.MoveKey, d.changeKeyCompartment), headers: both},
		{Operation: op("CreateKey", "POST "+base, mgmtWrite, keys.CreateKey, d.createKey), headers: retryToken},
		{Operation: op("CreateKeyVersion", "POST "+key+"/keyVersions", mgmtWrite, keys.Rotate, d.createKeyVersion), headers: retryToken},
		{Operation: op("DisableKey", "POST "+key+"/actions/disable", mgmtWrite, keys.DisableKey, d.disableKey), headers: both},
		{Operation: op("EnableKey", "POST "+key+"/actions/enable", mgmtWrite, keys.EnableKey, d.enableKey), headers: both},
		{Operation: op("GetKey", "GET "+key, mgmtRead, keys.ReadKey, d.getKey)},
		{Operation: op("GetKeyVersion", "GET "+version, mgmtRead, keys.ReadVersion, d.getKeyVersion)},
		{Operation: op("GetReplicationStatus", "GET /20180608/replicaOperations/{replicationId}/status", unlimited, keys.ReadReplica, d.getReplicationStatus)},
		{Operation: op("GetWrappingKey", "GET /20180608/wrappingKeys", unlimited, keys.ReadVersion, d.getWrappingKey)},
		{Operation: op("ImportKey", "POST "+base+"/import", unlimited, keys.CreateKey, d.importKey), headers: retryToken},
		{Operation: op("ImportKeyVersion", "POST "+key+"/keyVersions/import", unlimited, keys.Rotate, d.importKeyVersion), headers: retryToken},
		{Operation: op("ListKeyVersions", "GET "+key+"/keyVersions", mgmtRead, keys.ListVersions, d.listKeyVersions), query: listQuery},
		{Operation: op("ListKeys", "GET "+base, mgmtRead, keys.ListKeys, d.listKeys), query: list},
		{Operation: op("RestoreKeyFromFile", "POST "+base+"/actions/restoreFromFile", unlimited, keys.RestoreKeyBackup, d.restoreKeyFromFile), headers: both, upload: true},
		{Operation: op("RestoreKeyFromObjectStore", "POST "+base+"/actions/restoreFromObjectStore", unlimited, keys.RestoreKeyBackup, d.restoreKeyFromObjectStore), headers: both},
		{Operation: op("ScheduleKeyDeletion", "POST "+key+"/actions/scheduleDeletion", provWrite, keys.ScheduleKeyDeletion, d.scheduleKeyDeletion), headers: both},
		{Operation: op("ScheduleKeyVersionDeletion", "POST "+version+"/actions/scheduleDeletion", provWrite, keys.ScheduleVersionDeletion, d.scheduleKeyVersionDeletion), headers: both},
		{Operation: op("UpdateKey", "PUT "+key, mgmtWrite, keys.UpdateKey, d.updateKey), headers: ifMatch},
	}
	for i := range table {
		table[i].on = onManagement
	}
	return table
}

func (d *Dialect) cryptoOperations() []operation {
	return []operation{
		{Operation: op("Decrypt", "POST /20180608/decrypt", unlimited, keys.Decrypt, d.decrypt), on: onCrypto},
		{Operation: op("Encrypt", "POST /20180608/encrypt", unlimited, keys.Encrypt, d.encrypt), on: onCrypto},
		{Operation: op("ExportKey", "POST /20180608/exportKey", unlimited, keys.ExportKey, d.exportKey), on: onCrypto},
		{Operation: op("GenerateDataEncryptionKey", "POST /20180608/generateDataEncryptionKey", unlimited, keys.GenerateDataKey, d.generateDataEncryptionKey), on: onCrypto},
		{Operation: op("Sign", "POST /20180608/sign", unlimited, keys.Sign, d.sign), on: onCrypto},
		{Operation: op("Verify", "POST /20180608/verify", unlimited, keys.Verify, d.verify), on: onCrypto},
	}
}

func ekmOperations() []operation {
	const all, one = "/20180608/ekmsPrivateEndpoints", "/20180608/ekmsPrivateEndpoints/{ekmsPrivateEndpointId}"
	return []operation{
		gap("CreateEkmsPrivateEndpoint", "POST "+all, noEKM, onRegion),
		gap("DeleteEkmsPrivateEndpoint", "DELETE "+one, noEKM, onRegion),
		gap("GetEkmsPrivateEndpoint", "GET "+one, noEKM, onRegion),
		gap("ListEkmsPrivateEndpoints", "GET "+all, noEKM, onRegion),
		gap("UpdateEkmsPrivateEndpoint", "PUT "+one, noEKM, onRegion),
	}
}

func hsmClusterOperations() []operation {
	const all, one = "/20180608/hsmClusters", "/20180608/hsmClusters/{hsmClusterId}"
	var out []operation
	for _, row := range [][2]string{
		{"CancelHsmClusterDeletion", "POST " + one + "/actions/cancelDeletion"},
		{"ChangeHsmClusterCompartment", "POST " + one + "/actions/changeCompartment"},
		{"CreateHsmCluster", "POST " + all},
		{"DisableAuditMgmtLogging", "POST " + one + "/actions/disableAuditMgmtLogging"},
		{"DownloadCertificateSigningRequest", "POST " + one + "/actions/downloadCertificateSigningRequest"},
		{"EnableAuditMgmtLogging", "POST " + one + "/actions/enableAuditMgmtLogging"},
		{"GetHsmCluster", "GET " + one},
		{"GetHsmPartition", "GET " + one + "/hsmPartitions/{hsmPartitionId}"},
		{"GetPreCoUserCredentials", "GET " + one + "/preCoUserCredentials"},
		{"InitiateAuditLogging", "POST " + one + "/actions/initiateAuditLogging"},
		{"ListHsmClusters", "GET " + all},
		{"ListHsmPartitions", "GET " + one + "/hsmPartitions"},
		{"ScheduleHsmClusterDeletion", "POST " + one + "/actions/scheduleDeletion"},
		{"UpdateAuditLoggingDestination", "PUT " + one + "/actions/updateAuditLoggingDestination"},
		{"UpdateHsmCluster", "PUT " + one},
		{"UploadPartitionCertificates", "POST " + one + "/actions/uploadPartitionCertificates"},
	} {
		out = append(out, gap(row[0], row[1], noHSMCluster, onRegion))
	}
	return out
}

// workOperations are those of the work-request service, which has a path of its own and is asked
// on the region's base URL.
func (d *Dialect) workOperations() []operation {
	const all, one = "/20160918/workRequests", "/20160918/workRequests/{workRequestId}"
	list := []string{"limit", "page", "sortOrder"}
	return []operation{
		{Operation: op("GetWorkRequest", "GET "+one, provRead, keys.ReadWork, d.getWorkRequest)},
		{Operation: op("ListWorkRequestErrors", "GET "+one+"/errors", provRead, keys.ReadWork, d.listWorkRequestErrors), query: list},
		{Operation: op("ListWorkRequestLogs", "GET "+one+"/logs", provRead, keys.ReadWork, d.listWorkRequestLogs), query: list},
		{Operation: op("ListWorkRequests", "GET "+all, provRead, keys.ListWork, d.listWorkRequests), query: []string{"compartmentId", "resourceId", "limit", "page"}},
	}
}
