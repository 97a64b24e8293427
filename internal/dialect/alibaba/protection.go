// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

type protectionRequest struct {
	key         string // id or ARN
	on          bool
	description string
}

// read takes the key by its id or its ARN; where both are sent they must be of one key.
func (q *protectionRequest) read(r *reader) {
	r.refused("KmsInstanceId", &keys.Error{
		Kind: keys.KindNotImplemented, Field: "KmsInstanceId",
		Hint: "an instance cannot be protected as a whole; while one of its keys is protected it cannot be deleted",
	})
	id, _ := r.optional("KeyId")
	arn, _ := r.optional("ProtectedResourceArn")
	if q.key = arn; arn == "" || id != "" {
		r.keyID("KeyId")
		q.key = id
	}
	if parsed, ok := ParseARN(arn); arn != "" && (!ok || !validName(arn) || (id != "" && parsed.Key != id)) {
		r.invalid("ProtectedResourceArn", "ProtectedResourceArn is the key's ARN, of the form acs:kms:${region}:${account}:key/${keyid}")
	}
	r.text("EnableDeletionProtection")
	q.on, _ = r.boolean("EnableDeletionProtection")
	q.description = r.counted("DeletionProtectionDescription", maxDescription)
	if !q.on {
		r.p.disregard("DeletionProtectionDescription") // it has an effect with the protection only
	}
}

func (d *Dialect) setDeletionProtection(ctx context.Context, c *kms.Call, q *protectionRequest) (nothing, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err == nil {
		_, err = d.service.SetProtection(ctx, c, ref, q.on, q.description)
	}
	return nothing{}, err
}
