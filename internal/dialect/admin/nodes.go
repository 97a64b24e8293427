// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"

	"claviger/internal/kms"
)

func (a *API) nodes(ctx context.Context, c *kms.Call, _ *noParams) (*List[Node], error) {
	head, nodes, err := a.service.Nodes(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &List[Node]{Items: []Node{}}
	for _, n := range nodes {
		out.Items = append(out.Items, Node{
			ID: n.ID.String(), Name: n.Name, StartedAt: n.StartedAt, RenewedAt: n.RenewedAt,
			Lease: n.Lease.String(), Lag: max(0, head-n.Watermark),
		})
	}
	return out, nil
}
