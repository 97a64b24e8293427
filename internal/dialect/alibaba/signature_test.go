// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/secret"
)

func testCredential(id, s string) *identity.Credential {
	return identity.OpenAccessKey(&identity.CredentialRow{Name: id, Kind: identity.AccessKey}, secret.New([]byte(s)), &identity.Caller{})
}

func parsed(t testing.TB, query, form string) *params {
	t.Helper()
	p := &params{}
	if err := p.parse(query, form); err != nil {
		t.Fatalf("parse: %v", err)
	}
	return p
}

// The examples of the cloud's pages on the common parameters and on the RPC signature.
var v1Vectors = []struct{ name, method, query, signature string }{
	{
		"key service, GET", http.MethodGet,
		"AccessKeyId=testid&Action=CreateKey&Format=json&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&Timestamp=2016-03-28T03:13:08Z&Version=2016-01-20",
		"41wk2SSX1GJh7fwnc5eqOfiJPFg=",
	},
	{
		"key service, POST", http.MethodPost,
		"AccessKeyId=testid&Action=CreateKey&Format=json&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&Timestamp=2016-03-28T03:13:08Z&Version=2016-01-20",
		"Fi0klWyYLE4Wy22gxatiAP51JFE=",
	},
	{
		"general, GET", http.MethodGet,
		"AccessKeyId=testid&Action=DescribeRegions&Format=XML&SignatureMethod=HMAC-SHA1&SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&SignatureVersion=1.0&Timestamp=2016-02-23T12:46:24Z&Version=2014-05-26",
		"OLeaidS1JvxuMvnyHOwuJ+uX5qY=",
	},
}

func TestVectorsV1(t *testing.T) {
	t.Parallel()
	cred := testCredential("testid", "testsecret")
	for _, v := range v1Vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := parsed(t, v.query+"&Signature="+url.QueryEscape(v.signature), "")
			c, err := claimV1(p)
			if err != nil {
				t.Fatalf("claim: %v", err)
			}
			if err := c.verifyV1(cred, p, v.method); err != nil {
				t.Errorf("verify: %v", err)
			}
			if err := c.verifyV1(testCredential("testid", "testsecreT"), p, v.method); !errors.Is(err, codeMismatch) {
				t.Errorf("verify with another secret: %v", err)
			}
		})
	}
}

func TestStringToSignV1(t *testing.T) {
	t.Parallel()
	const want = "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML%26SignatureMethod%3DHMAC-SHA1%26" +
		"SignatureNonce%3D3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf%26SignatureVersion%3D1.0%26Timestamp%3D2016-02-23T12%253A46%253A24Z%26Version%3D2014-05-26"
	if got := string(stringToSignV1(http.MethodGet, parsed(t, v1Vectors[2].query, ""))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCanonicalFormV1 holds stringToSignV1 against a plain reading of the rule.
func TestCanonicalFormV1(t *testing.T) {
	t.Parallel()
	pe := func(s string) string {
		return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
	}
	values := url.Values{
		"Plaintext": {"SGVs+/bG8="}, "KeyId": {"alias/a b*~"}, "EncryptionContext": {`{"k":"v é 漢"}`}, "Description": {""},
		"EncryptionContext.a b": {"'()!\n"}, "Signature": {"never signed"}, "SignatureType": {""},
	}
	var names []string
	for name := range values {
		if name != "Signature" {
			names = append(names, name)
		}
	}
	canonical := ""
	for len(names) > 0 {
		least := 0
		for i, name := range names {
			if name < names[least] {
				least = i
			}
		}
		canonical += "&" + pe(names[least]) + "=" + pe(values.Get(names[least]))
		names = append(names[:least], names[least+1:]...)
	}
	want := "POST&%2F&" + pe(canonical[1:])
	form := url.Values{}
	query := url.Values{}
	for i, name := range []string{"Plaintext", "KeyId", "EncryptionContext", "Description", "EncryptionContext.a b", "Signature", "SignatureType"} {
		if i%2 == 0 {
			query.Set(name, values.Get(name))
		} else {
			form.Set(name, values.Get(name))
		}
	}
	if got := string(stringToSignV1(http.MethodPost, parsed(t, query.Encode(), form.Encode()))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

const (
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	allSigned = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
)

// acs3Vectors are the general example of the cloud's page and one of this service.
var acs3Vectors = []struct {
	name, id, secret, host, query string
	headers                       map[string]string
	hash, signature               string
}{
	{
		name: "general", id: "YourAccessKeyId", secret: "YourAccessKeySecret", host: "ecs.cn-shanghai.aliyuncs.com",
		query: "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
		headers: map[string]string{
			"X-Acs-Action": "RunInstances", "X-Acs-Version": "2014-05-26", "X-Acs-Date": "2023-10-26T10:22:32Z",
			"X-Acs-Signature-Nonce": "3156853299f313e23d1673dc12e1703d",
		},
		hash:      "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259",
		signature: "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
	},
	{
		name: "key service", id: "testid", secret: "testsecret", host: "127.0.0.1:8087",
		query: "KeyId=alias/a+b*~&Plaintext=SGVs%2B%2FbG8%3D&EncryptionContext=%7B%22k%22%3A%22v+%C3%A9%22%7D&E=",
		headers: map[string]string{
			"X-Acs-Action": "Encrypt", "X-Acs-Version": "2016-01-20", "X-Acs-Date": "2026-01-02T03:04:05Z",
			"X-Acs-Signature-Nonce": "0123456789abcdef0123456789abcdef",
		},
		hash:      "2de8a7eb5570e64a42aadb5ff18f040c793a1558094895e4dfbb71aac65b6087",
		signature: "bd7122abf3d564c43b13c0aeba332c5d55b9b15914c095f8548fa2bca3b7ce97",
	},
}

func acs3Request(host, query string, headers map[string]string, id, signature string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/?"+query, http.NoBody)
	r.Host = host
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("X-Acs-Content-Sha256", emptyHash)
	r.Header.Set("Authorization", acs3+" Credential="+id+",SignedHeaders="+allSigned+",Signature="+signature)
	return r
}

func TestVectorsACS3(t *testing.T) {
	t.Parallel()
	for _, v := range acs3Vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			r := acs3Request(v.host, v.query, v.headers, v.id, v.signature)
			p := parsed(t, v.query, "")
			c, err := claimACS3(r.Header)
			if err != nil {
				t.Fatalf("claim: %v", err)
			}
			sum := sha256.Sum256(canonicalACS3(r, p, c.headers, emptyHash, false))
			if got := hex.EncodeToString(sum[:]); got != v.hash {
				t.Errorf("hash of the canonical request is %s, want %s", got, v.hash)
			}
			if err := c.verifyACS3(testCredential(v.id, v.secret), p, r, nil); err != nil {
				t.Errorf("verify: %v", err)
			}
			if err := c.verifyACS3(testCredential(v.id, v.secret+"&"), p, r, nil); !errors.Is(err, codeMismatch) {
				t.Errorf("verify with another secret: %v", err)
			}
			r.Host = "other"
			if err := c.verifyACS3(testCredential(v.id, v.secret), p, r, nil); !errors.Is(err, codeMismatch) {
				t.Errorf("verify with another host: %v", err)
			}
			r.Host = v.host
			if err := c.verifyACS3(testCredential(v.id, v.secret), p, r, []byte("x")); !errors.Is(err, codeMismatch) {
				t.Errorf("verify with another body: %v", err)
			}
		})
	}
}

// TestUnsignedHeaders leaves each header that matters out of the list in turn.
func TestUnsignedHeaders(t *testing.T) {
	t.Parallel()
	v := acs3Vectors[1]
	for _, name := range mustSign {
		r := acs3Request(v.host, v.query, v.headers, v.id, v.signature)
		left := strings.Trim(strings.ReplaceAll(";"+allSigned+";", ";"+name+";", ";"), ";")
		r.Header.Set("Authorization", acs3+" Credential=x,SignedHeaders="+left+",Signature="+v.signature)
		if _, err := claimACS3(r.Header); !errors.Is(err, codeIncomplete) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for _, name := range []string{"X-Acs-Action", "X-Acs-Version", "X-Acs-Date", "X-Acs-Signature-Nonce"} {
		r := acs3Request(v.host, v.query, v.headers, v.id, v.signature)
		r.Header.Add(name, "again")
		if _, err := claimACS3(r.Header); !errors.Is(err, codeIncomplete) {
			t.Errorf("with two of %s: %v", name, err)
		}
		r.Header.Del(name)
		if _, err := claimACS3(r.Header); !keys.IsKind(err, keys.KindMissing) {
			t.Errorf("with no %s: %v", name, err)
		}
	}
	r := acs3Request(v.host, v.query, v.headers, v.id, v.signature)
	r.Header.Set("X-Acs-Security-Token", "token")
	if _, err := claimACS3(r.Header); !errors.Is(err, codeIncomplete) {
		t.Errorf("with an unsigned token: %v", err)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want code // "" is accepted
	}{
		{acs3 + " Credential=a,SignedHeaders=host,Signature=ff", ""},
		{acs3 + " Signature=ff, Credential=a, SignedHeaders=a;b-c", ""},
		{acs3 + " Credential=a,SignedHeaders=b;a,Signature=ff", codeIncomplete},
		{acs3 + " Credential=a,SignedHeaders=a;a,Signature=ff", codeIncomplete},
		{acs3 + " Credential=a,SignedHeaders=A,Signature=ff", codeIncomplete},
		{acs3 + " Credential=a,SignedHeaders=a;,Signature=ff", codeIncomplete},
		{acs3 + " Credential=a,Credential=b,SignedHeaders=host,Signature=ff", codeIncomplete},
		{acs3 + " Credential=a,SignedHeaders=host", codeIncomplete},
		{acs3 + " Credential=a,SignedHeaders=host,Signature=ff,More=1", codeIncomplete},
		{acs3 + " Credential=,SignedHeaders=host,Signature=ff", codeIncomplete},
		{acs3, codeIncomplete},
		{"ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=ff", codeSignatureMethod},
		{"ACS3-RSA-SHA256 Credential=a,SignedHeaders=host,Signature=ff", codeSignatureMethod},
		{"ACS4-HMAC-SHA256 Credential=a/20260102/cn-hangzhou/Kms/aliyun_v4_request,SignedHeaders=host,Signature=ff", codeSignatureMethod},
	} {
		_, err := parseAuthorization(c.in)
		if got, _ := errors.AsType[code](err); got != c.want {
			t.Errorf("%s: code %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add(acs3 + " Credential=a,SignedHeaders=host;x-acs-date,Signature=ff")
	f.Add(acs3 + " ,=,Credential")
	f.Add("ACS4-HMAC-SHA256 Credential=a")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAuthorization(s)
		if err != nil {
			if _, ok := errors.AsType[code](err); !ok {
				t.Errorf("%q is refused without a code: %v", s, err)
			}
			return
		}
		again, err := parseAuthorization(acs3 + " Credential=" + a.credential + ",SignedHeaders=" + a.headers + ",Signature=" + a.signature)
		if err != nil || again != a {
			t.Errorf("%q reads as %+v, which reads as %+v (%v)", s, a, again, err)
		}
	})
}

// FuzzCanonicalQuery holds both canonical forms against each other: what ACS3 signs, encoded
// once more, is what version 1 signs.
func FuzzCanonicalQuery(f *testing.F) {
	f.Add("a=1&b=%20+&c")
	f.Add("KeyId=alias/a+b*~&Plaintext=SGVs%2B%2FbG8%3D&E=")
	f.Add("Signature=x&%e6%bc%a2=%0a")
	f.Fuzz(func(t *testing.T, query string) {
		p := &params{}
		if p.parse(query, "") != nil {
			return
		}
		if _, ok := p.get("Signature"); ok {
			return
		}
		r := &http.Request{Method: "GET", URL: &url.URL{Path: "/"}, Header: http.Header{}, Host: "h"}
		canonical := string(canonicalACS3(r, p, "host", "", false))
		line := strings.Split(canonical, "\n")[2]
		want := "GET&%2F&" + strings.ReplaceAll(url.QueryEscape(line), "+", "%20")
		if got := strings.ReplaceAll(string(stringToSignV1("GET", p)), "~", "%7E"); got != strings.ReplaceAll(want, "~", "%7E") {
			t.Errorf("%q signs as\n%s, not\n%s", query, got, want)
		}
		again := &params{}
		if err := again.parse(line, ""); err != nil || len(again.list) != len(p.list) {
			t.Fatalf("canonical query %q does not read: %v", line, err)
		}
		for i := range p.list {
			if p.list[i].name != again.list[i].name || p.list[i].value != again.list[i].value {
				t.Errorf("parameter %d is %+v, then %+v", i, p.list[i], again.list[i])
			}
		}
	})
}
