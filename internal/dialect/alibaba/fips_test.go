// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"net/http"
	"testing"

	"claviger/internal/fipstest"
)

// TestFIPS sees to it that signatures of version 1, which are HMAC-SHA1, are refused while FIPS 140-3 is enforced,
// and that ACS3's serve.
func TestFIPS(t *testing.T) {
	t.Parallel()
	if !fipstest.Enforced(t) {
		return
	}
	c := newCloud(t)
	values := c.common(c.Tenant, "DescribeRegions")
	values.Set("Signature", "x")
	if r := c.send(t, http.MethodGet, "/?"+values.Encode(), nil, ""); r.code() != "400 InvalidSignatureMethod" {
		t.Errorf("version 1 is answered %s", r)
	}
	if r := c.callACS3(t, c.Tenant, "DescribeRegions"); r.code() != "200" {
		t.Errorf("ACS3 is answered %s", r)
	}
}
