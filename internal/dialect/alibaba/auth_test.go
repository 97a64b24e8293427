// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
)

// TestWays sends one operation in every way that a client does.
func TestWays(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	params := []string{"KeyId=" + key, "Plaintext=a+b *~'()!/é\n漢", `EncryptionContext={"k":"v"}`, "Empty="}
	v1 := func(method string, form func(url.Values) []string) reply {
		values := c.common(c.Tenant, "Encrypt")
		set(values, params)
		values.Set("Signature", "")
		names := form(values)
		values.Del("Signature")
		return c.sendV1(t, method, c.Tenant.Secret, values, names)
	}
	all := func(v url.Values) []string {
		var names []string
		for name := range v {
			names = append(names, name)
		}
		return names
	}
	values := url.Values{}
	set(values, params)
	for name, r := range map[string]reply{
		"GET":                      v1(http.MethodGet, func(url.Values) []string { return nil }),
		"POST, query":              v1(http.MethodPost, func(url.Values) []string { return nil }),
		"POST, form":               v1(http.MethodPost, all),
		"POST, parameters in form": v1(http.MethodPost, func(url.Values) []string { return []string{"KeyId", "Plaintext", "EncryptionContext", "Empty"} }),
		"ACS3, query":              c.sendACS3(t, http.MethodPost, c.Tenant, "Encrypt", values, "", nil),
		"ACS3, GET":                c.sendACS3(t, http.MethodGet, c.Tenant, "Encrypt", values, "", nil),
		"ACS3, form":               c.sendACS3(t, http.MethodPost, c.Tenant, "Encrypt", url.Values{}, values.Encode(), nil),
		"ACS3, more headers": c.sendACS3(t, http.MethodPost, c.Tenant, "Encrypt", values, "", func(h http.Header) {
			h.Set("X-Acs-Accesskey-Id", c.Tenant.AccessKey)
			h.Set("X-Acs-Credentials-Provider", "static_ak")
		}),
		"spaces as %20": func() reply {
			values := c.common(c.Tenant, "Encrypt")
			set(values, params)
			values.Set("Signature", signV1(http.MethodGet, c.Tenant.Secret, values))
			return c.send(t, http.MethodGet, "/?"+strings.ReplaceAll(values.Encode(), "+", "%20"), nil, "")
		}(),
		"form with a charset": func() reply {
			values := c.common(c.Tenant, "Encrypt")
			set(values, params)
			values.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, values))
			return c.send(t, http.MethodPost, "", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}}, values.Encode())
		}(),
	} {
		if r.status != http.StatusOK {
			t.Errorf("%s: %s (%s)", name, r, r.header.Get(dialect.HintHeader))
			continue
		}
		if got := r.header.Get(dialect.IgnoredHeader); got != "Empty" {
			t.Errorf("%s: ignored %q", name, got)
		}
		back := c.must(t, "Decrypt", "CiphertextBlob="+r.at("CiphertextBlob"), "EncryptionContext.k=v")
		if got := back.at("Plaintext"); got != "a+b *~'()!/é\n漢" {
			t.Errorf("%s: plaintext is %q", name, got)
		}
	}
}

// TestRefusedBeforeTheService lists what is answered before an operation is reached.
func TestRefusedBeforeTheService(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Clock.Add(time.Hour)
	at := func(d time.Duration) string { return "Timestamp=" + c.Clock.Now().Add(d).UTC().Format(timeLayout) }
	for name, tc := range map[string]struct {
		params []string
		drop   string
		want   string
	}{
		"in order":                {nil, "", "200"},
		"no action":               {nil, "Action", "400 MissingAction"},
		"no version":              {nil, "Version", "400 MissingVersion"},
		"no access key":           {nil, "AccessKeyId", "400 MissingAccessKeyId"},
		"no signature method":     {nil, "SignatureMethod", "400 MissingSignatureMethod"},
		"no signature version":    {nil, "SignatureVersion", "400 MissingSignatureVersion"},
		"no timestamp":            {nil, "Timestamp", "400 MissingTimestamp"},
		"no nonce":                {nil, "SignatureNonce", "200"},
		"no format":               {nil, "Format", "200"},
		"empty action":            {[]string{"Action="}, "", "400 MissingAction"},
		"unknown action":          {[]string{"Action=describeregions"}, "", "404 InvalidAction.NotFound"},
		"operation not supported": {[]string{"Action=CreateSecret"}, "", "400 UnsupportedOperation"},
		"another version":         {[]string{"Version=2014-05-26"}, "", "400 InvalidVersion"},
		"another method":          {[]string{"SignatureMethod=HMAC-SHA256"}, "", "400 InvalidSignatureMethod"},
		"another signature":       {[]string{"SignatureVersion=2.0"}, "", "400 InvalidSignatureVersion"},
		"bearer token":            {[]string{"SignatureType=BEARERTOKEN", "BearerToken=x"}, "", "400 InvalidSignatureMethod"},
		"empty signature type":    {[]string{"SignatureType="}, "", "200"},
		"session token":           {[]string{"SecurityToken=x"}, "", "400 InvalidSecurityToken.Malformed"},
		"empty session token":     {[]string{"SecurityToken="}, "", "200"},
		"format in lower case":    {[]string{"Format=json"}, "", "200"},
		"unknown format":          {[]string{"Format=YAML"}, "", "400 InvalidParameter.Format"},
		"late by 15 minutes":      {[]string{at(-maxSkew)}, "", "200"},
		"later":                   {[]string{at(-maxSkew - time.Second)}, "", "400 InvalidTimeStamp.Expired"},
		"early by 15 minutes":     {[]string{at(maxSkew)}, "", "200"},
		"earlier":                 {[]string{at(maxSkew + time.Second)}, "", "400 InvalidTimeStamp.Expired"},
		"in another age":          {[]string{"Timestamp=0001-01-01T00:00:00Z"}, "", "400 InvalidTimeStamp.Expired"},
		"with an offset":          {[]string{"Timestamp=2026-01-02T03:04:05+00:00"}, "", "400 InvalidTimeStamp.Format"},
		"with a fraction":         {[]string{"Timestamp=2026-01-02T03:04:05.5Z"}, "", "400 InvalidTimeStamp.Format"},
		"not a time":              {[]string{"Timestamp=yesterday"}, "", "400 InvalidTimeStamp.Format"},
		"unknown access key":      {[]string{"AccessKeyId=LTAInobody"}, "", "404 InvalidAccessKeyId.NotFound"},
		"strange access key":      {[]string{"AccessKeyId=é\x00"}, "", "404 InvalidAccessKeyId.NotFound"},
		"another's access key":    {[]string{"AccessKeyId=" + c.Other.AccessKey}, "", "400 SignatureDoesNotMatch"},
		"the wrong region":        {[]string{"RegionId=cn-beijing"}, "", "400 InvalidParameter"},
		"the endpoint's region":   {[]string{"RegionId=" + testRegion}, "", "200"},
		"no region":               {[]string{"RegionId="}, "", "200"},
	} {
		values := c.common(c.Tenant, "DescribeRegions")
		set(values, tc.params)
		if tc.drop != "" {
			values.Del(tc.drop)
		}
		if got := c.sendV1(t, http.MethodPost, c.Tenant.Secret, values, nil); got.code() != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestRefusedByShape(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, tc := range map[string]struct {
		method, target string
		header         http.Header
		body           string
		want           string
	}{
		"nothing":             {http.MethodGet, "/", nil, "", "400 MissingSignature"},
		"another scheme":      {http.MethodGet, "/", http.Header{"Authorization": {"Bearer x"}}, "", "400 MissingSignature"},
		"bearer header":       {http.MethodPost, "/", http.Header{"X-Acs-Bearer-Token": {"x"}}, "", "400 InvalidSignatureMethod"},
		"id token header":     {http.MethodPost, "/", http.Header{"X-Acs-Zero-Trust-Idtoken": {"x"}}, "", "400 InvalidSignatureMethod"},
		"ACS4":                {http.MethodPost, "/", http.Header{"Authorization": {"ACS4-HMAC-SHA256 Credential=x"}}, "", "400 InvalidSignatureMethod"},
		"ACS3 with SM3":       {http.MethodPost, "/", http.Header{"Authorization": {"ACS3-HMAC-SM3 Credential=x"}}, "", "400 InvalidSignatureMethod"},
		"ACS3 with RSA":       {http.MethodPost, "/", http.Header{"Authorization": {"ACS3-RSA-SHA256 Credential=x"}}, "", "400 InvalidSignatureMethod"},
		"ACS3, empty":         {http.MethodPost, "/", http.Header{"Authorization": {"ACS3-HMAC-SHA256"}}, "", "400 IncompleteSignature"},
		"PUT":                 {http.MethodPut, "/", nil, "", "403 UnsupportedHTTPMethod"},
		"DELETE":              {http.MethodDelete, "/?Action=DeleteAlias", nil, "", "403 UnsupportedHTTPMethod"},
		"another path":        {http.MethodGet, "/20180608/keys", nil, "", "404 InvalidAction.NotFound"},
		"broken query":        {http.MethodGet, "/?Action=%zz", nil, "", "400 ParseRequestParameterException"},
		"not UTF-8":           {http.MethodGet, "/?Action=%ff", nil, "", "400 ParseRequestParameterException"},
		"twice":               {http.MethodGet, "/?Action=a&Action=b", nil, "", "400 ParseRequestParameterException"},
		"broken form":         {http.MethodPost, "/", form, "Action=%", "400 ParseRequestParameterException"},
		"form of no type":     {http.MethodPost, "/", nil, "Action=Encrypt", "400 ParseRequestParameterException"},
		"a JSON body":         {http.MethodPost, "/", http.Header{"Content-Type": {"application/json"}}, `{"Action":"Encrypt"}`, "400 ParseRequestParameterException"},
		"a broken type":       {http.MethodPost, "/", http.Header{"Content-Type": {";"}}, "a=b", "400 ParseRequestParameterException"},
		"too many parameters": {http.MethodPost, "/", form, strings.Repeat("a&", 2000), "400 ParseRequestParameterException"},
		"a huge body":         {http.MethodPost, "/", form, "a=" + strings.Repeat("x", maxRequest), "413 RequestEntityTooLarge"},
		"a huge query":        {http.MethodGet, "/?a=" + strings.Repeat("x", maxRequest), nil, "", "413 RequestEntityTooLarge"},
	} {
		r := c.send(t, tc.method, tc.target, tc.header, tc.body)
		if r.code() != tc.want {
			t.Errorf("%s: %s, want %s", name, r, tc.want)
		}
		checkRefusal(t, c, r)
	}
	r := c.send(t, http.MethodPost, "/?Format=XML", form, "a=%")
	if root, _ := fromXML(t, r.body); root != "Error" || r.header.Get("Content-Type") != "text/xml;charset=utf-8" {
		t.Errorf("a broken form with Format=XML: %s %s", r.header.Get("Content-Type"), r)
	}
	r = c.send(t, http.MethodPost, "/?Format=XML&a=%", nil, "")
	if root, _ := fromXML(t, r.body); root != "Error" {
		t.Errorf("a broken query with Format=XML: %s", r)
	}
}

// checkRefusal holds a refusal to the form that every client reads.
func checkRefusal(t testing.TB, c *cloud, r reply) {
	t.Helper()
	if r.status < 400 || r.status >= 500 {
		t.Errorf("status of %s", r)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q of %s", got, r)
	}
	if r.at("HttpStatus") != fmt.Sprint(r.status) || r.at("Code") == "" || r.at("Message") == "" || r.at("HostId") != c.host ||
		r.at("RequestId") == "" || r.at("RequestId") != r.header.Get("X-Acs-Request-Id") || !strings.Contains(r.at("Recommend"), r.at("Code")) {
		t.Errorf("form of %s", r)
	}
	if r.header.Get(dialect.HintHeader) == "" {
		t.Errorf("no hint with %s", r)
	}
}

// TestTamperedV1 changes each parameter of a signed request in turn.
func TestTamperedV1(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	values := c.common(c.Tenant, "Encrypt")
	set(values, []string{"KeyId=" + key, "Plaintext=SGVsbG8=", "RegionId=" + testRegion})
	values.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, values))
	for name := range values {
		if name == "AccessKeyId" || name == "Action" || name == "Version" || name == "Timestamp" || strings.HasPrefix(name, "SignatureM") || strings.HasPrefix(name, "SignatureV") {
			continue // refused earlier
		}
		changed := url.Values{}
		for other := range values {
			changed.Set(other, values.Get(other))
		}
		switch name {
		case "Signature":
			changed.Set(name, strings.Repeat("A", 27)+"=")
		case "Format":
			changed.Del(name)
		default:
			changed.Set(name, values.Get(name)+"x")
		}
		if r := c.send(t, http.MethodPost, "/?"+changed.Encode(), nil, ""); r.code() != "400 SignatureDoesNotMatch" {
			t.Errorf("%s: %s", name, r)
		}
	}
	values.Set("Added", "1")
	if r := c.send(t, http.MethodPost, "/?"+values.Encode(), nil, ""); r.code() != "400 SignatureDoesNotMatch" {
		t.Errorf("added: %s", r)
	}
	values.Del("Added")
	if r := c.send(t, http.MethodGet, "/?"+values.Encode(), nil, ""); r.code() != "400 SignatureDoesNotMatch" {
		t.Errorf("GET: %s", r)
	}
	values.Set("Signature", "not base64")
	r := c.send(t, http.MethodPost, "/?"+values.Encode(), nil, "")
	values.Del("Signature")
	toSign := "POST&%2F&" + pe(canonical(values))
	if r.code() != "400 IncompleteSignature" || r.at("Message") != "The request signature does not conform to Aliyun standards. server string to sign is:"+toSign {
		t.Errorf("malformed: %s", r)
	}
	values.Set("Signature", signV1(http.MethodPost, "another secret", values))
	r = c.send(t, http.MethodPost, "/?"+values.Encode(), nil, "")
	if want := "Specified signature is not matched with our calculation. server string to sign is:" + toSign; r.at("Message") != want {
		t.Errorf("message %q, want %q", r.at("Message"), want)
	}
	values.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, values))
	if r := c.send(t, http.MethodPost, "/?"+values.Encode(), nil, ""); r.status != http.StatusOK {
		t.Errorf("untouched, none of the refused ones having used up the nonce: %s", r)
	}
}

// TestTamperedACS3 changes each part of a signed request after it was signed.
func TestTamperedACS3(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	var signed http.Header
	keep := func(h http.Header) { signed = h }
	values := url.Values{"KeyId": {key}, "Plaintext": {"SGVsbG8="}}
	if r := c.sendACS3(t, http.MethodPost, c.Tenant, "Encrypt", values, "", keep); r.status != http.StatusOK {
		t.Fatal(r)
	}
	for name, tc := range map[string]struct {
		header, value string
		query, body   string
		want          string
	}{
		"nonce":        {header: "X-Acs-Signature-Nonce", value: "other", want: "400 SignatureDoesNotMatch"},
		"date":         {header: "X-Acs-Date", value: c.Clock.Now().Add(time.Minute).UTC().Format(timeLayout), want: "400 SignatureDoesNotMatch"},
		"action":       {header: "X-Acs-Action", value: "GenerateDataKey", want: "400 SignatureDoesNotMatch"},
		"content hash": {header: "X-Acs-Content-Sha256", value: strings.Repeat("0", 64), want: "400 SignatureDoesNotMatch"},
		"query":        {query: "&More=1", want: "400 SignatureDoesNotMatch"},
		"body":         {body: "More=1", want: "400 SignatureDoesNotMatch"},
		"access key":   {header: "X-Acs-Accesskey-Id", value: "other", want: "400 IncompleteSignature"},
		"no nonce":     {header: "X-Acs-Signature-Nonce", want: "400 MissingSignatureNonce"},
		"no date":      {header: "X-Acs-Date", want: "400 MissingTimestamp"},
		"no action":    {header: "X-Acs-Action", want: "400 MissingAction"},
		"no version":   {header: "X-Acs-Version", want: "400 MissingVersion"},
		"replayed":     {want: "400 SignatureNonceUsed"},
	} {
		h := signed.Clone()
		if tc.header != "" {
			h.Set(tc.header, tc.value)
		}
		if tc.body != "" {
			h.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r := c.send(t, http.MethodPost, "/?"+values.Encode()+tc.query, h, tc.body)
		if r.code() != tc.want {
			t.Errorf("%s: %s, want %s", name, r, tc.want)
		}
		if name == "body" && !strings.Contains(r.header.Get(dialect.HintHeader), "x-acs-content-sha256") {
			t.Errorf("%s: hint %q", name, r.header.Get(dialect.HintHeader))
		}
		if strings.Contains(r.body+r.header.Get(dialect.HintHeader), "SGVsbG8") {
			t.Errorf("%s: the plaintext comes back in %s", name, r)
		}
	}
	if r := c.sendACS3(t, http.MethodPost, kmstest.Tenant{AccessKey: c.Tenant.AccessKey, Secret: "wrong"}, "Encrypt", values, "", nil); r.code() != "400 SignatureDoesNotMatch" ||
		!strings.Contains(r.at("Message"), " server string to sign is:ACS3-HMAC-SHA256\n") {
		t.Errorf("wrong secret: %s", r)
	}
	if r := c.sendACS3(t, http.MethodPost, c.Tenant, "Encrypt", values, "", func(h http.Header) { h.Set("X-Acs-Security-Token", "sts") }); r.code() != "400 InvalidSecurityToken.Malformed" {
		t.Errorf("session token: %s", r)
	}
}

// TestNonce holds data calls and mutations to one use of a nonce per access key.
func TestNonce(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	send := func(who kmstest.Tenant, action, nonce string, params ...string) string {
		values := c.common(who, action)
		values.Set("SignatureNonce", nonce)
		set(values, params)
		return c.sendV1(t, http.MethodPost, who.Secret, values, nil).code()
	}
	steps := []struct {
		name, got, want string
	}{
		{"first", send(c.Tenant, "Encrypt", "n1", "KeyId="+key, "Plaintext=aGk="), "200"},
		{"again", send(c.Tenant, "Encrypt", "n1", "KeyId="+key, "Plaintext=aGk="), "400 SignatureNonceUsed"},
		{"in another operation", send(c.Tenant, "DisableKey", "n1", "KeyId="+key), "400 SignatureNonceUsed"},
		{"of another access key", send(c.Other, "DescribeRegions", "n1"), "200"},
		{"a mutation", send(c.Tenant, "UpdateKeyDescription", "n2", "KeyId="+key), "200"},
		{"again after it", send(c.Tenant, "DescribeKey", "n2", "KeyId="+key), "400 SignatureNonceUsed"},
		{"a refused one", send(c.Tenant, "DescribeKey", "n3", "KeyId=nothing"), "404 Forbidden.KeyNotFound"},
		{"again after the refusal", send(c.Tenant, "DescribeKey", "n3", "KeyId="+key), "400 SignatureNonceUsed"},
	}
	for _, s := range steps {
		if s.got != s.want {
			t.Errorf("%s: %s, want %s", s.name, s.got, s.want)
		}
	}
	early := c.common(c.Tenant, "DescribeRegions")
	early.Set("Timestamp", c.Clock.Now().Add(maxSkew).UTC().Format(timeLayout))
	c.sendV1(t, http.MethodPost, c.Tenant.Secret, early, nil)
	c.Clock.Add(maxSkew - time.Second)
	c.must(t, "DescribeRegions")
	if got := send(c.Tenant, "DescribeRegions", "n1"); got != "400 SignatureNonceUsed" {
		t.Errorf("before 15 minutes: %s", got)
	}
	c.Clock.Add(2 * time.Minute)
	c.must(t, "DescribeRegions")
	if got := send(c.Tenant, "DescribeRegions", "n1"); got != "200" {
		t.Errorf("after 15 minutes: %s", got)
	}
	c.Clock.Add(13 * time.Minute)
	c.must(t, "DescribeRegions")
	if got := c.sendV1(t, http.MethodPost, c.Tenant.Secret, early, nil); got.code() != "400 SignatureNonceUsed" {
		t.Errorf("signed for 15 minutes later, half an hour after it was used: %s", got)
	}
	values := c.common(c.Tenant, "DescribeRegions")
	values.Del("SignatureNonce")
	for i, want := range []string{"200", "400 SignatureNonceUsed"} {
		if got := c.sendV1(t, http.MethodPost, c.Tenant.Secret, values, nil); got.code() != want {
			t.Errorf("without a nonce, time %d: %s, want %s", i+1, got, want)
		}
		values.Del("Signature")
	}
}

func TestDisabledAccessKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ctx, sys := context.Background(), c.System("test")
	rows, err := c.Credentials(ctx, sys, c.Tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Kind == identity.AccessKey {
			if err := c.SetCredentialDisabled(ctx, sys, row.ID, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := c.call(t, "DescribeRegions"); r.code() != "403 Forbidden.AccessKey" || r.at("Message") != "This AccessKey is not enabled." {
		t.Errorf("disabled: %s", r)
	}
	if r := c.callACS3(t, c.Other, "DescribeRegions"); r.code() != "200" {
		t.Errorf("another's: %s", r)
	}
}

// TestDenied lets an auditor try everything: who may only read is told so and no more.
func TestDenied(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) { cfg.Hints = false })
	ctx, sys := context.Background(), c.System("test")
	p, err := c.CreatePrincipal(ctx, sys, kms.NewPrincipal{Tenant: c.Tenant.ID, Name: "auditor", Role: identity.Auditor})
	if err != nil {
		t.Fatal(err)
	}
	who := kmstest.Tenant{AccessKey: "LTAIauditor", Secret: "s"}
	if _, err := c.AddAccessKey(ctx, sys, p.ID, who.AccessKey, secret.New([]byte(who.Secret))); err != nil {
		t.Fatal(err)
	}
	key := c.newKey(t)
	r := c.callAs(t, who, "Encrypt", "KeyId="+key, "Plaintext=aGk=")
	if r.code() != "403 Forbidden.NoPermission" || r.at("Message") != "This operation is forbidden by permission system." {
		t.Errorf("Encrypt: %s", r)
	}
	if got := r.header.Get(dialect.HintHeader); got != "" {
		t.Errorf("a hint for who is no admin: %s", got)
	}
	if r := c.callAs(t, who, "DescribeKey", "KeyId="+key); r.code() != "200" {
		t.Errorf("DescribeKey: %s", r)
	}
	if r := c.callAs(t, who, "Encrypt", "KeyId="+key, "Plaintext=aGk=", "DryRun=true"); r.code() != "403 AccessDeniedError" {
		t.Errorf("Encrypt, dry: %s", r)
	}
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	c := newCloud(t, limited(map[string]float64{classCrypto: 2}))
	key := c.newKey(t)
	var r reply
	for _, want := range []string{"200", "200", "429 Rejected.Throttling"} {
		if r = c.call(t, "Encrypt", "KeyId="+key, "Plaintext=aGk="); r.code() != want {
			t.Fatalf("%s, want %s", r, want)
		}
	}
	if got := r.header.Get("X-Acs-Retry-After"); got != "500" {
		t.Errorf("retry after %q milliseconds", got)
	}
	if r := c.call(t, "DescribeKey", "KeyId="+key); r.code() != "200" {
		t.Errorf("another class: %s", r)
	}
	c.Clock.Add(500 * time.Millisecond)
	if r := c.call(t, "Encrypt", "KeyId="+key, "Plaintext=aGk="); r.code() != "200" {
		t.Errorf("after the wait: %s", r)
	}
}
