// SPDX-License-Identifier: Apache-2.0

// Command oci is a client of Oracle's own SDK at work on a server of "claviger dev": it makes a
// key, encrypts, rotates the key, and decrypts what was encrypted before. Its argument is the
// URL of the vault service; who calls is read from the SDK's own configuration file, which
// $OCI_CLI_CONFIG_FILE names. It prints the ciphertext.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"os"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: oci VAULT_SERVICE_URL")
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, vaultService string) error {
	config, err := common.ConfigurationProviderFromFile(os.Getenv("OCI_CLI_CONFIG_FILE"), "")
	if err != nil {
		return err
	}
	compartment, err := config.TenancyOCID() // the root compartment
	if err != nil {
		return err
	}

	// The vault service tells where each vault is.
	vaults, err := keymanagement.NewKmsVaultClientWithConfigurationProvider(config)
	if err != nil {
		return err
	}
	vaults.Host = vaultService
	list, err := vaults.ListVaults(ctx, keymanagement.ListVaultsRequest{CompartmentId: &compartment})
	if err != nil {
		return err
	}
	vault := list.Items[0]

	management, err := keymanagement.NewKmsManagementClientWithConfigurationProvider(config, *vault.ManagementEndpoint)
	if err != nil {
		return err
	}
	key, err := management.CreateKey(ctx, keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
		CompartmentId: &compartment,
		DisplayName:   common.String("orders"),
		KeyShape:      &keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmAes, Length: common.Int(32)},
	}})
	if err != nil {
		return err
	}
	log.Println("key        ", *key.Id)

	crypto, err := keymanagement.NewKmsCryptoClientWithConfigurationProvider(config, *vault.CryptoEndpoint)
	if err != nil {
		return err
	}
	plaintext := base64.StdEncoding.EncodeToString([]byte("made through OCI"))
	sealed, err := crypto.Encrypt(ctx, keymanagement.EncryptRequest{EncryptDataDetails: keymanagement.EncryptDataDetails{
		KeyId: key.Id, Plaintext: &plaintext,
	}})
	if err != nil {
		return err
	}

	version, err := management.CreateKeyVersion(ctx, keymanagement.CreateKeyVersionRequest{KeyId: key.Id})
	if err != nil {
		return err
	}
	log.Println("new version", *version.Id)

	opened, err := crypto.Decrypt(ctx, keymanagement.DecryptRequest{DecryptDataDetails: keymanagement.DecryptDataDetails{
		KeyId: key.Id, Ciphertext: sealed.Ciphertext,
	}})
	if err != nil {
		return err
	}
	text, err := base64.StdEncoding.DecodeString(*opened.Plaintext)
	if err != nil {
		return err
	}
	log.Printf("decrypted   %q, with the version before", text)
	fmt.Println(*sealed.Ciphertext)
	return nil
}
