// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"net/url"
	"testing"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// A server without an HSM that takes HSM keys all the same says on each answer about one, through
// either API, that it is kept in software.
func TestSoftwareKeptKeysAreMarked(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for level, marked := range map[string]string{"HSM": "software", "SOFTWARE": ""} {
		ali := rawCaller(server)
		ali.action, ali.params = "CreateKey", url.Values{"ProtectionLevel": {level}}
		oci := rawOCI{
			key: oracle.SigningKey(t, server.Ready.OCI), method: "POST", url: server.Ready.OCI.ManagementEndpoint + "/20180608/keys",
			body: fmt.Sprintf(`{"compartmentId":%q,"displayName":"k","protectionMode":%q,"keyShape":{"algorithm":"AES","length":32}}`,
				server.Ready.OCI.Compartment, level),
		}
		for api, made := range map[string]answer{"Alibaba": ali.send(t), "OCI": oci.send(t)} {
			want(t, api+": create a key of level "+level, made.refusal(), "200")
			want(t, api+": the mark of a key of level "+level, made.header.Get("X-Claviger-Protection"), marked)
		}
	}
}
