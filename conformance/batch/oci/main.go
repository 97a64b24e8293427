// SPDX-License-Identifier: Apache-2.0

// Command oci sends a batch to a server of "claviger dev" with the signer of Oracle's own SDK: it
// makes a key, encrypts many texts in one request, and decrypts them in another. Its argument is the
// URL of the vault service; who calls is read from the SDK's own configuration file, which
// $OCI_CLI_CONFIG_FILE names.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

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

// item is one call: an operation of the crypto endpoint and the body that it would have alone.
type item struct {
	Operation  string `json:"operation"`
	Parameters any    `json:"parameters"`
}

// result is the answer of the item at the same place.
type result struct {
	Status int             `json:"status"`
	Code   string          `json:"code"`
	Body   json.RawMessage `json:"body"`
}

// batch sends items to a vault's crypto endpoint in one request.
func batch(ctx context.Context, config common.ConfigurationProvider, endpoint string, items []item) ([]result, error) {
	body, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/claviger/v1/batch", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Length", strconv.Itoa(len(body))) // the signer covers it
	if err := common.DefaultRequestSigner(config).Sign(req); err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s: %s", resp.Status, text)
	}
	var answer struct {
		Results []result `json:"results"`
	}
	return answer.Results, json.NewDecoder(resp.Body).Decode(&answer)
}

func run(ctx context.Context, vaultService string) error {
	config, err := common.ConfigurationProviderFromFile(os.Getenv("OCI_CLI_CONFIG_FILE"), "")
	if err != nil {
		return err
	}
	crypto, key, err := newKey(ctx, config, vaultService)
	if err != nil {
		return err
	}
	var items []item
	for i := range 500 {
		items = append(items, item{"Encrypt", map[string]string{
			"keyId": key, "plaintext": base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "text %d", i)),
		}})
	}
	sealed, err := batch(ctx, config, crypto, items)
	if err != nil {
		return err
	}
	items = items[:0]
	for _, r := range sealed {
		var encrypted struct {
			Ciphertext string `json:"ciphertext"`
		}
		if err := json.Unmarshal(r.Body, &encrypted); err != nil {
			return err
		}
		items = append(items, item{"Decrypt", map[string]string{"keyId": key, "ciphertext": encrypted.Ciphertext}})
	}
	items = append(items, item{"Decrypt", map[string]string{"keyId": key, "ciphertext": "bm9uZQ=="}})
	opened, err := batch(ctx, config, crypto, items)
	if err != nil {
		return err
	}
	good := 0
	for i, r := range opened {
		var decrypted struct {
			Plaintext []byte `json:"plaintext"`
		}
		if r.Status != http.StatusOK {
			log.Printf("item %d refused: %d %s", i, r.Status, r.Code)
			continue
		}
		if err := json.Unmarshal(r.Body, &decrypted); err != nil {
			return err
		}
		if string(decrypted.Plaintext) == fmt.Sprintf("text %d", i) {
			good++
		}
	}
	log.Printf("%d texts encrypted and decrypted in two requests", good)
	return nil
}

// newKey makes a key in the first vault, and answers where it is used.
func newKey(ctx context.Context, config common.ConfigurationProvider, vaultService string) (endpoint, key string, err error) {
	compartment, err := config.TenancyOCID()
	if err != nil {
		return "", "", err
	}
	vaults, err := keymanagement.NewKmsVaultClientWithConfigurationProvider(config)
	if err != nil {
		return "", "", err
	}
	vaults.Host = vaultService
	list, err := vaults.ListVaults(ctx, keymanagement.ListVaultsRequest{CompartmentId: &compartment})
	if err != nil {
		return "", "", err
	}
	vault := list.Items[0]
	management, err := keymanagement.NewKmsManagementClientWithConfigurationProvider(config, *vault.ManagementEndpoint)
	if err != nil {
		return "", "", err
	}
	made, err := management.CreateKey(ctx, keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
		CompartmentId: &compartment,
		DisplayName:   common.String("batch"),
		KeyShape:      &keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmAes, Length: common.Int(32)},
	}})
	if err != nil {
		return "", "", err
	}
	return *vault.CryptoEndpoint, *made.Id, nil
}
