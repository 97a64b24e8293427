// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// plainRequest takes no parameters.
type plainRequest struct{}

func (*plainRequest) read(*reader) {}

// regionList is the answer of DescribeRegions.
type regionList []string

func (a regionList) write(d *document) {
	d.list("Regions", "Region", len(a), func(i int) { d.text("RegionId", a[i]) })
}

func (d *Dialect) describeRegions(context.Context, *kms.Call, *plainRequest) (regionList, error) {
	return d.regions, nil
}

// accountStatus is the answer of DescribeAccountKmsStatus: who can sign has the service.
type accountStatus struct{}

func (accountStatus) write(d *document) { d.text("AccountStatus", "Enabled") }

func (d *Dialect) describeAccountStatus(context.Context, *kms.Call, *plainRequest) (accountStatus, error) {
	return accountStatus{}, nil
}

// openService always refuses: the service is open, which the clients that ask for it take for
// a success.
func (d *Dialect) openService(context.Context, *kms.Call, *plainRequest) (nothing, error) {
	return nothing{}, refuse(keys.KindExists, codeOpened, "", "the service is open to every account of this server")
}
