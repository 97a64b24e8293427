// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	kms "github.com/alibabacloud-go/kms-20160120/v3/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

// current is the SDK generation that Alibaba's documentation shows today.
type current struct {
	client *kms.Client
}

func newCurrent(g Generation, c Config) (Client, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	config := &openapi.Config{
		AccessKeyId:     tea.String(c.ID),
		AccessKeySecret: tea.String(c.Secret),
		Endpoint:        tea.String(endpoint.Host),
		RegionId:        tea.String(c.Region),
		Protocol:        tea.String(endpoint.Scheme),
		ReadTimeout:     tea.Int(int(requestTimeout.Milliseconds())),
	}
	if c.CA != "" {
		config.Ca = tea.String(c.CA)
	}
	if c.Token != "" { // the SDK then takes its credential type "sts"
		config.SecurityToken = tea.String(c.Token)
	}
	if g == V1 {
		config.SignatureAlgorithm = tea.String("v2")
	}
	client, err := kms.NewClient(config)
	if err != nil {
		return nil, err
	}
	return current{client}, nil
}

// Call finds the SDK's method of that name, builds its request and reads the Body of its response.
// An action that is newer than the SDK goes through its generic call.
func (c current) Call(action string, params Params) (Reply, error) {
	if !reflect.ValueOf(c.client).MethodByName(action).IsValid() {
		return c.generic(action, params)
	}
	model, err := c.Answer(action, params)
	return reply(action, model, err)
}

// Answer implements [Client].
func (c current) Answer(action string, params Params) (reflect.Value, error) {
	method := reflect.ValueOf(c.client).MethodByName(action)
	if !method.IsValid() {
		return reflect.Value{}, fmt.Errorf("the SDK has no %s", action)
	}
	var args []reflect.Value
	if method.Type().NumIn() == 1 { // DescribeRegions takes no request
		request := reflect.New(method.Type().In(0).Elem())
		if err := fill(request.Interface(), params, pointerTo); err != nil {
			return reflect.Value{}, err
		}
		args = append(args, request)
	}
	results := method.Call(args)
	if err, _ := results[1].Interface().(error); err != nil {
		return reflect.Value{}, currentError(err)
	}
	return results[0].Elem().FieldByName("Body"), nil
}

// generic calls an operation that is newer than the SDK as the SDK's own methods call theirs.
func (c current) generic(action string, params Params) (Reply, error) {
	query := map[string]*string{}
	for name, value := range params {
		query[name] = tea.String(fmt.Sprint(value))
	}
	result, err := c.client.CallApi(&openapi.Params{
		Action: tea.String(action), Version: tea.String("2016-01-20"), Protocol: tea.String("HTTPS"), Pathname: tea.String("/"),
		Method: tea.String("POST"), AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"),
		BodyType: tea.String("json"),
	}, &openapi.OpenApiRequest{Query: query}, &util.RuntimeOptions{})
	if err != nil {
		return Reply{}, currentError(err)
	}
	return reply(action, reflect.ValueOf(result["body"]), nil)
}

// pointerTo makes the pointers that this SDK's models consist of, and its maps of any.
func pointerTo(v any, t reflect.Type) (reflect.Value, error) {
	if m, ok := v.(map[string]string); ok {
		wide := make(map[string]any, len(m))
		for name, value := range m {
			wide[name] = value
		}
		return reflect.ValueOf(wide), nil
	}
	value := reflect.ValueOf(v)
	if t.Kind() == reflect.Slice {
		return listOf(value, t, pointerTo)
	}
	if tag, ok := v.(Tag); ok {
		p := reflect.New(t.Elem())
		return p, fill(p.Interface(), Params{"Key": tag.Key, "Value": tag.Value}, pointerTo)
	}
	if t.Kind() != reflect.Pointer || !value.CanConvert(t.Elem()) {
		return reflect.Value{}, fmt.Errorf("a %T does not fit %s", v, t)
	}
	p := reflect.New(t.Elem())
	p.Elem().Set(value.Convert(t.Elem()))
	return p, nil
}

// currentError reads the answer out of the SDK's error, whose Data is the whole JSON body.
func currentError(err error) error {
	var refused *tea.SDKError
	if !errors.As(err, &refused) || refused.StatusCode == nil {
		return err
	}
	e := &Error{Status: *refused.StatusCode, Code: tea.StringValue(refused.Code)}
	var body struct {
		Message   string
		RequestID string `json:"RequestId"`
	}
	if err := json.Unmarshal([]byte(tea.StringValue(refused.Data)), &body); err != nil {
		return fmt.Errorf("parse the body of a refusal: %w", err)
	}
	e.Message, e.RequestID = body.Message, body.RequestID
	return e
}
