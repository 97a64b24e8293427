// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/store"
	"claviger/internal/store/check"
)

// Check reads a whole store in one view and reports every broken invariant, up to twenty: see
// [check.Run].
func Check(ctx context.Context, s store.Store) error {
	var result *check.Result
	err := s.View(ctx, func(tx store.Tx) (err error) {
		result, err = check.Run(ctx, tx, check.Options{})
		return err
	})
	if err != nil {
		err = fmt.Errorf("check the store: %w", err)
	}
	if result != nil {
		for _, f := range result.Faults {
			err = errors.Join(err, errors.New(f.Text))
		}
	}
	return err
}
