// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"fmt"
	"net/url"
	"strings"
)

// CheckEndpoint refuses what the SDK cannot use as an address: it must be a host with or without
// scheme and port, and nothing after it. Without a scheme it is HTTPS.
func CheckEndpoint(endpoint string) error {
	text := endpoint
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case endpoint == "" || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is not an address such as https://host or http://127.0.0.1:7443", endpoint)
	case u.Path == "/" && u.RawQuery == "":
		return fmt.Errorf("%q ends with a slash: leave it away", endpoint)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "#"):
		return fmt.Errorf("%q has more than scheme, host and port: leave the rest away", endpoint)
	}
	return nil
}

// Purpose is which of a vault's two endpoints an argument is for.
type Purpose string

// The purposes, as they stand in the names of Oracle's hosts.
const (
	ManagementPurpose Purpose = "management"
	CryptoPurpose     Purpose = "crypto"
)

// CheckPurpose refuses an endpoint of Oracle's that is evidently for something else: the other purpose,
// or the vault service of a region.
func CheckPurpose(endpoint string, p Purpose) error {
	host := authority(endpoint)
	other := CryptoPurpose
	if p == CryptoPurpose {
		other = ManagementPurpose
	}
	first, rest, _ := strings.Cut(host, ".")
	switch {
	case strings.HasSuffix(first, "-"+string(other)) && strings.HasPrefix(rest, "kms."):
		return fmt.Errorf("%q is the %s endpoint of a vault: here belongs its %s endpoint, the attribute %[3]s_endpoint of oci_kms_vault",
			endpoint, other, p)
	case first == "kms" && strings.Contains(rest, ".oracle"):
		return fmt.Errorf("%q is the vault service of a region, which knows no keys: here belongs a vault's own %s endpoint, the attribute "+
			"%[2]s_endpoint of oci_kms_vault", endpoint, p)
	}
	return nil
}
