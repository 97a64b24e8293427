// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// tags are a key's, as ListResourceTags lists them: "a=1 b=2".
func (c *cloud) tags(t testing.TB, key string) string {
	t.Helper()
	r := c.must(t, "ListResourceTags", "KeyId="+key)
	var out []string
	for i := 0; ; i++ {
		at := fmt.Sprintf("Tags.Tag.%d.", i)
		if r.at(at+"KeyId") == "" {
			return strings.Join(out, " ")
		}
		if r.at(at+"KeyId") != key {
			t.Errorf("a tag of %s: %s", key, r)
		}
		out = append(out, r.at(at+"TagKey")+"="+r.at(at+"TagValue"))
	}
}

const ofKeys = "RegionId=" + testRegion + "&ResourceType=key&"

// callTags calls an operation of the newer generations; params are of a query.
func (c *cloud) callTags(t testing.TB, action, params string) reply {
	t.Helper()
	return c.call(t, action, strings.Split(ofKeys+params, "&")...)
}

// TestThreeGenerations sets and removes the same tags through each generation of the API.
func TestThreeGenerations(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, `Tags=[{"TagKey":"made","TagValue":"1"}]`)
	other := c.newKey(t)
	for _, step := range []struct{ action, params, want string }{
		{"TagResource", `KeyId=` + key + `&Tags=[{"TagKey":"b","TagValue":"2"},{"TagKey":"a","TagValue":""}]`, "a= b=2 made=1"},
		{"TagResource", `KeyId=` + key + `&Tags=[{"TagKey":"b","TagValue":"3"}]`, "a= b=3 made=1"},
		{"UntagResource", `KeyId=` + key + `&TagKeys=["a","none"]`, "b=3 made=1"},
		{"UntagResource", `KeyId=` + key + `&TagKeys=made , b`, ""},
		{"TagResources", "ResourceId.1=" + key + "&ResourceId.2=" + other + "&Tag.1.Key=x&Tag.1.Value=1&Tag.2.Key=y", "x=1 y="},
		{"UntagResources", "ResourceId.1=" + key + "&TagKey.1=x&TagKey.7=none&All=true", "y="},
		{"TagResource", `KeyId=` + key + `&Tags=[{"TagKey":"z","TagValue":"9"}]`, "y= z=9"},
		{"UntagResources", "ResourceId.1=" + key + "&All=true", ""},
	} {
		r := c.callTags(t, step.action, step.params)
		if r.code() != ok || c.tags(t, key) != step.want {
			t.Errorf("%s %s: %s; the tags are %q, want %q", step.action, step.params, r, c.tags(t, key), step.want)
		}
		if got := r.header.Get(dialect.IgnoredHeader); strings.Contains(step.params, "TagKey.7") && got != "All" {
			t.Errorf("All beside TagKey: ignored are %q", got)
		}
	}
	if got := c.tags(t, other); got != "x=1 y=" {
		t.Errorf("the other key's tags are %q", got)
	}
}

// TestTagsOfOtherClouds removes and shows tags that this cloud's rules do not allow.
func TestTagsOfOtherClouds(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	c.change(t, key, func(k *keys.Key) {
		k.Tags.Plain = map[string]string{"cost center": "a, b", "acs:x": "é"}
		for i := range 25 {
			k.Tags.Plain[fmt.Sprintf("n%02d", i)] = ""
		}
	})
	if r := c.call(t, "TagResource", "KeyId="+key, `Tags=[{"TagKey":"one","TagValue":"more"}]`); r.code() != isInvalid {
		t.Errorf("a tag beyond the limit: %s", r)
	}
	c.must(t, "TagResource", "KeyId="+key, `Tags=[{"TagKey":"n00","TagValue":"changed"}]`)
	c.must(t, "UntagResource", "KeyId="+key, `TagKeys=["cost center","n01"]`)
	c.must(t, "UntagResource", "KeyId="+key, `TagKeys=acs:x,n02`)
	if got := c.tags(t, key); !strings.HasPrefix(got, "n00=changed n03=") || len(strings.Fields(got)) != 23 {
		t.Errorf("tags: %s", got)
	}
	if r := c.call(t, "ListKeys", `Filters=[{"Key":"TagKey","Values":["n05"]}]`); r.at("TotalCount") != "1" {
		t.Errorf("ListKeys by a tag: %s", r)
	}
}

// TestTagResourcesIsAtomic tags keys of which one cannot be.
func TestTagResourcesIsAtomic(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	one, two := c.newKey(t), c.newKey(t)
	hidden := c.otherKey(t, keys.ECP384, keys.UsageSign)
	c.must(t, "ScheduleKeyDeletion", "KeyId="+two, "PendingWindowInDays=7")
	both := "ResourceId.1=" + one + "&ResourceId.2="
	for params, want := range map[string]string{
		both + two + "&Tag.1.Key=a":                               isPending,
		both + "0b30658a-ed1a-4922-b8f7-a673ca9c0000&Tag.1.Key=a": noResource,
		both + hidden + "&Tag.1.Key=a":                            noResource,
		both + two:                                                isMissing,
		"Tag.1.Key=a":                                             isMissing,
		"ResourceId=" + one + "&Tag.1.Key=a":                      isMissing,
		"ResourceId.1=" + one + "&Tag=a":                          isMissing,
		"ResourceId.1=" + one + "&Tag.1.Key=a&Tag.2.Key=a":        "400 Duplicate.TagKey",
	} {
		if r := c.callTags(t, "TagResources", params); r.code() != want {
			t.Errorf("%s: %s, want %s", params, r, want)
		}
	}
	for params, want := range map[string]string{both + two + "&TagKey.1=a": isPending, both + two: isMissing, both + two + "&All=false": isMissing} {
		if r := c.callTags(t, "UntagResources", params); r.code() != want {
			t.Errorf("untag %s: %s, want %s", params, r, want)
		}
	}
	if got := c.tags(t, one); got != "" {
		t.Errorf("tags of what was refused: %s", got)
	}
	if r := c.call(t, "TagResources", "ResourceType=key", "ResourceId.1="+one, "Tag.1.Key=a"); r.code() != isMissing || !strings.Contains(r.at("Message"), `"RegionId"`) {
		t.Errorf("without a region: %s", r)
	}
	for _, params := range []string{"SecretName=s", "CertificateId=c"} {
		if r := c.call(t, "TagResource", params, `Tags=[{"TagKey":"a","TagValue":"b"}]`); r.code() != notHere {
			t.Errorf("%s: %s", params, r)
		}
		if r := c.call(t, "UntagResource", params, "TagKeys=a"); r.code() != notHere {
			t.Errorf("%s: %s", params, r)
		}
	}
}

// TestTagLimits is as many tags as there may be, and one more.
func TestTagLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	asJSON := func(n int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`{"TagKey":"j%d","TagValue":"%s"}`, i, strings.Repeat("v", maxTagText)))
		}
		return "Tags=[" + strings.Join(out, ",") + "]"
	}
	asList := func(n int) string {
		values := url.Values{}
		for i := range n {
			values.Set(fmt.Sprintf("Tag.%d.Key", i+1), fmt.Sprintf("j%d", i))
		}
		return "ResourceId.1=" + key + "&" + values.Encode()
	}
	if r := c.call(t, "TagResource", "KeyId="+key, asJSON(11)); r.code() != isInvalid {
		t.Errorf("11 tags: %s", r)
	}
	c.must(t, "TagResource", "KeyId="+key, asJSON(10))
	if r := c.callTags(t, "TagResources", asList(21)); r.code() != isInvalid {
		t.Errorf("21 tags: %s", r)
	}
	if r := c.callTags(t, "TagResources", asList(20)); r.code() != ok {
		t.Errorf("20 tags: %s", r)
	}
	if r := c.callTags(t, "TagResources", "ResourceId.1="+key+"&Tag.1.Key=more"); r.code() != isInvalid {
		t.Errorf("a key's 21st tag: %s", r)
	}
	if r := c.call(t, "CreateKey", asJSON(20)); r.code() != ok {
		t.Errorf("CreateKey with 20 tags: %s", r)
	}
	if r := c.call(t, "CreateKey", asJSON(21)); r.code() != isInvalid {
		t.Errorf("CreateKey with 21 tags: %s", r)
	}
}

// TestListTagResources narrows the list, and walks its pages of 200.
func TestListTagResources(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	var all, made []string
	for i := range 12 {
		key := c.newKey(t)
		made = append(made, key)
		c.Clock.Add(1000)
		tags := map[string]string{"n": fmt.Sprint(i), "even": "no"}
		if i%2 == 0 {
			tags["even"] = "yes"
		}
		for j := range 18 {
			tags[fmt.Sprintf("t%02d", j)] = ""
		}
		c.change(t, key, func(k *keys.Key) { k.Tags.Plain = tags })
		all = append(all, key+" even="+tags["even"], fmt.Sprintf("%s n=%d", key, i))
		for j := range 18 {
			all = append(all, fmt.Sprintf("%s t%02d=", key, j))
		}
	}
	c.callAs(t, c.Other, "CreateKey", `Tags=[{"TagKey":"even","TagValue":"yes"}]`)
	hidden := c.otherKey(t, keys.ECP384, keys.UsageSign)
	c.change(t, hidden, func(k *keys.Key) { k.Tags.Plain = map[string]string{"even": "yes"} })
	list := func(params string, pages int) []string {
		t.Helper()
		var out []string
		token := ""
		for pageNumber := 1; ; pageNumber++ {
			r := c.callTags(t, "ListTagResources", params+"&NextToken="+token)
			if r.code() != ok || !r.has("TagResources.TagResource") || !r.has("NextToken") {
				t.Fatalf("%s: %s", params, r)
			}
			var page struct {
				TagResources struct {
					TagResource []struct{ ResourceId, ResourceType, TagKey, TagValue string }
				}
				NextToken string
			}
			if err := json.Unmarshal([]byte(r.body), &page); err != nil {
				t.Fatal(err)
			}
			n := len(page.TagResources.TagResource)
			for _, row := range page.TagResources.TagResource {
				if row.ResourceType != "key" {
					t.Errorf("%s: %+v", params, row)
				}
				out = append(out, row.ResourceId+" "+row.TagKey+"="+row.TagValue)
			}
			if token = page.NextToken; token == "" {
				if pageNumber != pages {
					t.Errorf("%s: %d pages, want %d", params, pageNumber, pages)
				}
				return out
			}
			if n != tagPage {
				t.Errorf("%s: a page of %d", params, n)
			}
		}
	}
	for params, want := range map[string]struct {
		rows  []string
		pages int
	}{
		"":                          {all, 2},
		"ResourceId.1=" + made[3]:   {all[60:80], 1},
		"Tag.1.Key=n&Tag.1.Value=2": {all[40:60], 1},
		"Tag.1.Key=none":            {nil, 1},
		"Tag.1.Key=n&Tag.1.Value=":  {nil, 1},
		"Tag.1.Key=n":               {all, 2},
		"Tag.1.Key=n&Tag.1.Value=2&Tag.2.Key=even&Tag.2.Value=no":                                                               {nil, 1},
		"Tag.1.Key=n&Tag.1.Value=2&Tag.2.Key=even&Tag.2.Value=yes":                                                              {all[40:60], 1},
		"ResourceId.1=" + made[4] + "&ResourceId.2=" + made[0] + "&ResourceId.3=" + made[1] + "&Tag.1.Key=even&Tag.1.Value=yes": {append(append([]string{}, all[0:20]...), all[80:100]...), 1},
	} {
		if diff := cmp.Diff(want.rows, list(params, want.pages)); diff != "" {
			t.Errorf("%s: -want +got\n%s", params, diff)
		}
	}
	everyone := ""
	for i, key := range made {
		everyone += fmt.Sprintf("&ResourceId.%d=%s", len(made)-i, key)
	}
	if diff := cmp.Diff(all, list(everyone[1:], 2)); diff != "" {
		t.Errorf("by ids: -want +got\n%s", diff)
	}
	for params, want := range map[string]string{
		"Tag.1.Key=n&Tag.2.Key=n":                           "400 Duplicate.TagKey",
		"ResourceId.1=" + hidden:                            noResource,
		"ResourceId.1=0b30658a-ed1a-4922-b8f7-a673ca9c0000": noResource,
		"ResourceType=secret":                               notHere,
		"Tag.1.Value=n":                                     isInvalid,
		"NextToken=" + c.callTags(t, "ListTagResources", "").at("NextToken") + "&Tag.1.Key=n": isInvalid,
	} {
		if r := c.callTags(t, "ListTagResources", params); r.code() != want {
			t.Errorf("%s: %s, want %s", params, r, want)
		}
	}
}

// FuzzTagNames throws any text at the list of names that UntagResource takes.
func FuzzTagNames(f *testing.F) {
	for _, s := range []string{`["a","b"]`, "a, b", "[", "{}", ",", `["\ud800"]`, " [\"é\"] "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := reader{p: &params{list: []param{{name: "TagKeys", value: s}}}}
		names := r.tagNames("TagKeys")
		if r.err == nil && (len(names) == 0 || len(names) > maxTags) {
			t.Errorf("%q gives %q", s, names)
		}
		for _, name := range names {
			if r.err == nil && !tagName(name) {
				t.Errorf("%q gives %q", s, names)
			}
		}
	})
}

// FuzzElements throws any parameters at a repeat list.
func FuzzElements(f *testing.F) {
	for _, s := range []string{"Tag.1.Key=a&Tag.1.Value=b", "Tag.01.Key=a", "Tag.=x&Tag..Key=y", "Tag.99999999999.Key=z", "Tag.3.Other=q&Tag.2.Key="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		p := &params{}
		if p.parse(query, "") != nil {
			return
		}
		r := reader{p: p}
		out := r.elements("Tag", 20, "Key", "Value")
		if r.err != nil && !keys.IsKind(r.err, keys.KindInvalid) {
			t.Errorf("%q: %v", query, r.err)
		}
		for _, e := range out {
			if len(e) == 0 || len(e) > 2 || len(out) > 20 {
				t.Errorf("%q gives %v", query, out)
			}
		}
	})
}
