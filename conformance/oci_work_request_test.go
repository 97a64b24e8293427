// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"reflect"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
	"github.com/oracle/oci-go-sdk/v65/workrequests"

	"claviger/conformance/internal/live"
)

// work is the SDK's client of work requests.
func (o oci) work(t *testing.T, access live.OCIAccess) workrequests.WorkRequestClient {
	t.Helper()
	client, err := workrequests.NewWorkRequestClientWithConfigurationProvider(o.Provider())
	if err != nil {
		t.Fatal(err)
	}
	client.Host = access.VaultEndpoint
	return client
}

// toBucket is a location in the tenancy's object storage.
func toBucket(object string) keymanagement.BackupLocationBucket {
	return keymanagement.BackupLocationBucket{Namespace: common.String("acme"), BucketName: common.String("backups"), ObjectName: &object}
}

// A work request is followed as the SDK's users follow it, with every field of its models.
func TestOCIWorkRequests(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	client := o.work(t, server.Ready.OCI)
	key := *o.createKey(t, aesShape(32)).Id
	backup, err := o.Management.BackupKey(t.Context(), keymanagement.BackupKeyRequest{
		KeyId: &key, BackupKeyDetails: keymanagement.BackupKeyDetails{BackupLocation: toBucket("it")},
	})
	if err != nil {
		t.Fatalf("BackupKey: %v", err)
	}
	got, err := client.GetWorkRequest(t.Context(), workrequests.GetWorkRequestRequest{WorkRequestId: backup.OpcWorkRequestId})
	if err != nil {
		t.Fatalf("GetWorkRequest: %v", err)
	}
	if got.Status != workrequests.WorkRequestStatusSucceeded || *got.PercentComplete != 100 || *got.OperationType != "BACKUP_KEY" ||
		len(got.Resources) != 1 || *got.Resources[0].Identifier != key || *got.Resources[0].EntityType != "key" ||
		got.Resources[0].ActionType != workrequests.WorkRequestResourceActionTypeRelated {
		t.Errorf("the work request of a backup: %s", got.WorkRequest)
	}
	filled(t, got.WorkRequest)
	filled(t, got.Resources[0])

	listed, err := client.ListWorkRequests(t.Context(), workrequests.ListWorkRequestsRequest{CompartmentId: &o.compartment, ResourceId: &key})
	if err != nil || len(listed.Items) != 1 || *listed.Items[0].Id != *backup.OpcWorkRequestId {
		t.Fatalf("ListWorkRequests of the key: %v %v", listed.Items, err)
	}
	filled(t, listed.Items[0])
	logs, err := client.ListWorkRequestLogs(t.Context(), workrequests.ListWorkRequestLogsRequest{WorkRequestId: backup.OpcWorkRequestId})
	if err != nil || len(logs.Items) != 1 {
		t.Fatalf("ListWorkRequestLogs: %v %v", logs.Items, err)
	}
	filled(t, logs.Items[0])

	_, err = o.Management.RestoreKeyFromObjectStore(t.Context(), keymanagement.RestoreKeyFromObjectStoreRequest{
		RestoreKeyFromObjectStoreDetails: keymanagement.RestoreKeyFromObjectStoreDetails{BackupLocation: toBucket("none")},
	})
	want(t, "a restore of what is not there", refusal(err), "400 RelatedResourceNotAuthorizedOrNotFound")
	listed, err = client.ListWorkRequests(t.Context(), workrequests.ListWorkRequestsRequest{CompartmentId: &o.compartment, Limit: common.Int(1)})
	if err != nil || len(listed.Items) != 1 || listed.OpcNextPage == nil || listed.Items[0].Status != workrequests.WorkRequestSummaryStatusFailed {
		t.Fatalf("the newest work request: %v %v", listed.Items, err)
	}
	errs, err := client.ListWorkRequestErrors(t.Context(), workrequests.ListWorkRequestErrorsRequest{WorkRequestId: listed.Items[0].Id})
	if err != nil || len(errs.Items) != 1 || *errs.Items[0].Code != "RelatedResourceNotAuthorizedOrNotFound" {
		t.Fatalf("its errors: %v %v", errs.Items, err)
	}
	filled(t, errs.Items[0])
	listed, err = client.ListWorkRequests(t.Context(), workrequests.ListWorkRequestsRequest{CompartmentId: &o.compartment, Page: listed.OpcNextPage})
	if err != nil || len(listed.Items) != 1 || *listed.Items[0].Id != *backup.OpcWorkRequestId {
		t.Errorf("the next page: %v %v", listed.Items, err)
	}
	_, err = client.GetWorkRequest(t.Context(), workrequests.GetWorkRequestRequest{WorkRequestId: &key})
	want(t, "a key for a work request", refusal(err), "404 NotAuthorizedOrNotFound")
}

// filled fails the test for a field of a model that has no value.
func filled(t *testing.T, model any) {
	t.Helper()
	v := reflect.ValueOf(model)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%T.%s is empty", model, v.Type().Field(i).Name)
		}
	}
}
