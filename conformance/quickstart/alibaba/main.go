// SPDX-License-Identifier: Apache-2.0

// Command alibaba is a client of Alibaba Cloud's own SDK at work on a server of "claviger dev":
// it decrypts what the first client encrypted through OCI's API, and makes and uses a signing
// key. Its arguments are the server's host and port and the ciphertext; who calls is
// read from the SDK's usual variables.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"log"
	"os"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	kms "github.com/alibabacloud-go/kms-20160120/v3/client"
	"github.com/alibabacloud-go/tea/tea"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: alibaba HOST:PORT CIPHERTEXT")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(endpoint, ciphertext string) error {
	client, err := kms.NewClient(&openapi.Config{
		AccessKeyId:     tea.String(os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_ID")),
		AccessKeySecret: tea.String(os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET")),
		RegionId:        tea.String("cn-hangzhou"),
		Endpoint:        tea.String(endpoint),
		Protocol:        tea.String("HTTP"),
	})
	if err != nil {
		return err
	}

	opened, err := client.Decrypt(&kms.DecryptRequest{CiphertextBlob: &ciphertext})
	if err != nil {
		return err
	}
	text, err := base64.StdEncoding.DecodeString(*opened.Body.Plaintext)
	if err != nil {
		return err
	}
	log.Printf("decrypted   %q, with key %s", text, *opened.Body.KeyId)

	key, err := client.CreateKey(&kms.CreateKeyRequest{KeySpec: tea.String("EC_P256"), KeyUsage: tea.String("SIGN/VERIFY")})
	if err != nil {
		return err
	}
	keyID := key.Body.KeyMetadata.KeyId
	log.Println("signing key", *keyID)
	versions, err := client.ListKeyVersions(&kms.ListKeyVersionsRequest{KeyId: keyID})
	if err != nil {
		return err
	}
	version := versions.Body.KeyVersions.KeyVersion[0]
	log.Println("its version", *version.KeyVersionId, "of", *version.CreationDate)

	digest := sha256.Sum256([]byte("a contract"))
	signed, err := client.AsymmetricSign(&kms.AsymmetricSignRequest{
		KeyId: keyID, KeyVersionId: version.KeyVersionId, Algorithm: tea.String("ECDSA_SHA_256"),
		Digest: tea.String(base64.StdEncoding.EncodeToString(digest[:])),
	})
	if err != nil {
		return err
	}
	log.Println("signature  ", *signed.Body.Value)
	return nil
}
