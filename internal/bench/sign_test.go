// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func parsed(t *testing.T, raw []byte) (*http.Request, []byte) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(raw))
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("parse %q: %v", raw, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := io.ReadAll(in); len(left) > 0 {
		t.Errorf("after the request follows %q", left)
	}
	return r, body
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// TestSignOCI takes requests apart as a server does and verifies their signatures.
func TestSignOCI(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := &APIKey{ID: "t/u/f", Key: private}
	for _, c := range []struct {
		method, path, body string
		names              string
	}{
		{"POST", "/20180608/encrypt", `{"keyId":"k"}`, "date (request-target) host content-length content-type x-content-sha256"},
		{"POST", "/20180608/keys/k/keyVersions", "", "date (request-target) host content-length content-type x-content-sha256"},
		{"GET", "/20180608/keys?compartmentId=a%20b", "", "date (request-target) host"},
	} {
		raw, err := key.sign(nil, c.method, c.path, "h:1", []byte(c.body), noon)
		if err != nil {
			t.Fatal(err)
		}
		r, body := parsed(t, raw)
		if r.Method != c.method || r.RequestURI != c.path || r.Host != "h:1" || string(body) != c.body {
			t.Errorf("%s %s %s %q", r.Method, r.RequestURI, r.Host, body)
		}
		values := map[string]string{}
		for _, m := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
			values[m[1]] = m[2]
		}
		if values["headers"] != c.names || values["keyId"] != "t/u/f" || values["version"] != "1" || values["algorithm"] != "rsa-sha256" {
			t.Errorf("signature %v", values)
		}
		lines := []string{}
		for name := range strings.FieldsSeq(values["headers"]) {
			value := r.Header.Get(name)
			switch name {
			case "(request-target)":
				value = strings.ToLower(r.Method) + " " + r.RequestURI
			case "host":
				value = r.Host
			case "content-length":
				value = strconv.Itoa(len(body))
			}
			lines = append(lines, name+": "+value)
		}
		sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
		signature, err := base64.StdEncoding.DecodeString(values["signature"])
		if err != nil {
			t.Fatal(err)
		}
		if err := rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		}
		if digest := sha256.Sum256(body); c.method == "POST" && r.Header.Get("X-Content-Sha256") != base64.StdEncoding.EncodeToString(digest[:]) {
			t.Error("the body's digest is another")
		}
	}
}

// TestSignAlibaba takes requests apart and signs them anew as Alibaba's page describes it.
func TestSignAlibaba(t *testing.T) {
	t.Parallel()
	key := AccessKey{"testid", "testsecret"}
	params := map[string]string{"KeyId": "alias/a b*~", "Plaintext": "SGVs+/bG8=", "E": ""}
	for _, d := range []Dialect{V1, ACS3} {
		s := newSigner(d, key, "prefix-")
		var f form = newFormACS3("h:1", key, "Encrypt", params)
		if d == V1 {
			f = newFormV1("h:1", key, "Encrypt", params)
		}
		seen := map[string]bool{}
		for i := range 3 {
			nonce, stamp := s.fresh(noon.Add(time.Duration(i) * time.Second))
			r, body := parsed(t, f.append(nil, s, nonce, stamp))
			q := r.URL.Query()
			if len(body) > 0 || r.Host != "h:1" || q.Get("KeyId") != "alias/a b*~" || q.Get("Plaintext") != "SGVs+/bG8=" || !q.Has("E") {
				t.Errorf("%s: %s %v %q", d, r.Host, q, body)
			}
			given, want := checkV1(q, key)
			nonceSent, stampSent := q.Get("SignatureNonce"), q.Get("Timestamp")
			if d == ACS3 {
				given, want = checkACS3(r, key)
				nonceSent, stampSent = r.Header.Get("x-acs-signature-nonce"), r.Header.Get("x-acs-date")
			}
			if given != want {
				t.Errorf("%s: signature %s, want %s", d, given, want)
			}
			if want := noon.Add(time.Duration(i) * time.Second).Format(isoTime); stampSent != want || seen[nonceSent] || nonceSent == "" {
				t.Errorf("%s: nonce %s, time %s, want %s", d, nonceSent, stampSent, want)
			}
			seen[nonceSent] = true
		}
	}
}

func flat(q map[string][]string) map[string]string {
	out := map[string]string{}
	for name, values := range q {
		out[name] = values[0]
	}
	return out
}

func checkV1(q map[string][]string, key AccessKey) (given, want string) {
	params := flat(q)
	given = params["Signature"]
	delete(params, "Signature")
	mac := hmac.New(sha1.New, []byte(key.Secret+"&"))
	mac.Write([]byte("POST&%2F&" + encode(query(params))))
	return given, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func checkACS3(r *http.Request, key AccessKey) (given, want string) {
	m := regexp.MustCompile(`^ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=([^,]+),Signature=(\w+)$`).FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return r.Header.Get("Authorization"), "an ACS3 header"
	}
	headers := ""
	for name := range strings.SplitSeq(m[1], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		headers += name + ":" + value + "\n"
	}
	sum := sha256.Sum256([]byte("POST\n/\n" + query(flat(r.URL.Query())) + "\n" + headers + "\n" + m[1] + "\n" + r.Header.Get("x-acs-content-sha256")))
	mac := hmac.New(sha256.New, []byte(key.Secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	return m[2], hex.EncodeToString(mac.Sum(nil))
}

// TestVectorV1 is the example of Alibaba's page for the canonical query and its second encoding.
func TestVectorV1(t *testing.T) {
	t.Parallel()
	params := map[string]string{
		"AccessKeyId": "testid", "Action": "CreateKey", "Format": "json", "SignatureMethod": "HMAC-SHA1",
		"SignatureVersion": "1.0", "Timestamp": "2016-03-28T03:13:08Z", "Version": "2016-01-20",
	}
	mac := hmac.New(sha1.New, []byte("testsecret&"))
	mac.Write([]byte("POST&%2F&" + encode(query(params))))
	if got := base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != "Fi0klWyYLE4Wy22gxatiAP51JFE=" {
		t.Errorf("signature %s", got)
	}
}
