// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/oracle/oci-go-sdk/v65/common"
)

// instantType is a string that holds a time in RFC 3339. Two notations of one instant, in other zones
// or with other fractions of a second, are the same value: the service keeps whole seconds.
type instantType struct{ basetypes.StringType }

func (instantType) String() string { return "instant" }

func (t instantType) Equal(o attr.Type) bool {
	other, ok := o.(instantType)
	return ok && t.StringType.Equal(other.StringType)
}

func (instantType) ValueType(context.Context) attr.Value { return instant{} }

func (instantType) ValueFromString(_ context.Context, v basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return instant{v}, nil
}

func (t instantType) ValueFromTerraform(ctx context.Context, v tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, v)
	if err != nil {
		return nil, err
	}
	text, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("a string came as %T", value)
	}
	return instant{text}, nil
}

// instant is a value of instantType.
type instant struct{ basetypes.StringValue }

func (instant) Type(context.Context) attr.Type { return instantType{} }

func (i instant) Equal(o attr.Value) bool {
	other, ok := o.(instant)
	return ok && i.StringValue.Equal(other.StringValue)
}

// time is the instant in whole seconds; false if there is none, or nothing that is one.
func (i instant) time() (time.Time, bool) {
	if i.IsNull() || i.IsUnknown() {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, i.ValueString())
	return t.Truncate(time.Second), err == nil
}

// orNone is the instant, or null for what is none: state of Oracle's provider has empty strings, and
// times in Go's notation, which it cannot use itself.
func (i instant) orNone() instant {
	if _, ok := i.time(); !ok {
		return noInstant()
	}
	return i
}

// same says whether both are the same instant, or both none.
func (i instant) same(o instant) bool {
	a, aok := i.time()
	b, bok := o.time()
	return aok == bok && a.Equal(b)
}

// sameDay says whether both are on the same day of UTC.
func (i instant) sameDay(o instant) bool {
	a, aok := i.time()
	b, bok := o.time()
	return aok && bok && a.UTC().Truncate(24*time.Hour).Equal(b.UTC().Truncate(24*time.Hour))
}

// StringSemanticEquals keeps the notation that a configuration or a state already has.
func (i instant) StringSemanticEquals(_ context.Context, v basetypes.StringValuable) (bool, diag.Diagnostics) {
	other, ok := v.(instant)
	if !ok {
		return false, nil
	}
	_, is := i.time()
	return is && i.same(other), nil
}

// sdk is the instant as requests carry it; nil for none.
func (i instant) sdk() *common.SDKTime {
	if _, ok := i.time(); !ok {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, i.ValueString())
	if err != nil {
		return nil
	}
	return &common.SDKTime{Time: t}
}

// timeLayout is how the service writes times: RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func noInstant() instant { return instant{basetypes.NewStringNull()} }

func instantOf(t *common.SDKTime) instant {
	return instant{timeText(t)}
}
