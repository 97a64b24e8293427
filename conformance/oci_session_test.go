// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/common/auth"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// session is what "claviger credential session --oci" writes.
type session struct {
	Principal  string `json:"principal"`
	ConfigFile string `json:"configFile"`
	TokenFile  string `json:"securityTokenFile"`
	KeyFile    string `json:"keyFile"`
}

// newSession makes a session of a principal in dir.
func newSession(t *testing.T, server *live.Process, principal, dir string) session {
	t.Helper()
	var s session
	server.Command(t, &s, "credential", "session", "--principal", principal, "--name", "conformance", "--oci", dir)
	return s
}

// lists is whether the caller is let in.
func (o oci) lists(t *testing.T) string {
	t.Helper()
	_, err := o.Management.ListKeys(t.Context(), keymanagement.ListKeysRequest{CompartmentId: &o.compartment})
	return oracle.Refusal(err)
}

// Oracle's SDK uses a session as it uses one of "oci session authenticate": through its provider for
// session tokens, and through the one that reads any configuration file.
func TestOCISession(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := *throughOCI(t, server).createKey(t, aesShape(32)).Id
	user := server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "job", "user", newAPIKey(t).public)
	dir := filepath.Join(t.TempDir(), "session")
	s := newSession(t, server, user.User, dir)
	providers := map[string]func(string, string) (common.ConfigurationProvider, error){
		"of session tokens": common.ConfigurationProviderForSessionToken,
		"of files":          common.ConfigurationProviderFromFile,
	}
	callers := map[string]oci{}
	for name, open := range providers {
		provider, err := open(s.ConfigFile, "")
		if err != nil {
			t.Fatal(err)
		}
		caller := oci{oracle.WithProvider(t, server.Ready.OCI, provider), server.Ready.OCI.Compartment}
		callers[name] = caller
		sealed, err := caller.encrypt(t.Context(), key, []byte("x"), nil, "")
		want(t, "Encrypt through the provider "+name, oracle.Refusal(err), "200")
		opened, err := caller.decrypt(t.Context(), key, "", *sealed.Ciphertext, nil, "")
		want(t, "Decrypt through the provider "+name, oracle.Refusal(err), "200")
		if string(opened) != "x" {
			t.Errorf("decrypted through the provider %s is %q", name, opened)
		}
		_, err = caller.Management.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: &key})
		want(t, "what its principal may not, through the provider "+name, oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
	}

	server.Command(t, nil, "principal", "end-sessions", user.User)
	for name, caller := range callers {
		want(t, "ended, through the provider "+name, caller.lists(t), "401 NotAuthenticated")
	}
	newSession(t, server, user.User, dir) // the SDK reads the token anew with every request
	for name, caller := range callers {
		want(t, "renewed, through the provider "+name, caller.lists(t), "200")
	}
	server.Command(t, nil, "principal", "delete", user.User, "--yes")
	for name, caller := range callers {
		want(t, "with its principal gone, through the provider "+name, caller.lists(t), "401 NotAuthenticated")
	}
}

// The SDK's resource principal takes token and key from files too, and looks into the token for its
// end. It is configured by the environment, so this test has the process to itself.
func TestOCISessionAsResourcePrincipal(t *testing.T) {
	server := start(t, live.Options{})
	s := newSession(t, server, server.Ready.OCI.User, filepath.Join(t.TempDir(), "session"))
	for name, value := range map[string]string{
		auth.ResourcePrincipalVersionEnvVar:    auth.ResourcePrincipalVersion2_2,
		auth.ResourcePrincipalRPSTEnvVar:       s.TokenFile,
		auth.ResourcePrincipalPrivatePEMEnvVar: s.KeyFile,
		auth.ResourcePrincipalRegionEnvVar:     server.Ready.OCI.Region,
	} {
		t.Setenv(name, value)
	}
	provider, err := auth.ResourcePrincipalConfigurationProvider()
	if err != nil {
		t.Fatal(err)
	}
	if tenant, err := provider.GetClaim("tenant"); err != nil || tenant != server.Ready.OCI.Tenancy {
		t.Errorf("the token's tenant is %v (%v), want %s", tenant, err, server.Ready.OCI.Tenancy)
	}
	caller := oci{oracle.WithProvider(t, server.Ready.OCI, provider), server.Ready.OCI.Compartment}
	want(t, "ListKeys", caller.lists(t), "200")
}

// A user may have several API keys. One that is added works from the next call on, one that is
// removed does not, and the others do not notice.
func TestOCIKeysComeAndGo(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	first, second := newAPIKey(t), newAPIKey(t)
	user := server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "job", "user", first.public)
	one := callerWith(t, server, user, first)
	want(t, "the first key", one.lists(t), "200")

	later := user
	later.Fingerprint = server.Admin.AddAPIKey(t, user.ID, second.public)
	two := callerWith(t, server, later, second)
	want(t, "the second key", two.lists(t), "200")
	want(t, "the first key beside it", one.lists(t), "200")
	if err := server.Admin.Do("POST", "credentials", map[string]any{"principal": user.ID, "publicKey": second.public}, nil); err == nil {
		t.Error("the same key is added twice")
	}

	remove := func(fingerprint string) {
		t.Helper()
		for _, c := range server.Admin.Credentials(t, server.Ready.OCI.Tenancy) {
			if c.Fingerprint == fingerprint {
				if c.CreatedAt.IsZero() || c.Principal != user.ID {
					t.Errorf("the list shows %+v", c)
				}
				server.Command(t, nil, "credential", "remove", c.ID, "--yes")
			}
		}
	}
	remove(user.Fingerprint)
	want(t, "the first key, removed", one.lists(t), "401 NotAuthenticated")
	want(t, "the second key then", two.lists(t), "200")
	remove(later.Fingerprint)
	want(t, "the second key, removed", two.lists(t), "401 NotAuthenticated")
}

// weakKey is an RSA key of 1024 bits, which the standard library does not make any more.
const weakKey = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDP5A7Zm3xEbJNVm5fyPy4/Fc0U
t2ebaR3L/ys5xeLogX5XqYUqc86E7rGkRbgJ2SvgW4hcpjaJ2AUL3JESzhxrQVTy
LdOnThUjFVjsoZhb6yylgt0ySpnIkjz9Vn5ogQehvTQ25OSzKHcwrOKIe2UNGwFx
NVbtnCWbWDE9ozkHJQIDAQAB
-----END PUBLIC KEY-----
`

// Signing keys below 2048 bits are refused when they are added.
func TestOCIKeysAreLongEnough(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	err := server.Admin.Do("POST", "credentials", map[string]any{"principal": server.Ready.OCI.User, "publicKey": weakKey}, nil)
	var refused *live.StatusError
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		t.Errorf("a key of 1024 bits: %v", err)
	}
}
