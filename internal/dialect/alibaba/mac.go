// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

type macRequest struct {
	dryRunnable
	key       string
	algorithm keys.Algorithm
	name      string // of the algorithm
	message   []byte
}

// read bounds the message by the request itself: the cloud names no limit.
func (q *macRequest) read(r *reader) {
	q.dry = r.dry()
	q.key = r.keyName("KeyId")
	ok := false
	q.name = r.text("Algorithm")
	if q.algorithm, ok = macAlgorithm(q.name); !ok {
		r.invalid("Algorithm", "unknown Algorithm "+clip(q.name))
	}
	q.message = r.bytes("Message", maxRequest)
}

// macMade is the answer of GenerateMac. It names no version: an HMAC key has but one.
type macMade struct {
	*kms.MACResult
	algorithm string
}

func (a macMade) about() *keys.Key { return a.Key }

func (a macMade) write(d *document) {
	d.id("KeyId", a.Key.ID)
	d.text("Algorithm", a.algorithm)
	d.base64("Mac", a.MAC)
}

func (d *Dialect) generateMAC(ctx context.Context, c *kms.Call, q *macRequest) (macMade, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return macMade{}, err
	}
	out, err := d.service.GenerateMAC(ctx, c, kms.MACRequest{Key: ref, Algorithm: q.algorithm, Message: q.message})
	clear(q.message)
	return macMade{out, q.name}, err
}

type verifyMACRequest struct {
	macRequest
	mac []byte
}

func (q *verifyMACRequest) read(r *reader) {
	q.macRequest.read(r)
	q.mac = r.bytes("Mac", maxCiphertext)
}

// macVerified is the answer of VerifyMac.
type macVerified struct {
	*kms.VerifyResult
	algorithm string
}

func (a macVerified) about() *keys.Key { return a.Key }

func (a macVerified) write(d *document) {
	d.id("KeyId", a.Key.ID)
	d.text("Algorithm", a.algorithm)
	d.boolean("Value", a.Valid)
}

func (d *Dialect) verifyMAC(ctx context.Context, c *kms.Call, q *verifyMACRequest) (macVerified, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return macVerified{}, err
	}
	out, err := d.service.VerifyMAC(ctx, c, kms.VerifyMACRequest{
		MACRequest: kms.MACRequest{Key: ref, Algorithm: q.algorithm, Message: q.message}, MAC: q.mac,
	})
	clear(q.message)
	return macVerified{out, q.name}, err
}
