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
	client, err := kms.NewClientWithOptions(c.Region, config,
		credentials.NewAccessKeyCredential(c.ID, c.Secret))
	if err != nil {
		return nil, err
	}
	client.Domain = endpoint.Host
	return classic{client, endpoint.Scheme}, nil
}

// Call builds the request with the SDK's constructor and calls the SDK's method of the action's name.
func (c classic) Call(action string, params Params) (Reply, error) {
	request := newClassicRequest(action)
	if request == nil {
		return Reply{}, fmt.Errorf("no constructor listed for %s", action)
	}
	request.SetScheme(c.scheme)
	if err := fill(request, params, textOf); err != nil {
		return Reply{}, err
	}
	results := reflect.ValueOf(c.client).MethodByName(action).Call([]reflect.Value{reflect.ValueOf(request)})
	if err, _ := results[1].Interface().(error); err != nil {
		return Reply{}, classicError(err)
	}
	answer := results[0].Elem()
	answer.FieldByName("BaseResponse").SetZero() // transport state, not part of the model
	body, err := json.Marshal(answer.Interface())
	if err != nil {
		return Reply{}, err
	}
	var reply Reply
	if err := json.Unmarshal(body, &reply); err != nil {
		return Reply{}, fmt.Errorf("%s: %w", action, err)
	}
	return reply, nil
}

// textOf writes values as text, which is what this SDK's string, Integer and Boolean fields hold.
func textOf(v any, t reflect.Type) (reflect.Value, error) {
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

// newClassicRequest calls the SDK's constructor for action, or returns nil for one not listed.
func newClassicRequest(action string) requests.AcsRequest {
	switch action {
	case "AsymmetricDecrypt":
		return kms.CreateAsymmetricDecryptRequest()
	case "AsymmetricEncrypt":
		return kms.CreateAsymmetricEncryptRequest()
	case "AsymmetricSign":
		return kms.CreateAsymmetricSignRequest()
	case "AsymmetricVerify":
		return kms.CreateAsymmetricVerifyRequest()
	case "CancelKeyDeletion":
		return kms.CreateCancelKeyDeletionRequest()
	case "CreateAlias":
		return kms.CreateCreateAliasRequest()
	case "CreateKey":
		return kms.CreateCreateKeyRequest()
	case "CreateKeyVersion":
		return kms.CreateCreateKeyVersionRequest()
	case "Decrypt":
		return kms.CreateDecryptRequest()
	case "DeleteAlias":
		return kms.CreateDeleteAliasRequest()
	case "DescribeKey":
		return kms.CreateDescribeKeyRequest()
	case "DescribeKeyVersion":
		return kms.CreateDescribeKeyVersionRequest()
	case "DescribeRegions":
		return kms.CreateDescribeRegionsRequest()
	case "DisableKey":
		return kms.CreateDisableKeyRequest()
	case "EnableKey":
		return kms.CreateEnableKeyRequest()
	case "Encrypt":
		return kms.CreateEncryptRequest()
	case "GenerateDataKey":
		return kms.CreateGenerateDataKeyRequest()
	case "GenerateDataKeyWithoutPlaintext":
		return kms.CreateGenerateDataKeyWithoutPlaintextRequest()
	case "GetPublicKey":
		return kms.CreateGetPublicKeyRequest()
	case "ListAliases":
		return kms.CreateListAliasesRequest()
	case "ListAliasesByKeyId":
		return kms.CreateListAliasesByKeyIdRequest()
	case "ListKeys":
		return kms.CreateListKeysRequest()
	case "ListKeyVersions":
		return kms.CreateListKeyVersionsRequest()
	case "ScheduleKeyDeletion":
		return kms.CreateScheduleKeyDeletionRequest()
	case "UpdateAlias":
		return kms.CreateUpdateAliasRequest()
	case "UpdateKeyDescription":
		return kms.CreateUpdateKeyDescriptionRequest()
	case "UpdateRotationPolicy":
		return kms.CreateUpdateRotationPolicyRequest()
	}
	return nil
}
