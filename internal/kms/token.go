// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// An idempotency token belongs to a principal and an operation. A repeat with the same
// fingerprint gets the first result without acting again, for the token's life; another
// fingerprint, or a result that has been erased since, is KindToken. Only successes are
// kept, and no result holds a secret.

// tokenKnown looks for the call's token before anything else is checked.
func tokenKnown[T result](ctx context.Context, s *Service, c *Call) (known bool, err error) {
	if c.Token == "" {
		return false, nil
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		_, known, err = loadToken[T](tx, c, s.clock.Now())
		return err
	})
	return known, err
}

func loadToken[T result](tx store.Tx, c *Call, now time.Time) (out T, again bool, err error) {
	if c.Token == "" || c.Who == nil {
		return out, false, nil
	}
	rec := store.Token{Principal: c.Who.Principal, Operation: c.Operation, Token: c.Token}
	switch err := tx.Load(&rec); {
	case errors.Is(err, store.ErrNotFound):
		return out, false, nil
	case err != nil:
		return out, false, err
	case !now.Before(rec.ExpiresAt):
		return out, false, nil
	case rec.Fingerprint != c.Fingerprint:
		return out, false, &keys.Error{Kind: keys.KindToken, Hint: "the retry token was used before with another request"}
	}
	var kept records
	if err := json.Unmarshal(rec.Result, &kept); err != nil {
		return out, false, fmt.Errorf("decode stored result: %w", err)
	}
	erased, err := isErased(tx, rec.Type, rec.ID, now)
	if err != nil {
		return out, false, err
	}
	if erased {
		return out, false, &keys.Error{Kind: keys.KindToken, Hint: "what the first request with this retry token made has been deleted since"}
	}
	return resultOf[T](kept), true, nil
}

// records are what a result shows, and when it showed it. A repeat shows the same again.
type records struct {
	At      time.Time
	Vault   *keys.Vault
	Replica *keys.Replica
	Key     *keys.Key
	Version *keys.Version // without its material
	Work    *keys.WorkRequest
}

func resultOf[T result](r records) (out T) {
	switch out := any(&out).(type) {
	case **Vault:
		*out = viewVault(r.Vault, r.At)
	case **Replicated:
		*out = &Replicated{Vault: viewVault(r.Vault, r.At), Replica: r.Replica, Work: r.Work}
	case **Key:
		*out = viewKey(r.Key, r.Vault, r.At)
	case **Version:
		*out = viewVersion(r.Version, viewKey(r.Key, r.Vault, r.At), r.At)
	case **Working:
		*out = viewWorking(r)
	}
	return out
}

func isErased(tx store.Tx, t keys.Type, id keys.ID, now time.Time) (bool, error) {
	var state keys.State
	var err error
	switch t {
	case keys.TypeVault:
		var v *keys.Vault
		if v, err = store.LoadVault(tx, id); err == nil {
			state = v.Effective(now)
		}
	case keys.TypeReplica:
		var r *keys.Replica
		if r, err = store.LoadReplica(tx, id); err == nil {
			state = r.State
		}
	case keys.TypeKey:
		var k *Key
		if k, err = loadKeyView(tx, id, now); err == nil {
			state = k.State
		}
	case keys.TypeVersion:
		var v *keys.Version
		if v, err = store.LoadVersion(tx, id); err == nil {
			state = v.Effective(now)
		}
	default:
		return false, nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return state == keys.Deleted, err
}

// saveToken keeps the result with the transaction that made it. An expired record of the same
// token makes way.
func saveToken[T result](tx store.Tx, c *Call, out T, now time.Time) error {
	if c.Token == "" || c.Profile.TokenLife == 0 {
		return nil
	}
	kept := out.records()
	kept.At = now
	encoded, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	rec := store.Token{
		Principal: c.Who.Principal, Operation: c.Operation, Token: c.Token, Fingerprint: c.Fingerprint,
		Result: encoded, ExpiresAt: now.Add(c.Profile.TokenLife),
	}
	rec.Type, rec.ID = out.identity()
	if err := tx.Put(&rec); !errors.Is(err, store.ErrExists) {
		return err
	}
	if err := tx.Delete(&store.Token{Principal: rec.Principal, Operation: rec.Operation, Token: rec.Token}); err != nil {
		return err
	}
	return tx.Put(&rec)
}
