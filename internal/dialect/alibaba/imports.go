// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"strconv"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// importWrapping is a way to wrap material for its import.
type importWrapping struct {
	spec      keys.Spec // of the wrapping key
	algorithm string
	wrapping  keys.Wrapping
}

// importWrappings is every way. The cloud keeps SM2 to the keys of its HSMs in mainland China;
// here it serves all keys.
var importWrappings = []importWrapping{
	{keys.RSA2048, "RSAES_PKCS1_V1_5", keys.WrapPKCS1},
	{keys.RSA2048, "RSAES_OAEP_SHA_1", keys.WrapOAEPSHA1},
	{keys.RSA2048, "RSAES_OAEP_SHA_256", keys.WrapOAEPSHA256},
	{keys.SM2, "SM2PKE", keys.WrapSM2},
}

// importWrapping reads WrappingKeySpec and WrappingAlgorithm, which have to go together.
func (r *reader) importWrapping() importWrapping {
	spec, algorithm := r.text("WrappingKeySpec"), r.text("WrappingAlgorithm")
	known := false
	for _, w := range importWrappings {
		if nameOfSpec(w.spec) != spec {
			continue
		}
		if known = true; w.algorithm == algorithm {
			return w
		}
	}
	if !known {
		r.invalid("WrappingKeySpec", "WrappingKeySpec takes RSA_2048 or EC_SM2")
	}
	r.invalid("WrappingAlgorithm", "WrappingAlgorithm takes RSAES_PKCS1_V1_5, RSAES_OAEP_SHA_1 or RSAES_OAEP_SHA_256 with RSA_2048, and SM2PKE with EC_SM2")
	return importWrapping{}
}

type importParametersRequest struct {
	key kms.KeyRef
	way importWrapping
}

func (q *importParametersRequest) read(r *reader) {
	q.key = r.keyID("KeyId")
	q.way = r.importWrapping()
}

// importParameters is the answer of GetParametersForImport.
type importParameters struct{ *kms.ImportParameters }

func (a importParameters) about() *keys.Key { return a.Key }

func (a importParameters) write(d *document) {
	d.id("KeyId", a.Key.ID)
	d.base64("PublicKey", a.PublicKey)
	d.base64("ImportToken", a.Token)
	d.time("TokenExpireTime", a.ExpiresAt)
}

func (d *Dialect) getParametersForImport(ctx context.Context, c *kms.Call, q *importParametersRequest) (importParameters, error) {
	out, err := d.service.ImportParameters(ctx, c, kms.ImportParametersRequest{Key: q.key, Spec: q.way.spec, Wrapping: q.way.wrapping})
	return importParameters{out}, err
}

type importMaterialRequest struct{ kms.ImportMaterialRequest }

// read bounds material and token by the request itself: what is too long for either is wrong in
// the same way as anything else that is not one.
func (q *importMaterialRequest) read(r *reader) {
	q.Key = r.keyID("KeyId")
	q.Wrapped = r.bytes("EncryptedKeyMaterial", maxRequest)
	q.Token = r.bytes("ImportToken", maxRequest)
	q.ExpiresAt = r.unix("KeyMaterialExpireUnix")
}

// lastUnix is the last second of the year 9999, which is as far as the form of a time in an
// answer goes.
const lastUnix = 253402300799

// unix is an optional time in seconds since 1970; absent, empty and 0 are the zero time.
func (r *reader) unix(name string) time.Time {
	v, _ := r.optional(name)
	if v == "" {
		return time.Time{}
	}
	n, err := strconv.ParseUint(v, 10, 63)
	switch {
	case err != nil || n > lastUnix:
		r.invalid(name, name+" takes a time in whole seconds since 1970, or 0")
	case n > 0:
		return time.Unix(int64(n), 0).UTC()
	}
	return time.Time{}
}

func (d *Dialect) importKeyMaterial(ctx context.Context, c *kms.Call, q *importMaterialRequest) (nothing, error) {
	_, err := d.service.ImportMaterial(ctx, c, q.ImportMaterialRequest)
	return nothing{}, err
}

func (d *Dialect) deleteKeyMaterial(ctx context.Context, c *kms.Call, q *keyIDRequest) (nothing, error) {
	_, err := d.service.DeleteMaterial(ctx, c, q.key)
	return nothing{}, err
}
