// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/kms"
)

// classic is the SDK generation before the current one, still what the aliyun CLI is built on.
type classic struct {
	client *kms.Client
	scheme string
}

func newClassic(c Config) (Client, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	config := sdk.NewConfig().WithTimeout(requestTimeout)
	if c.CA != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(c.CA))
		config.HttpTransport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	var credential auth.Credential = credentials.NewAccessKeyCredential(c.ID, c.Secret)
	if c.Token != "" {
		credential = credentials.NewStsTokenCredential(c.ID, c.Secret, c.Token)
	}
	client, err := kms.NewClientWithOptions(c.Region, config, credential)
	if err != nil {
		return nil, err
	}
	client.Domain = endpoint.Host
	return classic{client, endpoint.Scheme}, nil
}

// Call calls the SDK's method of the action's name with a request as its constructor makes it, or
// the generic one when the SDK is older than the action.
func (c classic) Call(action string, params Params) (Reply, error) {
	if !reflect.ValueOf(c.client).MethodByName(action).IsValid() {
		return c.generic(action, params)
	}
	model, err := c.Answer(action, params)
	return reply(action, model, err)
}

// Answer implements [Client].
func (c classic) Answer(action string, params Params) (reflect.Value, error) {
	method := reflect.ValueOf(c.client).MethodByName(action)
	if !method.IsValid() {
		return reflect.Value{}, fmt.Errorf("the SDK has no %s", action)
	}
	request, err := newClassicRequest(action, method.Type().In(0).Elem())
	if err != nil {
		return reflect.Value{}, err
	}
	request.SetScheme(c.scheme)
	if err := fill(request, params, textOf); err != nil {
		return reflect.Value{}, err
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(request)})
	if err, _ := results[1].Interface().(error); err != nil {
		return reflect.Value{}, classicError(err)
	}
	answer := results[0].Elem()
	answer.FieldByName("BaseResponse").SetZero() // transport state, not part of the model
	return answer, nil
}

// generic calls an operation that the SDK has no types for.
func (c classic) generic(action string, params Params) (Reply, error) {
	request := requests.NewCommonRequest()
	request.Method, request.Scheme, request.Domain = "POST", c.scheme, c.client.Domain
	request.Version, request.ApiName = "2016-01-20", action
	for name, value := range params {
		text, err := textOf(value, reflect.TypeFor[string]())
		if err != nil {
			return Reply{}, err
		}
		request.QueryParams[name] = text.String()
	}
	response, err := c.client.ProcessCommonRequest(request)
	if err != nil {
		return Reply{}, classicError(err)
	}
	return reply(action, reflect.ValueOf(json.RawMessage(response.GetHttpContentBytes())), nil)
}

// textOf writes values as text, which is what this SDK's string, Integer and Boolean fields hold.
func textOf(v any, t reflect.Type) (reflect.Value, error) {
	if t.Kind() == reflect.Pointer { // to a repeat list
		list, err := listOf(reflect.ValueOf(v), t.Elem(), textOf)
		if err != nil {
			return reflect.Value{}, err
		}
		p := reflect.New(t.Elem())
		p.Elem().Set(list)
		return p, nil
	}
	if tag, ok := v.(Tag); ok {
		p := reflect.New(t)
		return p.Elem(), fill(p.Interface(), Params{"Key": tag.Key, "Value": tag.Value}, textOf)
	}
	text := fmt.Sprint(v)
	if m, ok := v.(map[string]string); ok {
		raw, err := json.Marshal(m)
		if err != nil {
			return reflect.Value{}, err
		}
		text = string(raw)
	}
	return reflect.ValueOf(text).Convert(t), nil
}

func classicError(err error) error {
	var refused *sdkerrors.ServerError
	if !errors.As(err, &refused) {
		return err
	}
	return &Error{
		Status: refused.HttpStatus(), Code: refused.ErrorCode(), Message: refused.Message(),
		RequestID: refused.RequestId(), Recommend: refused.Recommend(),
	}
}

// newClassicRequest makes a request of type t as the SDK's constructors do, which are alike but for
// the names in them.
func newClassicRequest(action string, t reflect.Type) (requests.AcsRequest, error) {
	v := reflect.New(t)
	rpc := &requests.RpcRequest{}
	v.Elem().FieldByName("RpcRequest").Set(reflect.ValueOf(rpc))
	rpc.InitWithApiInfo("Kms", "2016-01-20", action, "kms", "openAPI")
	rpc.Method = requests.POST
	request, ok := v.Interface().(requests.AcsRequest)
	if !ok {
		return nil, fmt.Errorf("%s is no request", t)
	}
	return request, nil
}
