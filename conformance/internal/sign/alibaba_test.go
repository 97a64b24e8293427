// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSignatureV1Vectors(t *testing.T) {
	t.Parallel()
	kms := url.Values{
		"AccessKeyId": {"testid"}, "Action": {"CreateKey"}, "Format": {"json"}, "SignatureMethod": {"HMAC-SHA1"},
		"SignatureVersion": {"1.0"}, "Timestamp": {"2016-03-28T03:13:08Z"}, "Version": {Version},
	}
	general := url.Values{
		"AccessKeyId": {"testid"}, "Action": {"DescribeRegions"}, "Format": {"XML"}, "SignatureMethod": {"HMAC-SHA1"},
		"SignatureNonce": {"3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"}, "SignatureVersion": {"1.0"},
		"Timestamp": {"2016-02-23T12:46:24Z"}, "Version": {"2014-05-26"},
	}
	for _, test := range []struct {
		name, method string
		params       url.Values
		want         string
	}{
		{"key management, GET", http.MethodGet, kms, "41wk2SSX1GJh7fwnc5eqOfiJPFg="},
		{"key management, POST", http.MethodPost, kms, "Fi0klWyYLE4Wy22gxatiAP51JFE="},
		{"general, GET", http.MethodGet, general, "OLeaidS1JvxuMvnyHOwuJ+uX5qY="},
	} {
		if got := SignatureV1(test.method, test.params, "testsecret"); got != test.want {
			t.Errorf("%s: signature %s, want %s", test.name, got, test.want)
		}
	}
}

func TestSignatureACS3Vectors(t *testing.T) {
	t.Parallel()
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, test := range []struct {
		name, secret               string
		query                      url.Values
		headers                    map[string]string
		wantRequest, wantSignature string
	}{
		{
			"general", "YourAccessKeySecret",
			url.Values{"ImageId": {"win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}, "RegionId": {"cn-shanghai"}},
			map[string]string{
				"host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26",
				"x-acs-date": "2023-10-26T10:22:32Z", "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
				"x-acs-content-sha256": emptyHash,
			},
			"7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259",
			"06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
		},
		{
			"key management", "testsecret",
			url.Values{"KeyId": {"alias/a b*~"}, "Plaintext": {"SGVs+/bG8="}, "EncryptionContext": {`{"k":"v é"}`}, "E": {""}},
			map[string]string{
				"host": "127.0.0.1:8087", "x-acs-action": "Encrypt", "x-acs-version": Version,
				"x-acs-date": "2026-01-02T03:04:05Z", "x-acs-signature-nonce": "0123456789abcdef0123456789abcdef",
				"x-acs-content-sha256": emptyHash,
			},
			"2de8a7eb5570e64a42aadb5ff18f040c793a1558094895e4dfbb71aac65b6087",
			"bd7122abf3d564c43b13c0aeba332c5d55b9b15914c095f8548fa2bca3b7ce97",
		},
	} {
		request, _ := canonicalACS3(http.MethodPost, test.query, test.headers, emptyHash)
		if got := hexSHA256([]byte(request)); got != test.wantRequest {
			t.Errorf("%s: hash of the canonical request is %s, want %s\n%s", test.name, got, test.wantRequest, request)
		}
		if _, got := signatureACS3(http.MethodPost, test.query, test.headers, emptyHash, test.secret); got != test.wantSignature {
			t.Errorf("%s: signature %s, want %s", test.name, got, test.wantSignature)
		}
	}
}

// The second vector again, through the header writer: it must sign the same set of headers.
func TestACS3Header(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequest(http.MethodPost,
		"http://127.0.0.1:8087/?E=&EncryptionContext=%7B%22k%22%3A%22v+%C3%A9%22%7D&KeyId=alias%2Fa+b%2A~&Plaintext=SGVs%2B%2FbG8%3D", nil)
	req.URL.Host = req.Host
	AccessKey{"testid", "testsecret"}.ACS3(req, "Encrypt", nil, "0123456789abcdef0123456789abcdef",
		time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	got := req.Header.Get("Authorization")
	const signed = "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
	const signature = "Signature=bd7122abf3d564c43b13c0aeba332c5d55b9b15914c095f8548fa2bca3b7ce97"
	if !strings.Contains(got, signed) || !strings.HasSuffix(got, signature) {
		t.Errorf("Authorization %q, want %s%s", got, signed, signature)
	}
}
