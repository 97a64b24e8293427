// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/md5" //nolint:gosec // Oracle lets uploads be checked by MD5; it protects nothing
	"encoding/base64"
	"fmt"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// backupLocation is BackupLocation, of either kind.
type backupLocation struct {
	given       bool
	destination string
	namespace   string
	bucketName  string
	objectName  string
	uri         string
}

// The values of destination.
const (
	destinationBucket = "BUCKET"
	destinationURI    = "PRE_AUTHENTICATED_REQUEST_URI"
)

var destinations = []named[string]{{destinationBucket, destinationBucket}, {destinationURI, destinationURI}}

func (l *backupLocation) field(r *reader, name []byte) bool {
	switch string(name) {
	case "destination":
		l.destination, _ = choice(r, destinations)
	case "namespace":
		l.namespace = r.text()
	case "bucketName":
		l.bucketName = r.text()
	case "objectName":
		l.objectName = r.text()
	case "uri":
		l.uri = r.text()
	default:
		return false
	}
	return true
}

// location is where the request wants the backup. Neither kind may be mixed with the other.
func (l *backupLocation) location() (kms.Location, error) {
	const of = "backupLocation."
	switch {
	case !l.given:
		return kms.Location{}, keys.Missing("backupLocation")
	case l.destination == "":
		return kms.Location{}, keys.Missing(of + "destination")
	case l.destination == destinationURI:
		for _, f := range [][2]string{{"namespace", l.namespace}, {"bucketName", l.bucketName}, {"objectName", l.objectName}} {
			if f[1] != "" {
				return kms.Location{}, keys.Invalid(of+f[0], f[0]+" goes with destination "+destinationBucket+" only")
			}
		}
		return kms.Location{URI: kms.RequestURI(l.uri)}, required([2]string{of + "uri", l.uri})
	case l.uri != "":
		return kms.Location{}, keys.Invalid(of+"uri", "uri goes with destination "+destinationURI+" only")
	}
	if err := required([2]string{of + "namespace", l.namespace}, [2]string{of + "bucketName", l.bucketName}, [2]string{of + "objectName", l.objectName}); err != nil {
		return kms.Location{}, err
	}
	name := kms.ObjectName{Namespace: l.namespace, Bucket: l.bucketName, Object: l.objectName}
	if part := name.Check(); part != "" {
		return kms.Location{}, keys.Invalid(of+map[string]string{"namespace": "namespace", "bucket": "bucketName", "object": "objectName"}[part],
			"the "+part+"'s name has other characters, or more of them, than such names may")
	}
	return kms.Location{Name: name}, nil
}

// backupDetails is BackupKeyDetails, BackupVaultDetails, RestoreKeyFromObjectStoreDetails and
// RestoreVaultFromObjectStoreDetails, as far as they have the same field.
type backupDetails struct{ backup backupLocation }

func (q *backupDetails) field(r *reader, name []byte) bool {
	if string(name) != "backupLocation" {
		return false
	}
	if q.backup.given = !r.null(); q.backup.given {
		r.object(&q.backup)
	}
	return true
}

// working answers a resource whose work request the caller may follow.
type working struct {
	one
	work string // OCID of the work request
	md5  string // of the upload, in base64; "" without one
}

func (a working) write(x *dialect.Exchange) {
	h := x.Header()
	h.Set("Opc-Work-Request-Id", a.work)
	if a.md5 != "" {
		h.Set("Opc-Content-Md5", a.md5)
	}
	a.one.write(x)
}

func (d *Dialect) working(ctx context.Context, w *kms.Working, md5 string, err error) (working, error) {
	if err != nil {
		return working{}, err
	}
	out := working{work: d.namer.WorkRequestName(w.Work), md5: md5}
	if w.Key != nil {
		out.one, err = d.key(ctx, w.Key, nil)
	} else {
		out.one, err = d.vault(ctx, w.Vault, nil)
	}
	return out, err
}

type backupKeyRequest struct {
	backupDetails
	key kms.KeyRef
	to  kms.Location
}

func (q *backupKeyRequest) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	if err := in.body(&q.backupDetails); err != nil {
		return err
	}
	q.to, err = q.backup.location()
	return err
}

func (d *Dialect) backupKey(ctx context.Context, c *kms.Call, q *backupKeyRequest) (working, error) {
	w, err := d.kms.StoreKeyBackup(ctx, c, q.key, q.to)
	return d.working(ctx, w, "", err)
}

type backupVaultRequest struct {
	backupDetails
	vault       kms.VaultRef
	includeKeys bool
	to          kms.Location
}

func (q *backupVaultRequest) field(r *reader, name []byte) bool {
	if string(name) == "isIncludeKeys" {
		flag := r.optionalFlag()
		q.includeKeys = flag != nil && *flag
		return true
	}
	return q.backupDetails.field(r, name)
}

func (q *backupVaultRequest) decode(in *input) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	if err := in.body(q); err != nil {
		return err
	}
	q.to, err = q.backup.location()
	return err
}

func (d *Dialect) backupVault(ctx context.Context, c *kms.Call, q *backupVaultRequest) (working, error) {
	w, err := d.kms.StoreVaultBackup(ctx, c, q.vault, q.includeKeys, q.to)
	return d.working(ctx, w, "", err)
}

type restoreFromStoreRequest struct {
	backupDetails
	compartment string // of vaults
	from        kms.Location
}

func (q *restoreFromStoreRequest) decode(in *input) (err error) {
	if in.m.op.knows("compartmentId") {
		if q.compartment, err = in.compartment(); err != nil {
			return err
		}
	}
	if err := in.body(&q.backupDetails); err != nil {
		return err
	}
	q.from, err = q.backup.location()
	return err
}

func (d *Dialect) restoreKeyFromObjectStore(ctx context.Context, c *kms.Call, q *restoreFromStoreRequest) (working, error) {
	w, err := d.kms.RestoreKey(ctx, c, kms.Source{From: q.from})
	return d.working(ctx, w, "", err)
}

func (d *Dialect) restoreVaultFromObjectStore(ctx context.Context, c *kms.Call, q *restoreFromStoreRequest) (working, error) {
	w, err := d.kms.RestoreVault(ctx, c, q.compartment, kms.Source{From: q.from})
	return d.working(ctx, w, "", err)
}

type restoreFromFileRequest struct {
	compartment string // of vaults
	upload      *dialect.Upload
}

func (q *restoreFromFileRequest) decode(in *input) (err error) {
	if in.m.op.knows("compartmentId") {
		if q.compartment, err = in.compartment(); err != nil {
			return err
		}
	}
	q.upload = in.x.Upload
	return nil
}

func (d *Dialect) restoreKeyFromFile(ctx context.Context, c *kms.Call, q *restoreFromFileRequest) (working, error) {
	w, err := d.kms.RestoreKey(ctx, c, kms.Source{Upload: q.upload.Take()})
	return d.working(ctx, w, sumText(q.upload), err)
}

func (d *Dialect) restoreVaultFromFile(ctx context.Context, c *kms.Call, q *restoreFromFileRequest) (working, error) {
	w, err := d.kms.RestoreVault(ctx, c, q.compartment, kms.Source{Upload: q.upload.Take()})
	return d.working(ctx, w, sumText(q.upload), err)
}

func sumText(u *dialect.Upload) string { return base64.StdEncoding.EncodeToString(u.MD5[:]) }

// checkUpload compares an upload with the digest that was signed with it and, where there is one,
// with its Content-MD5 (RFC 1864), before the first byte of it is parsed.
func checkUpload(x *dialect.Exchange) error {
	if err := checkDigest(x.Request, x.Upload.SHA256); err != nil {
		return err
	}
	values := x.Request.Header["Content-Md5"]
	if len(values) == 0 {
		return nil
	}
	given, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil || len(given) != md5.Size || len(values) > 1 {
		return keys.Invalid(fieldContentMD5, "content-md5 is not one MD5 in base64")
	}
	if [md5.Size]byte(given) != x.Upload.MD5 {
		return &keys.Error{
			Kind: keys.KindInvalid, Field: fieldUnmatched, Err: &unmatched{actual: sumText(x.Upload), header: base64.StdEncoding.EncodeToString(given)},
			Hint: "what arrived is not what was sent, or content-md5 is of something else",
		}
	}
	return nil
}

// Fields of errors about an upload's MD5: one that is none, and one that is another.
const (
	fieldContentMD5 = "content-md5"
	fieldUnmatched  = "unmatched-md5"
)

// unmatched is the cause of a refusal for the MD5 of an upload.
type unmatched struct{ actual, header string }

func (u *unmatched) Error() string { return "content-md5 is not that of the body" }

// text is the message that Oracle's SDK documents for it.
func (u *unmatched) text() string {
	return fmt.Sprintf("The computed MD5 of the request body (%s) does not match the Content-MD5 header (%s).", u.actual, u.header)
}
