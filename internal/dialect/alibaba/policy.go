// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Keys have no policies of their own here: rights come from roles and grants. The cloud has
// policies for the keys of instances only; what it shows for such a key until somebody sets
// another leaves everything to the account, and that is what holds here.

const (
	maxPolicy     = 32768 // bytes
	defaultPolicy = "default"
	typePolicy    = keys.Type("policy")
)

type keyPolicyRequest struct{ key, name string }

func (q *keyPolicyRequest) read(r *reader) {
	if q.key = r.keyName("KeyId"); IsAlias(q.key) {
		r.keyID("KeyId")
	}
	q.name, _ = r.optional("PolicyName")
}

// keyPolicy is the answer of GetKeyPolicy.
type keyPolicy struct {
	*kms.Key
	account string
}

func (a keyPolicy) about() *keys.Key { return &a.Key.Key }

func (a keyPolicy) write(d *document) {
	d.text("Policy", fmt.Sprintf(`{"Version":"1","Statement":[{"Sid":"kms default key policy","Effect":"Allow",`+
		`"Principal":{"RAM":["acs:ram::%s:*"]},"Action":["kms:*"],"Resource":["*"]}]}`, a.account))
}

func (d *Dialect) getKeyPolicy(ctx context.Context, c *kms.Call, q *keyPolicyRequest) (keyPolicy, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return keyPolicy{}, err
	}
	k, err := d.service.Key(ctx, c, ref)
	switch {
	case err != nil:
		return keyPolicy{}, err
	case k.InVault.Default:
		return keyPolicy{}, noKeyPolicy("KeyId")
	case q.name != "" && q.name != defaultPolicy:
		return keyPolicy{}, &keys.Error{Kind: keys.KindNotFound, Noun: typePolicy, Hint: "a key's policy is called default"}
	}
	account, err := d.service.TenantName(ctx, k.Tenant, Name)
	return keyPolicy{k, account}, err
}

func noKeyPolicy(field string) *keys.Error {
	return refuse(keys.KindUnsupported, codeKeyPolicy, field, "key policies are not supported: rights come from roles and grants")
}

type setKeyPolicyRequest struct{ keyPolicyRequest }

func (q *setKeyPolicyRequest) read(r *reader) {
	q.keyPolicyRequest.read(r)
	if v := r.text("Policy"); len(v) > maxPolicy {
		r.invalid("Policy", fmt.Sprintf("Policy may have at most %d bytes", maxPolicy))
	}
}

// setKeyPolicy always refuses, once it has found the key.
func (d *Dialect) setKeyPolicy(ctx context.Context, c *kms.Call, q *setKeyPolicyRequest) (nothing, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err == nil {
		_, err = d.service.Key(ctx, c, ref)
	}
	if err == nil {
		err = noKeyPolicy("Policy")
	}
	return nothing{}, err
}
