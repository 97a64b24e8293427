// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// readyFile tells programs how to reach a dev server. Its form is an interface: members are
// added and never changed.
type readyFile struct {
	Admin   readyAdmin             `json:"admin"`
	OCI     readyOCI               `json:"oci"`
	Alibaba readyAlibaba           `json:"alibaba"`
	Regions map[string]readyRegion `json:"regions"`      // by OCI's name; that of the members above among them
	CA      *readyCA               `json:"ca,omitempty"` // with --tls
}

// readyRegion is where a region's APIs are.
type readyRegion struct {
	VaultEndpoint string `json:"vaultEndpoint"`   // of OCI
	RegionID      string `json:"regionId"`        // at Alibaba
	Endpoint      string `json:"alibabaEndpoint"` // of Alibaba
}

type readyAdmin struct {
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
}

type readyOCI struct {
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

type readyAlibaba struct {
	Endpoint        string `json:"endpoint"`
	RegionID        string `json:"regionId"`
	AccountID       string `json:"accountId"`
	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
}

type readyCA struct {
	File string `json:"file"`
}

func readReadyFile(path string) (*readyFile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read ready file: %w", err)
	}
	var r readyFile
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read ready file %s: %w", path, err)
	}
	return &r, nil
}

func (r *readyFile) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode ready file: %w", err)
	}
	if err := writeAtomic(path, append(b, '\n')); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// writeAtomic makes content appear at path all at once, readable by its owner alone. It is there
// for good when this returns: the directory is synced too, without which a power cut could take
// the name.
func writeAtomic(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("%s: %w", path, cause(err))
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause is err without the name of the temporary file, which tells a person nothing.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
