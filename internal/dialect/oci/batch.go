// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/sha256"
	"net/http"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// batchOperation is the extension's row: it is answered where the crypto operations are.
func batchOperation() operation {
	return operation{Operation: dialect.BatchOperation(), on: onCrypto}
}

// Batches implements [dialect.Batcher]. It is asked after Uploads, which found the operation.
func (w *wire) Batches(x *dialect.Exchange) bool {
	m, ok := x.Params.(*match)
	return ok && m.op.Name == dialect.BatchName
}

// CheckBatch implements [dialect.Batcher].
func (*wire) CheckBatch(x *dialect.Exchange) error {
	return checkDigest(x.Request, sha256.Sum256(x.Body))
}

// Item implements [dialect.Batcher]. Parameters are the body of the call alone.
func (w *wire) Item(ctx context.Context, x *dialect.Exchange, operation string, parameters []byte) error {
	op, ok := w.d.router.named[operation]
	if !ok {
		return &keys.Error{Kind: keys.KindNotFound, Field: fieldPath, Hint: "there is no such operation; items are Encrypt, Decrypt, GenerateDataEncryptionKey, Sign and Verify"}
	}
	x.Params, x.Body = &match{op: op}, parameters
	x.Op, x.Call.Profile = &op.Operation, w.d.profile
	if !op.Batchable() {
		return dialect.NotBatchable(operation)
	}
	w.prepare(ctx, x)
	return nil
}

// ReplyBatch implements [dialect.Batcher].
func (w *wire) ReplyBatch(x *dialect.Exchange, body []byte) {
	w.head(x)
	x.Write(http.StatusOK, "", body)
}
