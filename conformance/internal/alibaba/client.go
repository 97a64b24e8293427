// SPDX-License-Identifier: Apache-2.0

// Package alibaba puts one small face on Alibaba's SDK generations, so that a test is written once
// and runs through each: the current Go SDK with its default signature (ACS3-HMAC-SHA256), the same
// SDK told to use RPC signature version 1, and the classic SDK. Requests and answers go through the
// SDK's own typed models; only the way there is generic.
package alibaba

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Generation names an SDK and its way of signing.
type Generation string

// The generations that Generations lists.
const (
	ACS3    Generation = "ACS3"
	V1      Generation = "V1"
	Classic Generation = "Classic"
)

// Generations lists all of them.
func Generations() []Generation { return []Generation{ACS3, V1, Classic} }

// Config is what a user configures: where the server is and who calls.
type Config struct {
	Endpoint string // "http://host:port"
	Region   string
	ID       string // access key id
	Secret   string // access key secret
	Token    string // security token of temporary credentials; empty for lasting ones
	CA       string // PEM of the authority that signs the server's certificate; empty for the system's
}

// requestTimeout is far above the SDKs' 10 seconds: making an RSA-4096 key on a busy machine takes
// longer than that. A user who creates such keys raises it likewise.
const requestTimeout = 3 * time.Minute

// Params are the parameters of one call by their wire names. Values are string, int, bool,
// map[string]string for an encryption context, []string for a repeat list, or []Tag. An absent name
// is not sent.
type Params map[string]any

// Tag is an element of the repeat list of that name.
type Tag struct{ Key, Value string }

// Client calls operations by their wire names. A Client is for one goroutine at a time: the classic
// SDK's clients keep state between the steps of a call.
type Client interface {
	Call(action string, params Params) (Reply, error)
	// Answer is Call with the SDK's own model of the answer.
	Answer(action string, params Params) (reflect.Value, error)
}

// reply reads the SDK's model of an answer into ours.
func reply(action string, model reflect.Value, err error) (Reply, error) {
	if err != nil {
		return Reply{}, err
	}
	body, err := json.Marshal(model.Interface())
	if err != nil {
		return Reply{}, err
	}
	var out Reply
	if err := json.Unmarshal(body, &out); err != nil {
		return Reply{}, fmt.Errorf("%s: %w", action, err)
	}
	return out, nil
}

// New returns a client of the given generation.
func New(g Generation, c Config) (Client, error) {
	switch g {
	case ACS3, V1:
		return newCurrent(g, c)
	case Classic:
		return newClassic(c)
	}
	return nil, fmt.Errorf("no SDK generation %q", g)
}

// Error is an answer that refuses, the same whatever the SDK makes of it.
type Error struct {
	Status    int // HTTP status
	Code      string
	Message   string
	RequestID string
	Recommend string // the classic SDK's advice; the current one has none
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s (request %s)", e.Status, e.Code, e.Message, e.RequestID)
}

// Reply is the union of the answers' fields; those an operation does not answer stay zero.
type Reply struct {
	RequestID      string      `json:"RequestId"`
	KeyMetadata    KeyMetadata `json:"KeyMetadata"`
	KeyVersion     KeyVersion  `json:"KeyVersion"`
	KeyID          string      `json:"KeyId"`
	KeyVersionID   string      `json:"KeyVersionId"`
	Plaintext      string      `json:"Plaintext"`
	CiphertextBlob string      `json:"CiphertextBlob"`
	PublicKey      string      `json:"PublicKey"`
	ImportToken    string      `json:"ImportToken"`
	Value          any         `json:"Value"` // a signature (string) or whether one or a MAC is valid (bool)
	ExportedKey    string      `json:"ExportedDataKey"`
	TokenExpires   string      `json:"TokenExpireTime"`
	Algorithm      string      `json:"Algorithm"`
	MAC            string      `json:"Mac"`
	PageNumber     int         `json:"PageNumber"`
	PageSize       int         `json:"PageSize"`
	TotalCount     int         `json:"TotalCount"`
	Keys           struct {
		Key []struct {
			KeyID  string `json:"KeyId"`
			KeyARN string `json:"KeyArn"`
		}
	}
	KeyVersions struct{ KeyVersion []KeyVersion }
	Aliases     struct {
		Alias []struct {
			AliasName string
			AliasARN  string `json:"AliasArn"`
			KeyID     string `json:"KeyId"`
		}
	}
	Regions struct {
		Region []struct {
			RegionID string `json:"RegionId"`
		}
	}
}

// KeyMetadata is the object of that name. Times are RFC 3339 in UTC without a fraction.
type KeyMetadata struct {
	KeyID             string `json:"KeyId"`
	ARN               string `json:"Arn"`
	KeyState          string
	KeySpec           string
	KeyUsage          string
	Origin            string
	ProtectionLevel   string
	Creator           string
	CreationDate      string
	Description       string
	AutomaticRotation string
	RotationInterval  string
	NextRotationDate  string
	LastRotationDate  string
	PrimaryKeyVersion string
	DeleteDate        string
	MaterialExpires   string `json:"MaterialExpireTime"`
}

// KeyVersion is the object of that name.
type KeyVersion struct {
	KeyID        string `json:"KeyId"`
	KeyVersionID string `json:"KeyVersionId"`
	CreationDate string
}

// fill sets the fields of request, a pointer to an SDK's request struct, that params name; convert
// makes a value of the field's type. A name that the SDK does not know is an error.
func fill(request any, params Params, convert func(v any, t reflect.Type) (reflect.Value, error)) error {
	s := reflect.ValueOf(request).Elem()
	for name, value := range params {
		field := s.FieldByName(name)
		if !field.IsValid() {
			return fmt.Errorf("%s has no field %s", s.Type(), name)
		}
		converted, err := convert(value, field.Type())
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s.Type(), name, err)
		}
		field.Set(converted)
	}
	return nil
}

// listOf makes a slice of type t from a slice of ours.
func listOf(v reflect.Value, t reflect.Type, convert func(v any, t reflect.Type) (reflect.Value, error)) (reflect.Value, error) {
	if v.Kind() != reflect.Slice {
		return reflect.Value{}, fmt.Errorf("a %s does not fit %s", v.Type(), t)
	}
	out := reflect.MakeSlice(t, 0, v.Len())
	for i := range v.Len() {
		element, err := convert(v.Index(i).Interface(), t.Elem())
		if err != nil {
			return reflect.Value{}, err
		}
		out = reflect.Append(out, element)
	}
	return out, nil
}

// Refusal is what a test compares: HTTP status and code of a refused call, "200" for none.
func Refusal(err error) string {
	if err == nil {
		return "200"
	}
	var refused *Error
	if !errors.As(err, &refused) {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", refused.Status, refused.Code)
}
