// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"unicode/utf8"

	"claviger/internal/keys"
)

// OCI-wide limits on tags.
const (
	maxFreeformTags = 10
	maxDefinedTags  = 64
	maxTagKey       = 100
	maxTagValue     = 256
)

// maxDisplayName is the most characters of a display name.
const maxDisplayName = 100

// labels are the fields that vaults and keys share: nil where absent.
type labels struct {
	displayName  *string
	freeformTags map[string]string
	definedTags  map[string]map[string]string
}

func (l *labels) field(r *reader, name []byte) bool {
	switch string(name) {
	case "displayName":
		l.displayName = r.optionalText()
	case "freeformTags":
		l.freeformTags = r.mapping()
	case "definedTags":
		l.definedTags = r.nested()
	default:
		return false
	}
	return true
}

// checkLabels applies the limits to what is given.
func (l *labels) checkLabels() error {
	if l.displayName != nil {
		if n := utf8.RuneCountInString(*l.displayName); n < 1 || n > maxDisplayName {
			return keys.Invalid("displayName", fmt.Sprintf("displayName must have 1 to %d characters", maxDisplayName))
		}
	}
	if len(l.freeformTags) > maxFreeformTags {
		return keys.Invalid("freeformTags", fmt.Sprintf("at most %d free-form tags are allowed", maxFreeformTags))
	}
	if err := checkTags("freeformTags", l.freeformTags); err != nil {
		return err
	}
	count := 0
	for namespace, tags := range l.definedTags {
		if n := utf8.RuneCountInString(namespace); n < 1 || n > maxTagKey {
			return keys.Invalid("definedTags", fmt.Sprintf("a tag namespace must have 1 to %d characters", maxTagKey))
		}
		if err := checkTags("definedTags", tags); err != nil {
			return err
		}
		count += len(tags)
	}
	if count > maxDefinedTags {
		return keys.Invalid("definedTags", fmt.Sprintf("at most %d defined tags are allowed", maxDefinedTags))
	}
	return nil
}

func checkTags(field string, tags map[string]string) error {
	for key, value := range tags {
		if n := utf8.RuneCountInString(key); n < 1 || n > maxTagKey {
			return keys.Invalid(field, fmt.Sprintf("a tag's key must have 1 to %d characters", maxTagKey))
		}
		if utf8.RuneCountInString(value) > maxTagValue {
			return keys.Invalid(field, fmt.Sprintf("a tag's value must have at most %d characters", maxTagValue))
		}
	}
	return nil
}

// tags are the labels of something new.
func (l *labels) tags() keys.Tags {
	return keys.Tags{Plain: l.freeformTags, Namespaced: l.definedTags}
}

// The fields of an update: nil where the request leaves things as they are.

func (l *labels) newPlain() *map[string]string {
	if l.freeformTags == nil {
		return nil
	}
	return &l.freeformTags
}

func (l *labels) newNamespaced() *map[string]map[string]string {
	if l.definedTags == nil {
		return nil
	}
	return &l.definedTags
}

// Empty maps are {}, never null.

func freeform(t keys.Tags) map[string]string {
	if t.Plain == nil {
		return map[string]string{}
	}
	return t.Plain
}

func defined(t keys.Tags) map[string]map[string]string {
	if t.Namespaced == nil {
		return map[string]map[string]string{}
	}
	return t.Namespaced
}
