// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
)

// holder is who holds temporary credentials.
type holder struct {
	kmstest.Tenant        // with their access key and secret
	token          string // their security token
}

// roleARN is a role of the first tenant.
func (c *cloud) roleARN(role string) string {
	return "acs:ram::" + c.Tenant.Names[Name] + ":role/" + role
}

// assume is AssumeRole by an access key of the first tenant.
func (c *cloud) assume(t testing.TB, who kmstest.Tenant, role string, params ...string) reply {
	t.Helper()
	return c.callAs(t, who, "AssumeRole", append([]string{"Version=" + stsVersion, "RoleArn=" + c.roleARN(role), "RoleSessionName=ci-17"}, params...)...)
}

func (c *cloud) held(t testing.TB, r reply) holder {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("AssumeRole: %s\n%s", r, r.header.Get(dialect.HintHeader))
	}
	h := holder{Tenant: c.Tenant, token: r.at("Credentials.SecurityToken")}
	h.AccessKey, h.Secret = r.at("Credentials.AccessKeyId"), r.at("Credentials.AccessKeySecret")
	return h
}

// by is an operation by temporary credentials, signed by version 1 and by ACS3.
func (c *cloud) by(t testing.TB, h holder, action string, params ...string) [2]reply {
	t.Helper()
	values := url.Values{}
	set(values, params)
	version := apiVersion
	if v := values.Get("Version"); v != "" {
		version = v
	}
	values.Del("Version")
	return [2]reply{
		c.callAs(t, h.Tenant, action, append(params, "SecurityToken="+h.token)...),
		c.sendACS3(t, http.MethodPost, h.Tenant, action, values, "", func(header http.Header) {
			header.Set("X-Acs-Version", version)
			header.Set("X-Acs-Security-Token", h.token)
			header.Set("X-Acs-Accesskey-Id", h.AccessKey)
		}),
	}
}

// wantBy reports an answer by either signature that is not code.
func (c *cloud) wantBy(t testing.TB, what string, h holder, code, action string, params ...string) {
	t.Helper()
	for i, r := range c.by(t, h, action, params...) {
		if r.code() != code {
			t.Errorf("%s, signature %d: %s (%s), want %s", what, i, r, r.header.Get(dialect.HintHeader), code)
		}
	}
}

// member is a principal of the first tenant with an access key.
func (c *cloud) member(t testing.TB, name string, role identity.Role) kmstest.Tenant {
	t.Helper()
	p, err := c.CreatePrincipal(t.Context(), c.System("test"), kms.NewPrincipal{Tenant: c.Tenant.ID, Name: name, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	out := c.Tenant
	out.Principal, out.AccessKey, out.Secret = p.ID, "LTAI"+strings.ReplaceAll(name, " ", ""), "secret of "+name
	if _, err := c.AddAccessKey(t.Context(), c.System("test"), p.ID, out.AccessKey, secret.New([]byte(out.Secret))); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnAssumedRole(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	app := c.member(t, "app", identity.User)
	r := c.assume(t, c.Tenant, "app", "DurationSeconds=900")
	h := c.held(t, r)
	account := c.Tenant.Names[Name]
	for path, want := range map[string]string{
		"AssumedRoleUser.Arn":           "acs:ram::" + account + ":role/app/ci-17",
		"AssumedRoleUser.AssumedRoleId": ramID(app.Principal) + ":ci-17",
		"Credentials.Expiration":        c.Clock.Now().Add(900 * time.Second).Format(timeLayout),
		"RequestId":                     r.header.Get("X-Acs-Request-Id"),
	} {
		if got := r.at(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if !strings.HasPrefix(h.AccessKey, "STS.") || len(h.Secret) < 30 || strings.ContainsAny(h.AccessKey+h.Secret, "+/= ") {
		t.Errorf("the credentials are %+v", h)
	}
	c.wantBy(t, "what the role may", h, "200", "Encrypt", "KeyId="+key, "Plaintext=aGk=")
	c.wantBy(t, "what it may not", h, "403 Forbidden.NoPermission", "CreateKey")

	for i, who := range c.by(t, h, "GetCallerIdentity", "Version="+stsVersion) {
		if who.at("Arn") != "acs:ram::"+account+":assumed-role/app/ci-17" || who.at("IdentityType") != "AssumedRoleUser" ||
			who.at("RoleId") != ramID(app.Principal) || who.at("PrincipalId") != ramID(app.Principal)+":ci-17" ||
			who.at("AccountId") != account || who.has("UserId") {
			t.Errorf("signature %d: the session is %s", i, who)
		}
	}
	who := c.callAs(t, app, "GetCallerIdentity", "Version="+stsVersion)
	if who.at("Arn") != "acs:ram::"+account+":user/app" || who.at("IdentityType") != "RAMUser" || who.at("UserId") != ramID(app.Principal) ||
		who.at("PrincipalId") != ramID(app.Principal) || who.has("RoleId") {
		t.Errorf("the user is %s", who)
	}
	named := 0
	for _, ev := range c.Audit.Events() {
		if ev.Operation == "Encrypt" && ev.SessionName == "ci-17" && ev.Principal == app.Principal && !ev.Session.IsZero() {
			named++
		}
	}
	if named != 2 {
		t.Errorf("%d of 2 calls are recorded with their session's name", named)
	}
}

// TestAnAssumedRoleInXML reads the same out of XML.
func TestAnAssumedRoleInXML(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.member(t, "app", identity.User)
	r := c.assume(t, c.Tenant, "app", "Format=XML")
	var got struct {
		XMLName         xml.Name `xml:"AssumeRoleResponse"`
		RequestID       string   `xml:"RequestId"`
		AssumedRoleUser struct{ AssumedRoleId, Arn string }
		Credentials     struct{ AccessKeyId, AccessKeySecret, SecurityToken, Expiration string }
	}
	if err := xml.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	h := holder{Tenant: c.Tenant, token: got.Credentials.SecurityToken}
	h.AccessKey, h.Secret = got.Credentials.AccessKeyId, got.Credentials.AccessKeySecret
	c.wantBy(t, "with what XML told", h, "200", "GetCallerIdentity", "Version="+stsVersion)
	if got.RequestID == "" || !strings.HasSuffix(got.AssumedRoleUser.Arn, ":role/app/ci-17") || got.Credentials.Expiration == "" {
		t.Errorf("read is %+v", got)
	}
}

// TestSecurityTokens tries every way in which token, key and time do not belong together.
func TestSecurityTokens(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.member(t, "app", identity.User)
	h, other := c.held(t, c.assume(t, c.Tenant, "app")), c.held(t, c.assume(t, c.Tenant, "app"))
	lasting := holder{Tenant: c.Tenant, token: h.token}
	broken, wrong, exchanged, nonsense := h, h, h, lasting
	broken.token = h.token[:20] + "AAAA" + h.token[24:]
	wrong.Secret += "x"
	exchanged.token = other.token
	nonsense.token = "nonsense"
	for what, tt := range map[string]struct {
		holder
		code, message string
	}{
		"good":                      {h, "200", ""},
		"changed":                   {broken, "400 InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."},
		"nonsense":                  {nonsense, "400 InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."},
		"of another session":        {exchanged, "400 InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."},
		"with a lasting access key": {lasting, "400 InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."},
		"with a wrong secret":       {wrong, "400 SignatureDoesNotMatch", ""},
	} {
		for i, r := range c.by(t, tt.holder, "ListKeys") {
			if r.code() != tt.code || (tt.message != "" && r.at("Message") != tt.message) {
				t.Errorf("%s, signature %d: %s", what, i, r)
			}
		}
	}
	without := []reply{c.callAs(t, h.Tenant, "ListKeys"), c.callACS3(t, h.Tenant, "ListKeys"), c.callAs(t, h.Tenant, "ListKeys", "SecurityToken=")}
	for i, r := range without {
		if r.code() != "400 MissingSecurityToken" || r.at("Message") != "SecurityToken is mandatory for this action." {
			t.Errorf("without a token, %d: %s", i, r)
		}
	}
	if r := c.callAs(t, c.Tenant, "ListKeys", "SecurityToken="); r.code() != "200" {
		t.Errorf("a lasting key with an empty token: %s", r)
	}
	unsigned := c.headersACS3(http.MethodPost, h.Tenant, "ListKeys", url.Values{}, "", nil)
	unsigned.Set("X-Acs-Security-Token", h.token)
	if r := c.send(t, http.MethodPost, "/?", unsigned, ""); r.code() != "400 IncompleteSignature" {
		t.Errorf("a token that is not signed: %s", r)
	}
	twice := c.headersACS3(http.MethodPost, h.Tenant, "ListKeys", url.Values{}, "", func(header http.Header) {
		header["X-Acs-Security-Token"] = []string{h.token}
	})
	twice["X-Acs-Security-Token"] = []string{h.token, other.token}
	if r := c.send(t, http.MethodPost, "/?", twice, ""); r.code() != "400 IncompleteSignature" {
		t.Errorf("two tokens: %s", r)
	}

	c.Clock.Add(time.Hour - time.Second)
	c.wantBy(t, "a second before it ends", h, "200", "ListKeys")
	c.Clock.Add(time.Second)
	for i, r := range c.by(t, h, "ListKeys") {
		if r.code() != "400 InvalidSecurityToken.Expired" || r.at("Message") != "Specified SecurityToken is expired." {
			t.Errorf("when it ends, signature %d: %s", i, r)
		}
	}
}

// TestARevocationReachesSessions ends a session in each way.
func TestARevocationReachesSessions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for what, revoke := range map[string]func(ci, app kmstest.Tenant) error{
		"its sessions are ended": func(ci, _ kmstest.Tenant) error { return c.EndSessions(t.Context(), c.System("test"), ci.Principal) },
		"its principal is deleted": func(ci, _ kmstest.Tenant) error {
			return c.DeletePrincipal(t.Context(), c.System("test"), ci.Principal)
		},
		"the role is deleted": func(_, app kmstest.Tenant) error {
			return c.DeletePrincipal(t.Context(), c.System("test"), app.Principal)
		},
		"the role is closed to it": func(ci, app kmstest.Tenant) error {
			return c.SetAssumable(t.Context(), c.System("test"), app.Principal, ci.Principal, false)
		},
	} {
		ci, app := c.member(t, "ci when "+what, ""), c.member(t, "app when "+what, identity.User)
		if err := c.SetAssumable(t.Context(), c.System("test"), app.Principal, ci.Principal, true); err != nil {
			t.Fatal(err)
		}
		h := c.held(t, c.assume(t, ci, app.Principal.String()))
		c.wantBy(t, "before "+what, h, "200", "ListKeys")
		if err := revoke(ci, app); err != nil {
			t.Fatal(err)
		}
		c.wantBy(t, "when "+what, h, "400 InvalidSecurityToken.Expired", "ListKeys")
	}
}

func TestRolesThatAreNotAssumed(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	app := c.member(t, "app", identity.User)
	rival := "RoleArn=acs:ram::" + c.Other.Names[Name] + ":role/rival-admin"
	for what, tt := range map[string]struct {
		who     kmstest.Tenant
		role    string
		params  []string
		code    string
		message string
	}{
		"another's account":           {c.Tenant, "app", []string{rival}, "403 NoPermission", "You are not authorized to do this action. You should be authorized by RAM."},
		"nobody, by an administrator": {c.Tenant, "nobody", nil, "404 EntityNotExist.Role", "The specified Role not exists ."},
		"nobody, by a user":           {app, "nobody", nil, "403 NoPermission", ""},
		"an administrator, by a user": {app, "acme-admin", nil, "403 NoPermission", ""},
		"himself":                     {app, "app", nil, "200", ""},
		"no role":                     {c.Tenant, "app", []string{"RoleArn="}, "400 MissingRoleArn", "RoleArn is mandatory for this action."},
		"a user's ARN":                {c.Tenant, "app", []string{"RoleArn=acs:ram::" + c.Tenant.Names[Name] + ":user/app"}, "400 InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed."},
		"an ARN without a name":       {c.Tenant, "", nil, "400 InvalidParameter.RoleArn", ""},
		"an ARN with a path":          {c.Tenant, "a/b", nil, "400 InvalidParameter.RoleArn", ""},
		"an ARN without an account":   {c.Tenant, "app", []string{"RoleArn=acs:ram:::role/app"}, "400 InvalidParameter.RoleArn", ""},
		"no session name":             {c.Tenant, "app", []string{"RoleSessionName="}, "400 MissingRoleSessionName", ""},
		"a bad session name":          {c.Tenant, "app", []string{"RoleSessionName=a b"}, "400 InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed."},
		"a short session name":        {c.Tenant, "app", []string{"RoleSessionName=a"}, "400 InvalidParameter.RoleSessionName", ""},
		"too brief":                   {c.Tenant, "app", []string{"DurationSeconds=899"}, "400 InvalidParameter.DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr."},
		"too long":                    {c.Tenant, "app", []string{"DurationSeconds=3601"}, "400 InvalidParameter.DurationSeconds", ""},
		"no number":                   {c.Tenant, "app", []string{"DurationSeconds=1h"}, "400 InvalidParameter.DurationSeconds", ""},
		"a policy":                    {c.Tenant, "app", []string{`Policy={"Version":"1","Statement":[]}`}, "400 InvalidParameter.PolicyGrammar", ""},
		"an empty policy":             {c.Tenant, "app", []string{"Policy="}, "200", ""},
		"an external id":              {c.Tenant, "app", []string{"ExternalId=abcd1234"}, "400 InvalidParameter.ExternalId", ""},
		"a source identity":           {c.Tenant, "app", []string{"SourceIdentity=Alice"}, "400 InvalidParameter.SourceIdentity", ""},
		"the version of KMS":          {c.Tenant, "app", []string{"Version=" + apiVersion}, "404 InvalidAction.NotFound", ""},
		"no version of anything":      {c.Tenant, "app", []string{"Version=2015-04-02"}, "400 InvalidVersion", ""},
	} {
		r := c.assume(t, tt.who, tt.role, tt.params...)
		if r.code() != tt.code || (tt.message != "" && r.at("Message") != tt.message) {
			t.Errorf("%s: %s (%s), want %s %s", what, r, r.header.Get(dialect.HintHeader), tt.code, tt.message)
		}
		if !strings.HasPrefix(tt.code, "200") && tt.code != "400 InvalidVersion" && !strings.HasSuffix(r.at("Recommend"), "product=Sts") && tt.code != "404 InvalidAction.NotFound" {
			t.Errorf("%s recommends %s", what, r.at("Recommend"))
		}
	}
	if r := c.call(t, "Encrypt", "Version="+stsVersion); r.code() != "404 InvalidAction.NotFound" {
		t.Errorf("an operation of KMS in the version of STS: %s", r)
	}
	h := c.held(t, c.assume(t, c.Tenant, "acme-admin", "DurationSeconds=900"))
	params := []string{"Version=" + stsVersion, "RoleArn=" + c.roleARN("app"), "RoleSessionName=second"}
	c.wantBy(t, "by a session, as long as it", h, "200", "AssumeRole", append(params, "DurationSeconds=900")...)
	c.wantBy(t, "by a session, longer than it", h, "400 InvalidParameter.DurationSeconds", "AssumeRole", params...)
}

func TestRoleNames(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"acs:ram::1234:role/admin": "1234 admin", "acs:ram::1234:role/A.b-c_9": "1234 A.b-c_9", "acs:ram::12a4:role/admin": "",
		"acs:ram::1234:role/": "", "acs:ram::1234:role": "", "acs:ram:cn-hangzhou:1234:role/admin": "", "acs:sts::1234:role/admin": "",
		"acs:ram::1234:role/" + strings.Repeat("a", 65): "", "": "",
	} {
		got := ""
		if account, role, ok := parseRoleARN(s); ok {
			got = account + " " + role
		}
		if got != want {
			t.Errorf("%q is read as %q, want %q", s, got, want)
		}
	}
	p := &identity.Principal{ID: keys.ID{1}, Name: "the ops team"}
	if roleName(p) != p.ID.String() {
		t.Errorf("a name that no ARN can hold is shown as %s", roleName(p))
	}
	for _, id := range []keys.ID{{}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		if got := ramID(id); len(got) != 18 {
			t.Errorf("%s is shown as %s", id, got)
		}
	}
}

func FuzzParseRoleARN(f *testing.F) {
	f.Add("acs:ram::1234567890123456:role/admin")
	f.Add("acs:ram::1:role/a:role/b")
	f.Fuzz(func(t *testing.T, s string) {
		account, role, ok := parseRoleARN(s)
		if ok && roleARNPrefix+account+":role/"+role != s {
			t.Errorf("%q is read as %q and %q", s, account, role)
		}
	})
}
