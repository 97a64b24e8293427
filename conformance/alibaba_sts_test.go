// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	kms "github.com/alibabacloud-go/kms-20160120/v3/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/sts"
	"github.com/aliyun/credentials-go/credentials"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// roleARN is a role of the server's first account.
func roleARN(server *live.Process, role string) string {
	return "acs:ram::" + server.Ready.Alibaba.AccountID + ":role/" + role
}

// stsAnswer is what both operations of STS answer.
type stsAnswer struct {
	AssumedRoleUser struct{ Arn, AssumedRoleId string }
	Credentials     struct{ AccessKeyId, AccessKeySecret, SecurityToken, Expiration string }

	AccountId, Arn, IdentityType, PrincipalId, RoleId, UserId, RequestId string
}

// asking are the ways to ask STS: the current SDK's general call, which is what its generated STS
// client makes, and the classic SDK's own STS client.
func asking() map[string]func(*testing.T, *live.Process, alibaba.Config, string, map[string]string) stsAnswer {
	return map[string]func(*testing.T, *live.Process, alibaba.Config, string, map[string]string) stsAnswer{
		"current": askCurrent, "classic": askClassic,
	}
}

func askCurrent(t *testing.T, server *live.Process, as alibaba.Config, action string, params map[string]string) stsAnswer {
	t.Helper()
	client, err := openapi.NewClient(currentConfig(t, server, as))
	if err != nil {
		t.Fatal(err)
	}
	query := map[string]*string{}
	for name, value := range params {
		query[name] = tea.String(value)
	}
	got, err := client.CallApi(&openapi.Params{
		Action: tea.String(action), Version: tea.String("2015-04-01"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"),
		Method: tea.String("POST"), AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &openapi.OpenApiRequest{Query: query}, &util.RuntimeOptions{})
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return stsAnswerOf(t, got["body"])
}

func currentConfig(t *testing.T, server *live.Process, as alibaba.Config) *openapi.Config {
	t.Helper()
	endpoint, err := url.Parse(server.Ready.Alibaba.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	config := &openapi.Config{
		AccessKeyId: tea.String(as.ID), AccessKeySecret: tea.String(as.Secret), Endpoint: tea.String(endpoint.Host),
		RegionId: tea.String(server.Ready.Alibaba.RegionID), Protocol: tea.String(endpoint.Scheme),
	}
	if as.Token != "" {
		config.SecurityToken = tea.String(as.Token)
	}
	return config
}

func askClassic(t *testing.T, server *live.Process, as alibaba.Config, action string, params map[string]string) stsAnswer {
	t.Helper()
	var client *sts.Client
	var err error
	if as.Token != "" {
		client, err = sts.NewClientWithStsToken(server.Ready.Alibaba.RegionID, as.ID, as.Secret, as.Token)
	} else {
		client, err = sts.NewClientWithAccessKey(server.Ready.Alibaba.RegionID, as.ID, as.Secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	client.Domain = strings.TrimPrefix(server.Ready.Alibaba.Endpoint, "http://")
	var answer any
	if action == "AssumeRole" {
		request := sts.CreateAssumeRoleRequest()
		request.Scheme, request.RoleArn, request.RoleSessionName = "http", params["RoleArn"], params["RoleSessionName"]
		request.DurationSeconds = requests.Integer(params["DurationSeconds"])
		var got *sts.AssumeRoleResponse
		if got, err = client.AssumeRole(request); err == nil {
			got.BaseResponse, answer = nil, got
		}
	} else {
		request := sts.CreateGetCallerIdentityRequest()
		request.Scheme = "http"
		var got *sts.GetCallerIdentityResponse
		if got, err = client.GetCallerIdentity(request); err == nil {
			got.BaseResponse, answer = nil, got
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return stsAnswerOf(t, answer)
}

func stsAnswerOf(t *testing.T, answer any) stsAnswer {
	t.Helper()
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var out stsAnswer
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if out.RequestId == "" {
		t.Errorf("the answer %s has no RequestId", raw)
	}
	return out
}

// A role is assumed through both SDKs, and its credentials are used through every generation: by the
// current SDK's credential type "sts" and by the classic SDK's StsTokenCredential.
func TestAlibabaAssumedRole(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption).KeyID
	app := server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "app", "user", newAPIKey(t).public)
	job := server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "job", "auditor", newAPIKey(t).public)
	server.Command(t, nil, "principal", "trust", "app", "--by", "job")
	for name, ask := range asking() {
		role := ask(t, server, alibaba.Config{ID: job.AccessKeyID, Secret: job.Secret}, "AssumeRole", map[string]string{
			"RoleArn": roleARN(server, "app"), "RoleSessionName": "conformance", "DurationSeconds": "900",
		})
		if role.AssumedRoleUser.Arn != roleARN(server, "app")+"/conformance" || !strings.HasSuffix(role.AssumedRoleUser.AssumedRoleId, ":conformance") {
			t.Errorf("through the %s SDK the role is %+v", name, role.AssumedRoleUser)
		}
		parseTime(t, role.Credentials.Expiration)
		held := alibaba.Config{ID: role.Credentials.AccessKeyId, Secret: role.Credentials.AccessKeySecret, Token: role.Credentials.SecurityToken}
		if self := ask(t, server, held, "GetCallerIdentity", nil); self.IdentityType != "AssumedRoleUser" || self.RoleId == "" ||
			self.Arn != "acs:ram::"+server.Ready.Alibaba.AccountID+":assumed-role/app/conformance" || self.AccountId != server.Ready.Alibaba.AccountID {
			t.Errorf("through the %s SDK the holder is %+v", name, self)
		}
		for _, g := range alibaba.Generations() {
			caller := aliFor(t, server, g, held)
			caller.must(t, "Encrypt", alibaba.Params{"KeyId": key, "Plaintext": "SGVsbG8="})
			want(t, string(g)+": what the role may not", caller.refusal("DisableKey", alibaba.Params{"KeyId": key}), "403 Forbidden.NoPermission")
			held := held
			held.Secret += "x"
			want(t, string(g)+": with another secret", aliFor(t, server, g, held).refusal("ListKeys", alibaba.Params{}), "400 SignatureDoesNotMatch")
			held.Token = "nonsense"
			want(t, string(g)+": with another token", aliFor(t, server, g, held).refusal("ListKeys", alibaba.Params{}), "400 InvalidSecurityToken.Malformed")
			held.Token = ""
			want(t, string(g)+": without a token", aliFor(t, server, g, held).refusal("ListKeys", alibaba.Params{}), "400 MissingSecurityToken")
		}
		if self := ask(t, server, alibaba.Config{ID: app.AccessKeyID, Secret: app.Secret}, "GetCallerIdentity", nil); self.IdentityType != "RAMUser" || self.UserId == "" {
			t.Errorf("through the %s SDK the user is %+v", name, self)
		}
	}
}

// A session that the command line made is used through every generation, and ended under its users.
func TestAlibabaSession(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	app := server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "app", "user", newAPIKey(t).public)
	var s struct{ AccessKeyID, Secret, Token string }
	server.Command(t, &s, "credential", "session", "--principal", "app", "--alibaba")
	callers := map[alibaba.Generation]ali{}
	for _, g := range alibaba.Generations() {
		callers[g] = aliFor(t, server, g, alibaba.Config{ID: s.AccessKeyID, Secret: s.Secret, Token: s.Token})
		callers[g].must(t, "ListKeys", alibaba.Params{})
	}
	server.Command(t, nil, "principal", "end-sessions", app.ID)
	for g, caller := range callers {
		want(t, string(g)+", ended", caller.refusal("ListKeys", alibaba.Params{}), "400 InvalidSecurityToken.Expired")
	}
}

// A user may have several access keys. Each works from the next call after it was made or enabled and
// not after it was disabled or removed.
func TestAlibabaAccessKeysComeAndGo(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	app := server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "app", "user", newAPIKey(t).public)
	for _, g := range alibaba.Generations() {
		made := server.Admin.AddAccessKey(t, app.ID)
		first, second := aliWith(t, server, g, app.AccessKeyID, app.Secret), aliWith(t, server, g, made.ID, made.Secret)
		answers := func(what, wanted string) {
			t.Helper()
			want(t, string(g)+": "+what, second.refusal("ListKeys", alibaba.Params{}), wanted)
			first.must(t, "ListKeys", alibaba.Params{})
		}
		answers("added", "200")
		server.Command(t, nil, "credential", "disable", made.ID)
		answers("disabled", "403 Forbidden.AccessKey")
		server.Command(t, nil, "credential", "enable", made.ID)
		answers("enabled", "200")
		server.Command(t, nil, "credential", "remove", made.ID, "--yes")
		answers("removed", "404 InvalidAccessKeyId.NotFound")
	}
}

const roleOfChild = "CLAVIGER_CONFORMANCE_ROLE"

// The credentials library of the current SDK assumes a role by itself ("ram_role_arn") from an STS
// endpoint that can be set. It insists on HTTPS and trusts only what the system does, which a process
// is told by its environment: so it runs in a process of its own.
func TestAlibabaCredentialChain(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{TLS: true})
	server.Command(t, nil, "principal", "create", "app", "--tenant", server.Ready.OCI.Tenancy, "--role", "user")
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption).KeyID
	a := server.Ready.Alibaba
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SSL_CERT_FILE="+server.Ready.CA.File, "SSL_CERT_DIR="+t.TempDir(),
		roleOfChild+"="+strings.Join([]string{strings.TrimPrefix(a.Endpoint, "https://"), a.RegionID, a.AccessKeyID, a.AccessKeySecret, roleARN(server, "app"), key}, " "))
	if printed, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

// chainInChild is the process that TestAlibabaCredentialChain starts: TestMain runs it in place of the tests.
func chainInChild(told []string) error {
	if len(told) != 6 {
		return fmt.Errorf("%s has %d parts", roleOfChild, len(told))
	}
	endpoint, region, id, secret, role, key := told[0], told[1], told[2], told[3], told[4], told[5]
	provider, err := credentials.NewCredential(&credentials.Config{
		Type: tea.String("ram_role_arn"), AccessKeyId: tea.String(id), AccessKeySecret: tea.String(secret), STSEndpoint: tea.String(endpoint),
		RoleArn: tea.String(role), RoleSessionName: tea.String("chain"), RoleSessionExpiration: tea.Int(900),
	})
	if err != nil {
		return err
	}
	client, err := kms.NewClient(&openapi.Config{
		Credential: provider, Endpoint: tea.String(endpoint), RegionId: tea.String(region), Protocol: tea.String("HTTPS"),
	})
	if err != nil {
		return err
	}
	if _, err := client.Encrypt(&kms.EncryptRequest{KeyId: tea.String(key), Plaintext: tea.String("SGVsbG8=")}); err != nil {
		return fmt.Errorf("Encrypt: %w", err)
	}
	var refused *tea.SDKError
	_, err = client.DisableKey(&kms.DisableKeyRequest{KeyId: tea.String(key)})
	if !errors.As(err, &refused) || tea.StringValue(refused.Code) != "Forbidden.NoPermission" {
		return fmt.Errorf("DisableKey, which only the user behind the role may, is not refused as it should: %w", err)
	}
	return nil
}
