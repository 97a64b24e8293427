// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// The cloud has three generations of operations on tags: TagResource, UntagResource and
// ListResourceTags name one key and carry JSON; TagResources, UntagResources and
// ListTagResources name several and carry repeat lists; CreateKey has tags beside. All of them
// are about the same tags, which are the plain ones of other clouds too.

const (
	maxTags        = 20 // of a key, and of a request
	maxTagsOfOne   = 10 // of a TagResource
	maxTagText     = 128
	maxResources   = 50
	tagPage        = 200
	resourceKey    = "key"
	resourceSecret = "secret"
)

// tagText reports whether s may be the key or value of a tag.
func tagText(s string) bool {
	if len(s) > maxTagText {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(`/\_-.+=:@`, c) >= 0:
		default:
			return false
		}
	}
	return true
}

// tagKey reports whether s may be the key of a tag.
func tagKey(s string) bool {
	return s != "" && tagText(s) && !strings.HasPrefix(s, "aliyun") && !strings.HasPrefix(s, "acs:")
}

const tagRule = `up to 128 letters, digits and /\_-.+=:@, the key not empty and not beginning with aliyun or acs:`

var errTag = errors.New("not a tag")

// tag reads one {"TagKey","TagValue"}.
func (j *jsonText) tag() (key, value string, err error) {
	seen := map[string]bool{}
	err = j.object(func(name string) error {
		if seen[name] {
			return errJSONTwice
		}
		seen[name] = true
		text, err := j.text()
		switch name {
		case "TagKey":
			key = text
		case "TagValue":
			value = text
		default:
			return errTag
		}
		return err
	})
	if err == nil && (!tagKey(key) || !tagText(value)) {
		err = errTag
	}
	return key, value, err
}

// tags reads a JSON array of {"TagKey","TagValue"}; an empty one and none give nil.
func (r *reader) tags(name string, most int) map[string]string {
	v, _ := r.optional(name)
	if v == "" {
		return nil
	}
	j := jsonText{s: v}
	var out map[string]string
	err := j.array(func() error {
		key, value, err := j.tag()
		if err != nil {
			return err
		}
		if _, twice := out[key]; twice {
			return errJSONTwice
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = value
		return nil
	})
	if err != nil || !j.end() || len(out) > most {
		r.invalid(name, fmt.Sprintf(`%s takes a JSON array of at most %d {"TagKey":"..","TagValue":".."}, every key once: %s`, name, most, tagRule))
		return nil
	}
	return out
}

// tagNames reads names of tags, as a JSON array or with commas between them. They may be of
// tags that another cloud's rules allowed.
func (r *reader) tagNames(name string) []string {
	v := r.text(name)
	if r.err != nil {
		return nil
	}
	var out []string
	ok := true
	if v = strings.TrimSpace(v); strings.HasPrefix(v, "[") || strings.HasPrefix(v, "{") {
		j := jsonText{s: v}
		ok = j.array(func() error {
			s, err := j.text()
			out = append(out, s)
			return err
		}) == nil && j.end()
	} else {
		for s := range strings.SplitSeq(v, ",") {
			out = append(out, strings.TrimSpace(s))
		}
	}
	if !ok || len(out) == 0 || len(out) > maxTags || slices.ContainsFunc(out, func(s string) bool { return !tagName(s) }) {
		r.invalid(name, fmt.Sprintf(`%s takes a JSON array of 1 to %d names, or the names with commas between them`, name, maxTags))
	}
	return out
}

// tagName reports whether s may be the name of a tag that is there, whichever cloud's it is.
func tagName(s string) bool { return s != "" && len(s) <= 4*maxTagText }

// oneKey reads the resource of TagResource and UntagResource: a key. There are neither secrets
// nor certificates here.
func (r *reader) oneKey() kms.KeyRef {
	id, _ := r.optional("KeyId")
	for _, name := range []string{"SecretName", "CertificateId"} {
		v, _ := r.optional(name)
		switch {
		case v == "":
		case id != "":
			r.invalid(name, "name one resource: KeyId, SecretName or CertificateId")
		default:
			r.fail(notKept(name))
		}
	}
	return r.keyID("KeyId")
}

func notKept(field string) *keys.Error {
	return &keys.Error{Kind: keys.KindNotImplemented, Field: field, Hint: "only keys can be tagged here: secrets and certificates are not kept"}
}

type tagResourceRequest struct {
	key    kms.KeyRef
	change kms.TagChange
}

func (q *tagResourceRequest) read(r *reader) {
	q.key = r.oneKey()
	r.text("Tags")
	if q.change.Set = r.tags("Tags", maxTagsOfOne); len(q.change.Set) == 0 {
		r.invalid("Tags", "Tags has no tag")
	}
}

type untagResourceRequest struct{ tagResourceRequest }

func (q *untagResourceRequest) read(r *reader) {
	q.key = r.oneKey()
	q.change.Remove = r.tagNames("TagKeys")
}

func (d *Dialect) tagResource(ctx context.Context, c *kms.Call, q *tagResourceRequest) (nothing, error) {
	return nothing{}, d.service.TagKeys(ctx, c, []kms.KeyRef{q.key}, q.change)
}

func (d *Dialect) untagResource(ctx context.Context, c *kms.Call, q *untagResourceRequest) (nothing, error) {
	return d.tagResource(ctx, c, &q.tagResourceRequest)
}

// keyTags is the answer of ListResourceTags.
type keyTags struct{ *kms.Key }

func (a keyTags) about() *keys.Key { return &a.Key.Key }

func (a keyTags) write(d *document) {
	names := slices.Sorted(maps.Keys(a.Tags.Plain))
	d.list("Tags", "Tag", len(names), func(i int) {
		d.id("KeyId", a.ID)
		d.text("TagKey", names[i])
		d.text("TagValue", a.Tags.Plain[names[i]])
	})
}

func (d *Dialect) listResourceTags(ctx context.Context, c *kms.Call, q *keyIDRequest) (keyTags, error) {
	k, err := d.service.Key(ctx, c, q.key)
	return keyTags{k}, err
}

// resources reads which resources a request is about: the region, their type and their ids.
func (r *reader) resources(required bool) []kms.KeyRef {
	r.text("RegionId")
	switch kind := r.text("ResourceType"); {
	case r.err != nil:
	case kind == resourceSecret:
		r.fail(notKept("ResourceType"))
	case kind != resourceKey:
		r.invalid("ResourceType", "ResourceType takes key or secret")
	}
	var out []kms.KeyRef
	for _, e := range r.elements("ResourceId", maxResources, "") {
		out = append(out, r.asKeyID("ResourceId", e[""]))
	}
	if required && len(out) == 0 {
		r.fail(keys.Missing("ResourceId"))
	}
	return out
}

// repeatedTags reads the repeat list of Tag.N.Key and Tag.N.Value; nil stands for a value that
// was not sent. A key that is not valid is refused with c.
func (r *reader) repeatedTags(valid func(key string) bool, c code) map[string]*string {
	out := map[string]*string{}
	for _, e := range r.elements("Tag", maxTags, "Key", "Value") {
		key := e["Key"]
		if !valid(key) {
			r.fail(refuse(keys.KindInvalid, c, "Tag.N.Key", "a tag has a key of "+tagRule))
		}
		if _, twice := out[key]; twice {
			r.fail(refuse(keys.KindInvalid, codeTagTwice, "Tag.N.Key", "every key once"))
		}
		out[key] = nil
		if value, sent := e["Value"]; sent {
			out[key] = &value
		}
	}
	return out
}

type tagResourcesRequest struct {
	keys   []kms.KeyRef
	change kms.TagChange
}

func (q *tagResourcesRequest) read(r *reader) {
	q.keys = r.resources(true)
	q.change.Set = map[string]string{}
	for key, value := range r.repeatedTags(tagKey, codeTagKey) {
		if value == nil {
			value = new(string)
		}
		if !tagText(*value) {
			r.fail(refuse(keys.KindInvalid, codeTagValue, "Tag.N.Value", "a tag has a value of "+tagRule))
		}
		q.change.Set[key] = *value
	}
	if len(q.change.Set) == 0 {
		r.fail(keys.Missing("Tag"))
	}
}

func (d *Dialect) tagResources(ctx context.Context, c *kms.Call, q *tagResourcesRequest) (nothing, error) {
	return nothing{}, d.service.TagKeys(ctx, c, q.keys, q.change)
}

type untagResourcesRequest struct{ tagResourcesRequest }

// read takes All only where there is no TagKey, as the cloud does.
func (q *untagResourcesRequest) read(r *reader) {
	q.keys = r.resources(true)
	for _, e := range r.elements("TagKey", maxTags, "") {
		if !tagName(e[""]) {
			r.invalid("TagKey.N", "the name of a tag is empty or too long")
		}
		q.change.Remove = append(q.change.Remove, e[""])
	}
	all, _ := r.boolean("All")
	switch {
	case len(q.change.Remove) > 0:
		r.p.disregard("All")
	case all:
		q.change.Clear = true
	default:
		r.fail(keys.Missing("TagKey"))
	}
}

func (d *Dialect) untagResources(ctx context.Context, c *kms.Call, q *untagResourcesRequest) (nothing, error) {
	return d.tagResources(ctx, c, &q.tagResourcesRequest)
}

type listTagResourcesRequest struct {
	keys  []kms.KeyRef
	with  map[string]*string
	token string
}

func (q *listTagResourcesRequest) read(r *reader) {
	q.keys = r.resources(false)
	q.with = r.repeatedTags(tagName, codeInvalid)
	q.token, _ = r.optional("NextToken")
}

// tagList is the answer of ListTagResources.
type tagList kms.List[kms.KeyTag]

func (a *tagList) write(d *document) {
	d.list("TagResources", "TagResource", len(a.Items), func(i int) {
		d.id("ResourceId", a.Items[i].Key.ID)
		d.text("ResourceType", resourceKey)
		d.text("TagKey", a.Items[i].Name)
		d.text("TagValue", a.Items[i].Value)
	})
	d.text("NextToken", a.Next)
}

func (d *Dialect) listTagResources(ctx context.Context, c *kms.Call, q *listTagResourcesRequest) (*tagList, error) {
	f := kms.TagFilter{Keys: q.keys, With: q.with, Accept: Visible, HideDeleted: true}
	list, err := d.service.Tags(ctx, c, f, kms.Page{Limit: tagPage, Cursor: q.token})
	return (*tagList)(list), err
}
