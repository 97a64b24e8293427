// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestRefusedSignaturesNameTheAccessKey guesses a secret, in both schemes. Who watches the audit
// log has to see whose it was, and must not see what was signed: it may hold a plaintext.
func TestRefusedSignaturesNameTheAccessKey(t *testing.T) {
	t.Parallel()
	const plaintext = "bm90IGZvciBsb2dz"
	c := newCloud(t)
	stranger := c.Tenant
	stranger.Secret = "wrong"
	v1 := c.common(stranger, "Encrypt")
	set(v1, []string{"KeyId=x", "Plaintext=" + plaintext})
	for name, send := range map[string]func() reply{
		"version 1": func() reply { return c.sendV1(t, http.MethodPost, stranger.Secret, v1, nil) },
		"ACS3": func() reply {
			return c.sendACS3(t, http.MethodPost, stranger, "Encrypt", url.Values{"Plaintext": {plaintext}}, "", nil)
		},
	} {
		before := len(c.Audit.Events())
		if r := send(); r.at("Code") != string(codeMismatch) {
			t.Errorf("%s: %s", name, r)
		}
		all := c.Audit.Events()[before:]
		if len(all) != 1 || !strings.Contains(all[0].Reason, c.Tenant.AccessKey) || !all[0].Credential.IsZero() {
			t.Errorf("%s: recorded %+v", name, all)
			continue
		}
		if text := string(all[0].AppendJSON(nil)); strings.Contains(text, plaintext) {
			t.Errorf("%s: the record holds the plaintext: %s", name, text)
		}
	}
}
