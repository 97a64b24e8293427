// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/config"
)

func TestRegionsOfDev(t *testing.T) {
	t.Parallel()
	earlier := []devRegion{{"us-phoenix-1", "cn-beijing"}}
	for _, tc := range []struct {
		asked []string
		want  []devRegion
		added bool
	}{
		{nil, earlier, false},
		{[]string{"us-phoenix-1/cn-beijing"}, earlier, false},
		{[]string{"sa-saopaulo-1", "eu-frankfurt-1/eu-central-1"}, []devRegion{earlier[0], {"sa-saopaulo-1", "sa-saopaulo-1"}, {"eu-frankfurt-1", "eu-central-1"}}, true},
		{[]string{"us-phoenix-1"}, nil, false},  // another name at Alibaba than before
		{[]string{"us-ashburn-1"}, nil, false},  // the first region's
		{[]string{"x/cn-hangzhou"}, nil, false}, // its name at Alibaba
		{[]string{"x/a", "y/a"}, nil, false},    // one name for two
		{[]string{"home"}, nil, false},          // the first region's own name
		{[]string{"US-PHOENIX-1"}, nil, false},  // not how regions are written
		{[]string{"us-phoenix-1/"}, nil, false}, // half a name
		{[]string{""}, nil, false},
		{[]string{"-x"}, nil, false},
	} {
		got, added, err := addRegions(earlier, tc.asked)
		if (err == nil) != (tc.want != nil) || added != tc.added {
			t.Errorf("%q: %v, added: %t", tc.asked, err, added)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.asked, diff)
		}
	}
	d := devServer{first: firstState{Regions: earlier}}
	want := []config.Region{homeRegion(), {Name: "us-phoenix-1", OCI: "us-phoenix-1", Alibaba: "cn-beijing"}}
	if diff := cmp.Diff(want, d.allRegions()); diff != "" {
		t.Errorf("all regions (-want +got):\n%s", diff)
	}
}
