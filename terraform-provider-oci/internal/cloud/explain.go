// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Explain tells a person what happened and what to do about it, in paragraphs.
func (c *Cloud) Explain(err error) string {
	var refused *Refusal
	if errors.As(err, &refused) {
		return c.explainRefusal(refused)
	}
	var unanswered *Unanswered
	if errors.As(err, &unanswered) {
		return paragraphs(unanswered.Error(), unansweredAdvice(unanswered.Err))
	}
	return err.Error()
}

func (c *Cloud) explainRefusal(e *Refusal) string {
	hint := ""
	if e.Hint != "" {
		hint = "The server explains: " + e.Hint
	}
	return paragraphs(e.Message, hint, c.advice(e),
		fmt.Sprintf("%s at %s answered %d %s (request %s).", e.Operation, e.Endpoint, e.Status, e.Code, e.RequestID))
}

func paragraphs(texts ...string) string {
	var told []string
	for _, text := range texts {
		if text != "" {
			told = append(told, text)
		}
	}
	return strings.Join(told, "\n\n")
}

// advice is the next step after a refusal; empty where the service's words are enough.
func (c *Cloud) advice(e *Refusal) string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return c.adviceOnCredentials()
	case e.Status == http.StatusNotFound && c.IsVaultService(e.Endpoint) && !isVaultOperation(e.Operation):
		return fmt.Sprintf("%s is the address of the vault service, which knows no keys. Give the endpoint of the vault that "+
			"holds the key: the attribute management_endpoint (for encrypting and signing crypto_endpoint) of the resource or data "+
			"source oci_kms_vault.", e.Endpoint)
	case e.Status == http.StatusNotFound:
		return "The service answers like this both for what is not there and for what the user may not see. Check the OCID, that the " +
			"endpoint is that of the vault which holds the key, and that the user has the right to do this."
	case e.Code == "IncorrectState":
		return "Something was still being changed when the time for repeating the request was over. Apply again."
	case e.Code == "InvalidatedRetryToken":
		return "An earlier attempt of this request cannot be repeated any more. Apply again: a new request is made."
	case e.Status == http.StatusTooManyRequests:
		return "The service's limit on requests was still reached when the time for repeating the request was over. Apply again later, " +
			"with a lower -parallelism, or raise retry_duration_seconds of the provider."
	case e.Status >= 500:
		return "The service has a fault of its own; its log has the request under the id below. Apply again once it is well."
	}
	return ""
}

// isVaultOperation tells the operations of the vault service from those of a vault's own endpoints.
func isVaultOperation(operation string) bool { return strings.Contains(operation, "Vault") }

func (c *Cloud) adviceOnCredentials() string {
	who := c.Credentials
	if who.TokenFile != "" {
		return fmt.Sprintf("The session token in %s was not accepted. If it has expired, renew it with: oci session refresh.", who.TokenFile)
	}
	if own, err := Fingerprint(&who.Key.PublicKey); err == nil && !strings.EqualFold(own, who.FingerprintOfKey) {
		return fmt.Sprintf("The provider's fingerprint is %s, but the private key that it was given has the fingerprint %s: correct one "+
			"of the two.", who.FingerprintOfKey, own)
	}
	return fmt.Sprintf("The signature of the request was not accepted. Check that the user %s of the tenancy %s has an API key with the "+
		"fingerprint %s (fingerprint and private key of the provider belong together), that it is the server at this address which "+
		"knows them, and that this machine's clock is right to within five minutes.", who.User, who.Tenancy, who.FingerprintOfKey)
}

// unansweredAdvice is the next step when no answer came.
func unansweredAdvice(err error) string {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var name *net.DNSError
	const where = "The address is the management_endpoint or crypto_endpoint of the resource, and for vaults that of the region or of " +
		"CLIENT_HOST_OVERRIDES in the environment."
	switch {
	case errors.As(err, &certificate):
		return "The server's certificate is signed by an authority that this machine does not know. Name its certificate in the " +
			"environment: custom_cert_location=/path/to/ca.pem."
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "The server speaks plain HTTP: begin the address with http://. " + where
	case errors.As(err, &name):
		return "The address has a host name that nobody knows. " + where
	case unconnected(err):
		return "Nothing accepts connections there: is the server running, and is this its address? " + where
	case strings.Contains(err.Error(), "host is invalid"):
		return "An address is scheme, host and port alone, such as http://127.0.0.1:7443, without a path or a slash at the end. " + where
	}
	return ""
}
