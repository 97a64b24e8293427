// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// With --tls every client API is HTTPS, under an authority that the ready file names.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{TLS: true})
	for _, endpoint := range []string{
		server.Ready.OCI.VaultEndpoint, server.Ready.OCI.ManagementEndpoint, server.Ready.OCI.CryptoEndpoint, server.Ready.Alibaba.Endpoint,
	} {
		if !strings.HasPrefix(endpoint, "https://") {
			t.Errorf("endpoint %s is not HTTPS", endpoint)
		}
	}
	o := throughOCI(t, server)
	if _, err := o.Vault.HTTPClient.Do(newRequest(t, http.MethodGet, server.Ready.OCI.VaultEndpoint, "")); err == nil {
		t.Error("a client that does not know the authority connects")
	}
	trust(t, server, &o)
	key := o.createKey(t, aesShape(32))
	sealed, err := o.encrypt(t.Context(), *key.Id, []byte("Hello"), nil, "")
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	for _, g := range alibaba.Generations() {
		opened := throughAlibaba(t, server, g).must(t, "Decrypt", alibaba.Params{"CiphertextBlob": *sealed.Ciphertext})
		want(t, string(g), opened.Plaintext, "SGVsbG8=")
	}
}

// trust lets a client of Oracle's connect to a server with TLS.
func trust(t *testing.T, server *live.Process, o *oci) {
	t.Helper()
	ca, err := os.ReadFile(server.Ready.CA.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the authority's file holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	o.Vault.HTTPClient, o.Management.HTTPClient, o.Crypto.HTTPClient = client, client, client
}
