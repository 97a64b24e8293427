// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/oracle/oci-go-sdk/v65/common"
)

// spaced finds a text however Terraform has broken its lines.
func spaced(text string) *regexp.Regexp {
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = regexp.QuoteMeta(word)
	}
	return regexp.MustCompile(strings.Join(words, `[\s│╷╵|]+`))
}

func sdkTime(t time.Time) *common.SDKTime { return &common.SDKTime{Time: t} }

// strangeKey is a private key that no server knows.
func strangeKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// refusal is a configuration of something called "it", and what Terraform says to it.
type refusal struct{ config, says string }

// refuses has Terraform refuse each of the configurations in its own words. All are one configuration,
// in which "it" has a number: what is refused in one of Terraform's phases keeps it from the next, so that
// it runs again with the others.
func (w *world) refuses(t *testing.T, all map[string]refusal) {
	t.Helper()
	left := slices.Sorted(maps.Keys(all))
	for len(left) > 0 {
		said := w.refused(t, all, left)
		var next []string
		for i, name := range left {
			says := spaced(all[name].says)
			if !slices.ContainsFunc(said, func(one string) bool { return about(one, i) && says.MatchString(one) }) {
				next = append(next, name)
			}
		}
		if len(next) == len(left) {
			t.Fatalf("%q are not refused as they should be, or not at all; Terraform said:\n%s", left, strings.Join(said, "\n"))
		}
		left = next
	}
}

// refused applies the named configurations together and answers the errors, each by itself.
func (w *world) refused(t *testing.T, all map[string]refusal, names []string) []string {
	t.Helper()
	var config strings.Builder
	for i, name := range names {
		config.WriteString(numbered(all[name].config, i))
	}
	said := ""
	resource.Test(t, resource.TestCase{
		ProtoV5ProviderFactories: w.providers(), ProtoV6ProviderFactories: echo(),
		ErrorCheck: func(err error) error { said = err.Error(); return nil },
		Steps:      []resource.TestStep{{Config: config.String()}},
	})
	return strings.Split(said, "Error: ")[1:]
}

// numbered calls what a configuration calls "it" by another name.
func numbered(config string, n int) string {
	config = strings.ReplaceAll(config, `"it" {`, fmt.Sprintf(`"it%d" {`, n))
	return strings.ReplaceAll(config, `.it.`, fmt.Sprintf(`.it%d.`, n)) + "\n"
}

// about reports whether an error is about the thing with a number.
func about(said string, n int) bool {
	return regexp.MustCompile(fmt.Sprintf(`["._]it%d\b`, n)).MatchString(said)
}
