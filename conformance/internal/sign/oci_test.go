// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestOCIForms(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := OCIKey{ID: "ocid1.tenancy.oc1..t/ocid1.user.oc1..u/aa:bb", Key: private}
	now := time.Date(2026, 11, 21, 16, 24, 55, 0, time.UTC)
	const (
		date  = "Sat, 21 Nov 2026 16:24:55 GMT"
		empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	)
	want := map[string][2]string{ // form -> signing string of the GET and of the POST
		"Go": {
			"date: " + date + "\n(request-target): get /20180608/keys?compartmentId=c%2Fd&limit=3\nhost: 127.0.0.1:7443",
			"date: " + date + "\n(request-target): post /20180608/keys/k/actions/disable\nhost: 127.0.0.1:7443\n" +
				"content-length: 0\ncontent-type: application/json\nx-content-sha256: " + empty,
		},
		"TypeScript": {
			"x-date: " + date + "\n(request-target): get /20180608/keys?compartmentId=c%2Fd&limit=3\nhost: 127.0.0.1:7443",
			"x-date: " + date + "\n(request-target): post /20180608/keys/k/actions/disable\nhost: 127.0.0.1:7443\n" +
				"content-type: application/json\ncontent-length: 0\nx-content-sha256: " + empty,
		},
	}
	want["Python"] = want["Go"]
	order := map[string]string{
		"Go":         "version,headers,keyId,algorithm,signature",
		"Python":     "algorithm,headers,keyId,signature,version",
		"TypeScript": "version,keyId,algorithm,headers,signature",
	}
	for _, form := range Forms() {
		for i, request := range []struct{ method, target string }{
			{http.MethodGet, "/20180608/keys?compartmentId=c%2Fd&limit=3"},
			{http.MethodPost, "/20180608/keys/k/actions/disable"},
		} {
			req, err := http.NewRequest(request.method, "http://127.0.0.1:7443"+request.target, bytes.NewReader(nil))
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Sign(req, nil, form, now); err != nil {
				t.Fatal(err)
			}
			header := req.Header.Get("Authorization")
			var names []string
			values := map[string]string{}
			for _, field := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(header, -1) {
				names = append(names, field[1])
				values[field[1]] = field[2]
			}
			if got := strings.Join(names, ","); got != order[form.Name] {
				t.Errorf("%s: parameters %s, want %s", form.Name, got, order[form.Name])
			}
			signature, err := base64.StdEncoding.DecodeString(values["signature"])
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256([]byte(want[form.Name][i]))
			if err := rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
				t.Errorf("%s: signature of %s is not over\n%s", form.Name, request.method, want[form.Name][i])
			}
		}
	}
}
