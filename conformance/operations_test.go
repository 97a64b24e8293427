// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	kms "github.com/alibabacloud-go/kms-20160120/v3/client"
	"github.com/oracle/oci-go-sdk/v65/common"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// Every operation of the SDK's three clients is known to the server: carried out, refused for its
// parameters, or named as not implemented; never unknown and never a fault.
func TestOCIEveryOperation(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	requestType := reflect.TypeFor[common.OCIRequest]()
	seen := 0
	for _, client := range []any{o.Vault, o.Management, o.Crypto} {
		v := reflect.ValueOf(client)
		for i := range v.NumMethod() {
			method := v.Type().Method(i)
			if method.Type.NumIn() != 3 || !method.Type.In(2).Implements(requestType) {
				continue
			}
			seen++
			request := reflect.New(method.Type.In(2)).Elem()
			fillMandatory(request)
			results := v.Method(i).Call([]reflect.Value{reflect.ValueOf(context.Context(t.Context())), request})
			err, _ := results[1].Interface().(error)
			got := oracle.Refusal(err)
			status, code, _ := strings.Cut(got, " ")
			fault := status >= "500" && got != "501 MethodNotImplemented"
			if fault || code == "NotFound" || code == "MethodNotAllowed" || (err != nil && len(status) != 3) {
				t.Errorf("%s: answered %q", method.Name, got)
			}
		}
	}
	if seen < 42 {
		t.Errorf("%d operations found in the SDK's clients, there are 42", seen)
	}
}

// fillMandatory gives every field that the SDK will not send a request without some value.
func fillMandatory(v reflect.Value) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		body := field.Tag.Get("contributesTo") == "body"
		if !body && field.Tag.Get("mandatory") != "true" {
			continue
		}
		if value.Kind() == reflect.Pointer {
			value.Set(reflect.New(value.Type().Elem()))
			value = value.Elem()
		}
		switch {
		case value.Kind() == reflect.Struct:
			fillMandatory(value)
		case value.Kind() == reflect.String && value.Type() == reflect.TypeFor[string]():
			value.SetString("x")
		case value.Kind() == reflect.Int:
			value.SetInt(16)
		case value.Type() == reflect.TypeFor[io.ReadCloser]():
			value.Set(reflect.ValueOf(io.NopCloser(strings.NewReader("x"))))
		}
	}
}

// The same for Alibaba's current SDK: no operation of its client is unknown.
func TestAlibabaEveryOperation(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	client := reflect.TypeFor[*kms.Client]()
	seen := 0
	for i := range client.NumMethod() {
		name, ok := strings.CutSuffix(client.Method(i).Name, "WithOptions")
		if !ok {
			continue
		}
		seen++
		caller := rawCaller(server)
		caller.action = name
		answer := caller.send(t)
		if answer.status >= http.StatusInternalServerError || answer.refusal() == "404 InvalidAction.NotFound" {
			t.Errorf("%s: answered %q", name, answer.refusal())
		}
	}
	if seen < 90 {
		t.Errorf("%d operations found in the SDK's client, there are over 90", seen)
	}
}
