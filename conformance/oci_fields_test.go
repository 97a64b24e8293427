// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"
)

// ociEmpty is every field of a model, and every header of an operation, that stays empty, and why.
func ociEmpty() map[string]string {
	const noExternal = "vaults and keys of external key managers are not there"
	out := map[string]string{
		"AutoKeyRotationDetails.lastRotationMessage": "only a rotation that failed has one",
		"ListVaultReplicas header opc-next-page":     "a vault has one replica at most",
	}
	for _, model := range []string{"Vault", "VaultSummary"} {
		out[model+".externalKeyManagerMetadataSummary"] = noExternal
	}
	for _, model := range []string{"Key", "KeySummary", "KeyVersion", "KeyVersionSummary"} {
		out[model+".externalKeyReferenceDetails"] = noExternal
	}
	return out
}

// ociSeen is what the answers of a run held.
type ociSeen struct {
	called   map[string]bool
	known    map[string]bool // fields by model, headers by operation
	filled   map[string]bool
	required map[string]bool // fields of single answers that are mandatory and were not there
}

// note looks at an answer of the SDK's: a struct of headers and a body.
func (s *ociSeen) note(operation string, answer any) {
	s.called[operation] = true
	v := reflect.ValueOf(answer)
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		switch field.Tag.Get("presentIn") {
		case "header":
			path := operation + " header " + field.Tag.Get("name")
			s.known[path] = true
			if !value.IsNil() && !value.Elem().IsZero() {
				s.filled[path] = true
			}
		case "body":
			s.value(operation, value)
		}
	}
}

// value looks at a model, or a list of them, and at those inside.
func (s *ociSeen) value(operation string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Slice:
		s.model(v.Type().Elem())
		for i := range v.Len() {
			s.value(operation, v.Index(i))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		s.value(operation, v.Elem())
	case isModel(v.Type()):
		s.model(v.Type())
		for i := range v.NumField() {
			field, name := v.Type().Field(i), fieldName(v.Type().Field(i))
			if name == "" {
				continue
			}
			path := v.Type().Name() + "." + name
			switch {
			case isFilled(v.Field(i)):
				s.filled[path] = true
			case field.Tag.Get("mandatory") == "true" && v.Field(i).Kind() == reflect.Pointer && v.Field(i).IsNil():
				s.required[operation+": "+path] = true
			}
			s.value(operation, v.Field(i))
		}
	}
}

// model notes the fields of a model, and of those inside, whether or not they are there.
func (s *ociSeen) model(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if !isModel(t) {
		return
	}
	for i := range t.NumField() {
		name := fieldName(t.Field(i))
		if path := t.Name() + "." + name; name != "" && !s.known[path] {
			s.known[path] = true
			s.model(t.Field(i).Type)
		}
	}
}

// isModel reports whether a type has fields of its own on the wire: a time has none.
func isModel(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[common.SDKTime]()
}

func isFilled(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && isFilled(v.Elem())
	case reflect.Map, reflect.Slice:
		return v.Len() > 0
	default:
		return !v.IsZero()
	}
}

// operationsOf lists the operations that the SDK's clients have.
func operationsOf(clients ...any) map[string]bool {
	out := map[string]bool{}
	for _, client := range clients {
		of := reflect.TypeOf(client)
		for i := range of.NumMethod() {
			method := of.Method(i)
			if method.Type.NumIn() == 3 && method.Type.In(2).Implements(reflect.TypeFor[common.OCIRequest]()) {
				out[method.Name] = true
			}
		}
	}
	return out
}

// All 42 operations are called through Oracle's SDK in one story. Every header that an operation's
// answer may have, and every field of every model, is filled by some answer or stands above with
// the reason why not; what the SDK calls mandatory is there in each.
func TestOCIFields(t *testing.T) {
	t.Parallel()
	seen := &ociSeen{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	s := newOCIStory(t, seen)
	s.vaults(t)
	s.keys(t)
	s.versions(t)
	s.crypto(t)
	s.wait(t)
	s.lists(t)
	s.backUp(t)
	s.deletions(t)
	s.restore(t)

	all := operationsOf(s.o.Vault, s.o.Management, s.o.Crypto)
	if len(all) != 42 {
		t.Errorf("the SDK's clients have %d operations, there are 42", len(all))
	}
	for name := range all {
		if !seen.called[name] {
			t.Errorf("%s is not called", name)
		}
	}
	empty := ociEmpty()
	for _, path := range slices.Sorted(maps.Keys(seen.known)) {
		reason := excuseModel(empty, path)
		switch {
		case !seen.filled[path] && reason == "":
			t.Errorf("%s is not filled", path)
		case seen.filled[path] && empty[path] != "":
			t.Errorf("%s is filled, and said to be empty: %s", path, empty[path])
		}
	}
	for path := range empty {
		if !seen.known[path] {
			t.Errorf("no answer has %s", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(seen.required)) {
		t.Errorf("%s is mandatory and not there", path)
	}
}

// excuseModel is why a field is empty: for a reason of its own, or because it is in a model that
// belongs to external key managers.
func excuseModel(empty map[string]string, path string) string {
	model, _, _ := strings.Cut(path, ".")
	switch model {
	case "ExternalKeyManagerMetadataSummary", "OauthMetadataSummary", "ExternalKeyReferenceDetails":
		return "nothing has one"
	}
	return empty[path]
}
