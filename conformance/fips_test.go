// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/fips140"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// TestFIPSMode finds the servers of this suite in the mode that it is to run with, which is not the binary's
// own.
func TestFIPSMode(t *testing.T) {
	t.Parallel()
	if !fips140.Enabled() {
		t.Skip("the suite is not built with GOFIPS140, as make does, and runs without the mode")
	}
	version := exec.Command(binary, "--version")
	version.Env = []string{}
	told, err := version.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(told), ", FIPS 140-3 module "+fips140.Version()+", mode off\n") {
		t.Errorf("where nobody says anything of the mode, the server is %s", told)
	}

	var info struct {
		FIPS struct{ Mode, Module string } `json:"fips140"`
	}
	if err := start(t, live.Options{}).Admin.Do(http.MethodGet, "/info", nil, &info); err != nil {
		t.Fatal(err)
	}
	want(t, "mode of dev", info.FIPS.Mode, "on")
	want(t, "module of dev", info.FIPS.Module, fips140.Version())

	site := live.NewSite(t, binary, `fips140 = "on"`)
	if log := site.Log(t); !strings.Contains(log, "fips140=on fips140_module="+fips140.Version()) {
		t.Errorf("serve does not tell the mode that it was told to insist on:\n%s", log)
	}
}

// With FIPS 140-3 enforced both clouds' SDKs work, over TLS too, but those that sign with HMAC-SHA1, and
// keys of what is not approved cannot be made.
func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{TLS: true, FIPSOnly: true})
	o := throughOCI(t, server)
	trust(t, server, &o)
	key := o.createKey(t, aesShape(32))
	sealed, err := o.encrypt(t.Context(), *key.Id, []byte("Hello"), nil, "")
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	opened, err := o.decrypt(t.Context(), *key.Id, "", *sealed.Ciphertext, nil, "")
	if err != nil {
		t.Fatalf("Decrypt: %v", err)
	}
	want(t, "plaintext through OCI", string(opened), "Hello")

	params := alibaba.Params{"CiphertextBlob": *sealed.Ciphertext}
	for _, g := range alibaba.Generations() {
		client := throughAlibaba(t, server, g)
		if g != alibaba.ACS3 {
			want(t, string(g), client.refusal("Decrypt", params), "400 InvalidSignatureMethod")
			continue
		}
		want(t, string(g), client.must(t, "Decrypt", params).Plaintext, "SGVsbG8=")
		for _, spec := range []string{"EC_P256K", "EC_SM2", "Aliyun_SM4"} {
			want(t, spec, client.refusal("CreateKey", alibaba.Params{"KeySpec": spec}), "400 UnsupportedOperation")
		}
	}
}
