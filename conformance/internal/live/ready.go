// SPDX-License-Identifier: Apache-2.0

package live

// Ready is the ready file: everything that a client needs to reach a process started by Start.
type Ready struct {
	Admin   AdminAccess       `json:"admin"`
	OCI     OCIAccess         `json:"oci"`
	Alibaba AlibabaAccess     `json:"alibaba"`
	CA      CAAccess          `json:"ca"`
	Regions map[string]Region `json:"regions"` // by OCI's name
}

// Region is where a region's APIs are.
type Region struct {
	VaultEndpoint   string `json:"vaultEndpoint"`
	RegionID        string `json:"regionId"`
	AlibabaEndpoint string `json:"alibabaEndpoint"`
}

// CAAccess names the certificate authority of a server with TLS; it is empty without.
type CAAccess struct {
	File string `json:"file"` // PEM
}

// AdminAccess is the address of the admin API and the bearer token that opens it.
type AdminAccess struct {
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
}

// OCIAccess is what an OCI client configuration holds, and the endpoints of the first vault.
type OCIAccess struct {
	VaultEndpoint      string `json:"vaultEndpoint"`
	Region             string `json:"region"`
	Tenancy            string `json:"tenancy"`
	User               string `json:"user"`
	Fingerprint        string `json:"fingerprint"`
	PrivateKeyFile     string `json:"privateKeyFile"`
	ConfigFile         string `json:"configFile"`
	Compartment        string `json:"compartment"`
	VaultID            string `json:"vaultId"`
	ManagementEndpoint string `json:"managementEndpoint"`
	CryptoEndpoint     string `json:"cryptoEndpoint"`
}

// AlibabaAccess is what an Alibaba client configuration holds.
type AlibabaAccess struct {
	Endpoint        string `json:"endpoint"`
	RegionID        string `json:"regionId"`
	AccountID       string `json:"accountId"`
	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
}
