// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// asker provokes a refusal in one of the two formats.
type asker struct {
	*cloud
	t      testing.TB
	format string
	stage  *stage
}

// ask is an operation of the administrator's.
func (a *asker) ask(action string, params ...string) reply {
	a.t.Helper()
	return a.cloud.call(a.t, action, append(params, "Format="+a.format)...)
}

// with is a signed call of DescribeRegions, changed before it is signed.
func (a *asker) with(change func(url.Values)) reply {
	a.t.Helper()
	values := a.common(a.Tenant, "DescribeRegions")
	values.Set("Format", a.format)
	change(values)
	return a.sendV1(a.t, http.MethodPost, a.Tenant.Secret, values, nil)
}

// raw sends a call of DescribeRegions, changed after it was signed.
func (a *asker) raw(method string, change func(url.Values)) reply {
	a.t.Helper()
	values := a.common(a.Tenant, "DescribeRegions")
	values.Set("Format", a.format)
	values.Set("Signature", signV1(method, a.Tenant.Secret, values))
	change(values)
	return a.send(a.t, method, "/?"+values.Encode(), nil, "")
}

// in is a call while the key is in a state.
func (a *asker) in(state keys.State, action string, params ...string) reply {
	a.t.Helper()
	key := a.stage.key[useSymmetric]
	a.change(a.t, key, func(k *keys.Key) {
		k.State = state
		if state == keys.PendingDeletion {
			k.Before, k.DeleteAt = keys.Enabled, a.Now().Add(10*keys.Day)
		}
	})
	defer a.change(a.t, key, func(k *keys.Key) { k.State, k.Before, k.DeleteAt = keys.Enabled, "", time.Time{} })
	return a.ask(action, append(params, "KeyId="+key)...)
}

// inDocumentation is a code that the cloud documents: how it looks and is provoked here, or why
// it cannot be.
type inDocumentation struct {
	code    string
	status  int
	message string
	provoke func(*asker) reply
	never   string
}

const (
	noBilling    = "an account here has no bills, no contract and no real name"
	noSecrets    = "there are no secrets"
	otherOfTwo   = "of the two codes that are documented for this, the other one is answered"
	noCertifying = "there are no certificates"
)

func missing(name string) inDocumentation {
	return inDocumentation{"Missing" + name, 400, name + " is mandatory for this action.", func(a *asker) reply {
		return a.raw(http.MethodPost, func(v url.Values) { v.Del(name) })
	}, ""}
}

// documented is every code of the cloud's pages and metadata, those of the gateway first.
var documented = []inDocumentation{
	{"InvalidAction.NotFound", 404, "Specified api is not found, please check your url and method.", func(a *asker) reply { return a.ask("OpenSesame") }, ""},
	{"InvalidApi.NotFound", 0, "", nil, otherOfTwo},
	{"InvalidVersion", 400, "Specified parameter Version is not valid.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("Version", "2014-05-26") })
	}, ""},
	{"UnsupportedOperation", 400, "This action is not supported.", func(a *asker) reply { return a.ask("CreateSecret") }, ""},
	{"UnsupportedHTTPMethod", 403, "This http method is not supported.", func(a *asker) reply { return a.raw(http.MethodPut, func(url.Values) {}) }, ""},
	missing("Action"), missing("Version"), missing("AccessKeyId"), missing("Signature"), missing("SignatureMethod"),
	missing("SignatureVersion"), missing("Timestamp"),
	{"MissingSignatureNonce", 400, "SignatureNonce is mandatory for this action.", func(a *asker) reply {
		h := a.headersACS3(http.MethodPost, a.Tenant, "DescribeRegions", url.Values{"Format": {a.format}}, "", nil)
		h.Del("X-Acs-Signature-Nonce")
		return a.send(a.t, http.MethodPost, "/?Format="+a.format, h, "")
	}, ""},
	{"IllegalTimestamp", 0, "", nil, otherOfTwo},
	{"InvalidTimeStamp.Format", 400, "Specified time stamp or date value is not well formatted.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("Timestamp", "today") })
	}, ""},
	{"InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("Timestamp", "2025-01-02T03:04:05Z") })
	}, ""},
	{"SignatureNonceUsed", 400, "Specified signature nonce was used already.", func(a *asker) reply {
		once := func(v url.Values) { v.Set("SignatureNonce", "once "+a.format) }
		a.with(once)
		return a.with(once)
	}, ""},
	{"InvalidAccessKeyId.NotFound", 404, "The Access Key ID provided does not exist in our records.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("AccessKeyId", "LTAInobody") })
	}, ""},
	{"Forbidden.AccessKey", 403, "This AccessKey is not enabled.", func(a *asker) reply {
		who := a.member(a.t, "disabled "+a.format, identity.User)
		rows, err := a.Credentials(context.Background(), a.System("test"), a.Tenant.ID)
		for _, row := range rows {
			if row.Name == who.AccessKey {
				err = errors.Join(err, a.SetCredentialDisabled(context.Background(), a.System("test"), row.ID, true))
			}
		}
		if err != nil {
			a.t.Fatal(err)
		}
		return a.callAs(a.t, who, "DescribeRegions", "Format="+a.format)
	}, ""},
	{"InvalidAccessKeyId.Inactive", 0, "", nil, otherOfTwo},
	{"SignatureDoesNotMatch", 400, "Specified signature is not matched with our calculation. server string to sign is:POST&%2F&AccessKeyId%3D", func(a *asker) reply {
		return a.raw(http.MethodPost, func(v url.Values) { v.Set("More", "x") })
	}, ""},
	{"IncompleteSignature", 400, "The request signature does not conform to Aliyun standards. server string to sign is:POST&%2F&AccessKeyId%3D", func(a *asker) reply {
		return a.raw(http.MethodPost, func(v url.Values) { v.Set("Signature", "AAAA") })
	}, ""},
	{"InvalidSignatureMethod", 400, "Specified signature method is not valid.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("SignatureMethod", "HMAC-MD5") })
	}, ""},
	{"MissingSecurityToken", 400, "SecurityToken is mandatory for this action.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("AccessKeyId", identity.SessionPrefix+"x") })
	}, ""},
	{"InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("SecurityToken", "x") })
	}, ""},
	{"InvalidSecurityToken.Expired", 400, "Specified SecurityToken is expired.", func(a *asker) reply {
		a.member(a.t, "late"+a.format, identity.User)
		h := a.held(a.t, a.assume(a.t, a.Tenant, "late"+a.format))
		a.Clock.Add(2 * time.Hour)
		return a.callAs(a.t, h.Tenant, "DescribeRegions", "SecurityToken="+h.token, "Format="+a.format)
	}, ""},
	{"InvalidSecurityToken.MismatchWithAccessKey", 400, "Specified SecurityToken mismatch with the AccessKey.", func(a *asker) reply {
		a.member(a.t, "app"+a.format, identity.User)
		h := a.held(a.t, a.assume(a.t, a.Tenant, "app"+a.format))
		return a.with(func(v url.Values) { v.Set("SecurityToken", h.token) })
	}, ""},
	{"InvalidProtocol.NeedSsl", 0, "", nil, "where plain HTTP is not wanted, nobody listens for it"},
	{"InvalidParameter.Format", 400, "Specified parameter Format is not valid.", func(a *asker) reply {
		if a.format == "XML" { // who asks for a third format is answered in JSON
			return reply{}
		}
		return a.with(func(v url.Values) { v.Set("Format", "YAML") })
	}, ""},

	{"InvalidParameter", 400, "The specified parameter is not valid.", func(a *asker) reply { return a.ask("ListKeys", "PageNumber=0") }, ""},
	{"InvalidParameter", 400, "The specified parameter is invalid.", func(a *asker) reply { return a.ask("Encrypt", "KeyId=é", "Plaintext=x") }, ""},
	{"InvalidParameter", 400, "The specified parameter RotationInterval is not valid.", func(a *asker) reply {
		return a.ask("UpdateRotationPolicy", "KeyId="+a.stage.key[useSymmetric], "EnableAutomaticRotation=true", "RotationInterval=1d")
	}, ""},
	{"InvalidParameter.TagKey", 400, "The specified parameter is not valid.", func(a *asker) reply {
		return a.ask("TagResources", "RegionId="+testRegion, "ResourceType=key", "ResourceId.1=x", "Tag.1.Key=acs:x")
	}, ""},
	{"InvalidParameter.TagValue", 400, "The specified parameter is not valid.", func(a *asker) reply {
		return a.ask("TagResources", "RegionId="+testRegion, "ResourceType=key", "ResourceId.1=x", "Tag.1.Key=a", "Tag.1.Value=é")
	}, ""},
	{"MissingParameter", 400, `The parameter "KeyId" is needed but not provided.`, func(a *asker) reply { return a.ask("DescribeKey") }, ""},
	{"ParseRequestParameterException", 400, "Server parse parameters exception. Please check your input params.", func(a *asker) reply {
		return a.send(a.t, http.MethodPost, "/?Action=ListKeys&Format="+a.format+"&x=%zz", nil, "")
	}, ""},
	{"Rejected.UnsupportedOperation", 400, "Unsupported operation.", func(a *asker) reply {
		return a.ask("CreateKeyVersion", "KeyId="+a.stage.key[useSymmetric])
	}, ""},
	{"Rejected.LimitExceeded", 400, "The request was rejected because user create resource limit was exceeded.", func(a *asker) reply {
		for range 50 {
			a.newKey(a.t, "KeySpec=EC_P256")
		}
		a.Clock.Add(8 * keys.Day)
		return a.ask("CreateKeyVersion", "KeyId="+a.stage.key[useSign])
	}, ""},
	{"Rejected.ShareQuotaExceedLimit", 0, "", nil, "vaults have no quotas that they share"},
	{"AliasAlreadyExists", 400, "AliasName Already Exists.", func(a *asker) reply {
		params := []string{"KeyId=" + a.stage.key[useSymmetric], "AliasName=alias/taken"}
		a.ask("CreateAlias", params...)
		return a.ask("CreateAlias", params...)
	}, ""},
	{"InvalidKeyMaterial", 400, "key material is invalid.", func(a *asker) reply {
		_, token := a.wrapped(a.t, a.stage.key[useImport])
		return a.ask("ImportKeyMaterial", "KeyId="+a.stage.key[useImport], "EncryptedKeyMaterial=aGk=", "ImportToken="+token)
	}, ""},
	{"InvalidImportToken", 400, "import token is invalid.", func(a *asker) reply {
		return a.ask("ImportKeyMaterial", "KeyId="+a.stage.key[useImport], "EncryptedKeyMaterial=aGk=", "ImportToken=aGk=")
	}, ""},
	{"ExpiredImportToken", 400, "import token is expired.", func(a *asker) reply {
		material, token := a.wrapped(a.t, a.stage.key[useImport])
		a.Clock.Add(24 * time.Hour)
		return a.ask("ImportKeyMaterial", "KeyId="+a.stage.key[useImport], "EncryptedKeyMaterial="+material, "ImportToken="+token)
	}, ""},
	{"Unsupported.Origin", 400, "This key origin is not valid for this api.", func(a *asker) reply {
		return a.ask("DeleteKeyMaterial", "KeyId="+a.stage.key[useSymmetric])
	}, ""},
	{"Unsupported.Alias", 400, "Alias is not valid for this api.", func(a *asker) reply { return a.ask("EnableKey", "KeyId=alias/a") }, ""},
	{"Unsupported.ProtectionLevel", 400, "This protection level is not valid for this region", func(a *asker) reply {
		c := newCloud(a.t, kmstest.With(func(cfg *kms.Config) { cfg.HSM = kms.RefuseHSM }))
		return c.call(a.t, "CreateKey", "ProtectionLevel=HSM", "Format="+a.format)
	}, ""},
	{"Forbidden.KeyPolicyUnSupported", 400, "The specified key does not support key policy.", func(a *asker) reply {
		return a.ask("GetKeyPolicy", "KeyId="+a.stage.key[useSymmetric])
	}, ""},
	{"Duplicate.TagKey", 400, "The specified tagKey is duplicate.", func(a *asker) reply {
		return a.ask("ListTagResources", "RegionId="+testRegion, "ResourceType=key", "Tag.1.Key=a", "Tag.2.Key=a")
	}, ""},
	{"Rejected.InvalidRequest", 0, "", nil, noSecrets},
	{"CreateLXOrderFailed", 0, "", nil, noBilling},
	{"Forbidden.NoRealNameAuthentication", 0, "", nil, noBilling},
	{"Forbidden.Opened", 400, "Your kms service has been opened.", func(a *asker) reply { return a.ask("OpenKmsService") }, ""},
	{"Throttling", 400, "Request was denied due to request throttling.", func(a *asker) reply {
		c := newCloud(a.t, func(cfg *Config) { cfg.Guard = dialect.NewGuard(dialect.GuardConfig{Failures: 0.1, Now: cfg.Now}) })
		stranger := c.Tenant
		stranger.Secret = "wrong"
		c.callAs(a.t, stranger, "ListKeys")
		return c.callAs(a.t, stranger, "ListKeys", "Format="+a.format)
	}, ""},
	{"Throttling.User", 0, "", nil, otherOfTwo},
	{"Throttling.Api", 0, "", nil, otherOfTwo},
	{"Forbidden.NoPermission", 403, "This operation is forbidden by permission system.", func(a *asker) reply {
		return a.callAs(a.t, a.member(a.t, "reader "+a.format, identity.Auditor), "CreateKey", "Format="+a.format)
	}, ""},
	{"Forbidden.UbsmsInvalidUserid", 0, "", nil, noBilling},
	{"Forbidden.UbsmsInvalidBid", 0, "", nil, noBilling},
	{"Forbidden.KmsServiceNotEnabled", 0, "", nil, noBilling},
	{"Forbidden.ProhibitedByRiskControl", 0, "", nil, noBilling},
	{"Forbidden.InDebtOverdue", 0, "", nil, noBilling},
	{"Forbidden.InDebt", 0, "", nil, noBilling},
	{"Forbidden.DKMSInstanceNotFound", 403, "The specified DKMS Instance is not found.", func(a *asker) reply { return a.ask("CreateKey", "DKMSInstanceId=kst-none") }, ""},
	{"Forbidden.DKMSInstanceStateInvalid", 403, "The DKMS instance state is invalid.", func(a *asker) reply {
		vault := a.newVault(a.t, "going "+a.format)
		call := a.Call(a.t, a.Tenant)
		defer call.End()
		if _, err := a.ScheduleVaultDeletion(context.Background(), call, kms.VaultRef{ID: vault}, a.Now().Add(10*keys.Day)); err != nil {
			a.t.Fatal(err)
		}
		return a.ask("CreateKey", "DKMSInstanceId="+InstanceName(vault))
	}, ""},
	{"Forbidden.KeyNotFound", 404, "The specified Key is not found.", func(a *asker) reply { return a.ask("DescribeKey", "KeyId=none") }, ""},
	{"Forbidden.KeyVersionNotFound", 404, "The specified Key version is not found.", func(a *asker) reply {
		return a.ask("DescribeKeyVersion", "KeyId="+a.stage.key[useSymmetric], "KeyVersionId=none")
	}, ""},
	{"Forbidden.AliasNotFound", 404, "The specified Alias is not found.", func(a *asker) reply { return a.ask("DescribeKey", "KeyId=alias/none") }, ""},
	{"Forbidden.ResourceNotFound", 404, "Policy not found.", func(a *asker) reply {
		return a.ask("GetKeyPolicy", "KeyId="+a.stage.key[useInstance], "PolicyName=mine")
	}, ""},
	{"InvalidResourceId.NotFound", 404, "The specified ResourceId is not found.", func(a *asker) reply {
		return a.ask("ListTagResources", "RegionId="+testRegion, "ResourceType=key", "ResourceId.1=none")
	}, ""},
	{"Certificate.NotFound", 0, "", nil, noCertifying},
	{"Rejected.Disabled", 409, "The request was rejected because the key state is Disabled.", func(a *asker) reply {
		return a.in(keys.Disabled, "Encrypt", "Plaintext=aGk=")
	}, ""},
	{"Rejected.PendingDeletion", 409, "The request was rejected because the key state is PendingDeletion.", func(a *asker) reply {
		return a.in(keys.PendingDeletion, "GenerateDataKey")
	}, ""},
	{"Rejected.PendingImport", 409, "The request was rejected because the key state is PendingImport.", func(a *asker) reply {
		return a.in(keys.PendingImport, "Encrypt", "Plaintext=aGk=")
	}, ""},
	{"Rejected.Unavailable", 0, "", nil, "no key is in a state of that name"},
	{"Rejected.Enabled", 0, "", nil, "neither its text nor what it answers is documented"},
	{"Rejected.StateModifiedFailed", 409, "Keystate modified failed.", func(a *asker) reply { return a.in(keys.Enabled, "CancelKeyDeletion") }, ""},
	{"Rejected.ResourceExist", 0, "", nil, noSecrets},
	{"Rejected.ResourceInDeleteWindow", 0, "", nil, noSecrets},
	{"Rejected.ResourceInUse", 0, "", nil, noSecrets},
	{"Rejected.Throttling", 429, "QPS Limit Exceeded", func(a *asker) reply {
		c := newCloud(a.t, limited(map[string]float64{classCrypto: 1}))
		c.call(a.t, "GenerateDataKey", "KeyId=none")
		return c.call(a.t, "GenerateDataKey", "KeyId=none", "Format="+a.format)
	}, ""},
	{"InternalFailure", 500, "Internal Failure.", func(a *asker) reply {
		key := a.newKey(a.t)
		a.spoil(a.t, a.oneVersion(a.t, key))
		return a.ask("Encrypt", "KeyId="+key, "Plaintext=aGk=")
	}, ""},
	{"ServiceUnavailableTemporary", 503, "Service Unavailable Temporary", func(a *asker) reply {
		c := newCloud(a.t, kmstest.With(func(cfg *kms.Config) { cfg.Audit = fullLog{cfg.Audit} }))
		return c.call(a.t, "ListKeys", "Format="+a.format)
	}, ""},
	{"DryRunOperationError", 400, "The request would have succeeded, but the DryRun parameter is set.", func(a *asker) reply {
		return a.in(keys.Enabled, "Encrypt", "Plaintext=aGk=", "DryRun=true")
	}, ""},
	{"ValidationError", 400, "The request would have failed, and the DryRun parameter is set.", func(a *asker) reply {
		return a.in(keys.Disabled, "Encrypt", "Plaintext=aGk=", "DryRun=true")
	}, ""},
	{"AccessDeniedError", 403, "The request would have been denied, and the DryRun parameter is set.", func(a *asker) reply {
		return a.callAs(a.t, a.member(a.t, "dry "+a.format, identity.Auditor), "Encrypt", "KeyId="+a.stage.key[useSymmetric], "Plaintext=aGk=", "DryRun=true", "Format="+a.format)
	}, ""},
	{"InvalidProduct.NotFound", 0, "", nil, "there is one product at each endpoint"},
	{"ServiceUnavailable", 0, "", nil, otherOfTwo},
	{"InternalError", 0, "", nil, otherOfTwo},

	// Which no page has.
	{"Rejected.DeletionProtection", 409, "The key is protected from deletion.", func(a *asker) reply {
		key := a.newKey(a.t)
		a.must(a.t, "SetDeletionProtection", "KeyId="+key, "EnableDeletionProtection=true")
		return a.ask("ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	}, ""},
	{"InvalidSignatureVersion", 400, "Specified signature version is not valid.", func(a *asker) reply {
		return a.with(func(v url.Values) { v.Set("SignatureVersion", "2.0") })
	}, ""},
	{"RequestEntityTooLarge", 413, "The request is too large.", func(a *asker) reply {
		form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		return a.send(a.t, http.MethodPost, "/?Format="+a.format, form, "x="+strings.Repeat("x", maxRequest))
	}, ""},
}

// spoil damages the sealed material of a version in the store.
func (c *cloud) spoil(t testing.TB, version string) {
	t.Helper()
	_, err := c.Store.Update(context.Background(), func(tx store.Tx) error {
		v, err := store.LoadVersion(tx, mustID(t, version))
		if err == nil {
			v.Sealed[len(v.Sealed)-1] ^= 1
			err = tx.Put(v)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fullLog is an audit log that takes no more.
type fullLog struct{ audit.Recorder }

func (fullLog) Append(audit.Event) error { return errors.New("no space left on device") }

// TestDocumentedCodes provokes every code of the cloud's that can occur here, in both formats, and
// holds status, message and body to what is documented.
func TestDocumentedCodes(t *testing.T) {
	t.Parallel()
	seen := map[code]bool{}
	for _, d := range documented {
		seen[code(d.code)] = true
		if (d.provoke == nil) == (d.never == "") {
			t.Errorf("%s is neither provoked nor explained, or both", d.code)
		}
		if a, ok := answers[code(d.code)]; ok && d.never != "" && !slices.Contains([]string{"Rejected.Unavailable", "Rejected.ResourceExist"}, d.code) {
			t.Errorf("%s is answered as %+v, and said never to be: %s", d.code, a, d.never)
		}
	}
	for c := range answers {
		if !seen[c] && !ofSTS(c) {
			t.Errorf("%s can be answered, and is not in the list", c)
		}
	}
	for _, format := range []string{"JSON", "XML"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			a := &asker{c, t, format, newStage(t, c)}
			for _, d := range documented {
				if d.provoke == nil {
					continue
				}
				if r := d.provoke(a); r.status != 0 {
					a.check(t, &d, r)
				}
			}
		})
	}
}

// ofSTS tells the codes of the service for session tokens, which has tests of its own.
func ofSTS(c code) bool {
	return slices.Contains([]code{
		codeRole, codeRoleDenied, codeRoleARN, codeSessionName, codeDuration, codeSessionPolicy, codeExternalID, codeSourceIdentity,
		missingCommon("RoleArn"), missingCommon("RoleSessionName"),
	}, c)
}

// check holds a refusal against its row: every member that a page or client knows, in either form.
func (a *asker) check(t *testing.T, d *inDocumentation, r reply) {
	t.Helper()
	var nodes []node
	switch a.format {
	case "XML":
		root, in := fromXML(t, r.body)
		if nodes = in; root != "Error" || r.header.Get("Content-Type") != "text/xml;charset=utf-8" || !strings.HasPrefix(r.body, xmlDeclaration) {
			t.Errorf("%s: %s %s", d.code, r.header.Get("Content-Type"), r)
		}
	default:
		if nodes = fromJSON(t, r.body); r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %s", d.code, r.header.Get("Content-Type"), r)
		}
	}
	got := map[string]string{}
	for _, n := range nodes {
		got[n.Name] = n.Text
	}
	exact := got["Message"] == d.message
	if strings.Contains(d.message, " server string to sign is:") {
		exact = strings.HasPrefix(got["Message"], d.message)
	}
	if len(nodes) != 6 || r.status != d.status || got["HttpStatus"] != fmt.Sprint(d.status) || got["Code"] != d.code || !exact ||
		len(got["RequestId"]) != 36 || got["RequestId"] != r.header.Get("X-Acs-Request-Id") || !strings.HasPrefix(got["HostId"], "127.0.0.1:") ||
		got["Recommend"] != "https://api.aliyun.com/troubleshoot?q="+d.code+"&product=Kms" {
		t.Errorf("%s %d %q: %s", d.code, d.status, d.message, r)
	}
}
