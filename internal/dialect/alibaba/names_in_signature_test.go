// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// signPlain signs a query whose names stay as they are, which is what the cloud's clients do.
func signPlain(h http.Header, host, secret string, values url.Values) http.Header {
	auth := h.Get("Authorization")
	list := strings.TrimPrefix(strings.Split(auth, ",")[1], "SignedHeaders=")
	var query []string
	for _, pair := range strings.Split(canonical(values), "&") {
		name, value, _ := strings.Cut(pair, "=")
		plain, _ := url.QueryUnescape(name)
		query = append(query, strings.ReplaceAll(strings.ReplaceAll(plain, "+", "%20"), "*", "%2A")+"="+value)
	}
	request := "POST\n/\n" + strings.Join(query, "&") + "\n"
	for _, name := range strings.Split(list, ";") {
		value := h.Get(name)
		if name == "host" {
			value = host
		}
		request += name + ":" + value + "\n"
	}
	sum := sha256.Sum256([]byte(request + "\n" + list + "\n" + h.Get("X-Acs-Content-Sha256")))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	h.Set("Authorization", strings.Split(auth, ",Signature=")[0]+",Signature="+hex.EncodeToString(mac.Sum(nil)))
	return h
}

// TestPlainNames signs flattened maps as clients do, whose names ACS3 does not encode there. A
// name that would let a signature stand for other parameters too has to be encoded.
func TestPlainNames(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	for name, want := range map[string]string{
		"plain": ok, "ключ": ok, "a/b": ok, "a:b,c!'()*": ok, "*": ok, "a#b?": ok,
		"a b": "400 SignatureDoesNotMatch", "a+b": "400 SignatureDoesNotMatch", "a&b": "400 SignatureDoesNotMatch",
		"a=b": "400 SignatureDoesNotMatch", "a%41": "400 SignatureDoesNotMatch",
	} {
		values := url.Values{"KeyId": {key}, "Plaintext": {"aGk="}, "EncryptionContext." + name: {"v w"}}
		h := c.headersACS3(http.MethodPost, c.Tenant, "Encrypt", values, "", nil)
		if r := c.send(t, http.MethodPost, "/?"+values.Encode(), signPlain(h, c.host, c.Tenant.Secret, values), ""); r.code() != want {
			t.Errorf("%s: %s, want %s", name, r, want)
		}
		if r := c.sendACS3(t, http.MethodPost, c.Tenant, "Encrypt", values, "", nil); r.code() != ok {
			t.Errorf("%s, encoded: %s", name, r)
		}
	}
	// What was signed as two parameters is not one with a name that holds both.
	values := url.Values{"KeyId": {key}, "Plaintext": {"aGk="}}
	h := c.headersACS3(http.MethodPost, c.Tenant, "Encrypt", values, "", nil)
	if r := c.send(t, http.MethodPost, "/?"+url.Values{"KeyId=" + key + "&Plaintext": {"aGk="}}.Encode(), h, ""); r.code() != "400 SignatureDoesNotMatch" {
		t.Errorf("two parameters in one: %s", r)
	}
}

// TestHexOfSignatures holds a signature to one spelling.
func TestHexOfSignatures(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.headersACS3(http.MethodPost, c.Tenant, "DescribeRegions", nil, "", nil)
	head, signature, _ := strings.Cut(h.Get("Authorization"), ",Signature=")
	h.Set("Authorization", head+",Signature="+strings.ToUpper(signature))
	if r := c.send(t, http.MethodPost, "/", h, ""); r.code() != "400 IncompleteSignature" {
		t.Errorf("in upper case: %s", r)
	}
}

// TestMisprintedSignature refuses the value of the cloud's signature page that belongs to a
// string to sign with a misprint in it.
func TestMisprintedSignature(t *testing.T) {
	t.Parallel()
	v := v1Vectors[0]
	p := parsed(t, v.query+"&Signature="+url.QueryEscape("s/OdVWMTmNGagvWlljdAJ7Itsew="), "")
	claimed, err := claimV1(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := claimed.verifyV1(testCredential("testid", "testsecret"), p, v.method); err == nil {
		t.Error("accepted")
	}
}
