// SPDX-License-Identifier: Apache-2.0

// As in Claviger itself.
//go:debug fips140=off

// Command floor is the smallest honest server that does the work of a data call: verify the
// signature of the cloud's scheme, decode, encrypt or sign under one fixed key, and answer what
// Claviger answers: the same envelope around a ciphertext, too. It stores nothing, audits nothing, knows one caller and one key of each kind, and
// is written with the standard library as anybody would write it at first. What it needs per call is
// the least that such a call can be expected to cost; see docs/performance.md.
//
//	floor SETTINGS
//
// reads settings (JSON) from a file, and prints "ready" when every listener accepts.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

// settings say who calls, what the key is called, and where to listen.
type settings struct {
	OCI     string `json:"oci"`     // address of OCI's API
	Alibaba string `json:"alibaba"` // address of Alibaba's
	Fixed   string `json:"fixed"`   // address where every request gets the same answer

	CertFile string `json:"certFile"` // TLS at the first two, if given
	KeyFile  string `json:"keyFile"`

	KeyID     string `json:"keyId"`     // of the caller's API key
	PublicKey string `json:"publicKey"` // its public half, PEM
	AccessKey string `json:"accessKey"`
	Secret    string `json:"secret"`

	Plain bool             `json:"plain"` // encrypt under the key itself instead of one for each message
	Names map[string]names `json:"names"` // by kind: aes, ec, rsa
}

// names are what a key is called in requests and answers.
type names struct {
	OCI            string `json:"oci"`
	OCIVersion     string `json:"ociVersion"`
	Alibaba        string `json:"alibaba"`
	AlibabaVersion string `json:"alibabaVersion"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal("floor: ", err)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: floor SETTINGS")
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var s settings
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read %s: %w", args[0], err)
	}
	work, err := newKeys(s.Plain)
	if err != nil {
		return err
	}
	oci, err := newOCI(&s, work)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for _, l := range []struct {
		address string
		handler http.Handler
		secure  bool
	}{{s.OCI, oci, true}, {s.Alibaba, newAlibaba(&s, work), true}, {s.Fixed, http.HandlerFunc(fixed), false}} {
		if l.address == "" {
			continue
		}
		listener, err := net.Listen("tcp", l.address)
		if err != nil {
			return err
		}
		if l.secure && s.CertFile != "" {
			pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
			if err != nil {
				return err
			}
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		}
		server := &http.Server{Handler: l.handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { failed <- server.Serve(listener) }()
	}
	fmt.Println("ready") //nolint:forbidigo // a program of one file's worth
	return <-failed
}

// fixed answers what an Encrypt of 32 bytes looks like, whatever was asked.
func fixed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"ciphertext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`))
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// refuse answers as the clouds do: a code and a text.
func refuse(w http.ResponseWriter, status int, code string, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": code, "message": err.Error()})
}

func parsePublic(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("publicKey is no PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}
