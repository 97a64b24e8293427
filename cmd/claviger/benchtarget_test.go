// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// FuzzOCIConfig reads anything: it is refused, or it has all that a profile must have, each from a
// line of the text; and no refusal quotes the text.
func FuzzOCIConfig(f *testing.F) {
	f.Add("[DEFAULT]\nuser=u\nfingerprint=aa:bb\ntenancy=t\nkey_file=~/k.pem\n", "DEFAULT")
	f.Add("# ours\n[DEFAULT]\ntenancy = t\nkey_file = k\n\n[other]\nuser = u = v\nfingerprint = f\n", "other")
	f.Add("[DEFAULT]\nsecret-without-a-value\n", "DEFAULT")
	f.Add("user=u\n[]\n[ a ]\n=\n", "")
	f.Fuzz(func(t *testing.T, text, profile string) {
		p, err := parseOCIConfig(text, profile)
		if err != nil {
			if strings.Contains(err.Error(), "secret-without") && !strings.Contains(profile, "secret-without") {
				t.Errorf("the refusal quotes the text: %v", err)
			}
			return
		}
		for _, v := range []string{p.tenancy, p.user, p.fingerprint, p.keyFile} {
			if v == "" || v != strings.TrimSpace(v) || strings.Contains(v, "\n") || !strings.Contains(text, v) {
				t.Errorf("a profile has %q, which is no value of the text", v)
			}
		}
	})
}
