// SPDX-License-Identifier: Apache-2.0

// Command alibaba sends a batch to a server of "claviger dev" with Alibaba Cloud's own client, which
// signs it: it makes a key, encrypts many texts in one request, and decrypts them in another. Its
// argument is the server's host and port; who calls is read from the SDK's usual variables.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	kms "github.com/alibabacloud-go/kms-20160120/v3/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: alibaba HOST:PORT")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// item is one call: an action and its parameters.
type item struct {
	Operation  string            `json:"operation"`
	Parameters map[string]string `json:"parameters"`
}

// result is the answer of the item at the same place.
type result struct {
	Status int             `json:"status"`
	Code   string          `json:"code"`
	Body   json.RawMessage `json:"body"`
}

// batch sends items in one request.
func batch(client *kms.Client, items []item) ([]result, error) {
	out, err := client.CallApi(&openapi.Params{
		Action: tea.String("Batch"), Version: tea.String("2016-01-20"), Protocol: tea.String("HTTP"),
		Pathname: tea.String("/claviger/v1/batch"), Method: tea.String("POST"), AuthType: tea.String("AK"),
		Style: tea.String("RPC"), ReqBodyType: tea.String("json"), BodyType: tea.String("string"),
	}, &openapi.OpenApiRequest{Body: map[string]any{"items": items}}, &util.RuntimeOptions{})
	if err != nil {
		return nil, err
	}
	text, ok := out["body"].(string)
	if !ok {
		return nil, fmt.Errorf("the answer is %v", out)
	}
	var answer struct {
		Results []result `json:"results"`
	}
	return answer.Results, json.Unmarshal([]byte(text), &answer)
}

func run(endpoint string) error {
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
	key, err := client.CreateKey(&kms.CreateKeyRequest{})
	if err != nil {
		return err
	}
	id := *key.Body.KeyMetadata.KeyId
	var items []item
	for i := range 500 {
		items = append(items, item{"Encrypt", map[string]string{"KeyId": id, "Plaintext": fmt.Sprintf("text %d.", i)}})
	}
	sealed, err := batch(client, items)
	if err != nil {
		return err
	}
	items = items[:0]
	for _, r := range sealed {
		var encrypted struct{ CiphertextBlob string }
		if err := json.Unmarshal(r.Body, &encrypted); err != nil {
			return err
		}
		items = append(items, item{"Decrypt", map[string]string{"CiphertextBlob": encrypted.CiphertextBlob}})
	}
	items = append(items, item{"Decrypt", map[string]string{"CiphertextBlob": "bm9uZQ=="}})
	opened, err := batch(client, items)
	if err != nil {
		return err
	}
	good := 0
	for i, r := range opened {
		var decrypted struct{ Plaintext string }
		if r.Status != http.StatusOK {
			log.Printf("item %d refused: %d %s", i, r.Status, r.Code)
			continue
		}
		if err := json.Unmarshal(r.Body, &decrypted); err != nil {
			return err
		}
		if decrypted.Plaintext == fmt.Sprintf("text %d.", i) {
			good++
		}
	}
	log.Printf("%d texts encrypted and decrypted in two requests", good)
	return nil
}
