// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"claviger/internal/config"
	"claviger/internal/objects"
	"claviger/internal/objects/directory"
	"claviger/internal/objects/request"
	"claviger/internal/objects/s3"
	"claviger/internal/objects/spool"
	"claviger/internal/objects/transfer"
	"claviger/internal/secret"
)

// storage is where backups go and wait.
type storage struct {
	objects   *objects.Storage
	spool     objects.Spool
	maxBackup int64 // bytes
}

// openStorage opens what cfg and bounds name. The caller undoes it, whether it succeeds or not.
func openStorage(cfg config.Objects, bounds config.Server, undo *cleanup) (out storage, err error) {
	out = storage{objects: &objects.Storage{}, maxBackup: bounds.UploadMiB << 20}
	if out.spool, err = spool.Open(bounds.SpoolDir, bounds.SpoolMiB<<20); err != nil {
		return out, err
	}
	roots, err := readRoots(cfg.CAFile)
	if err != nil {
		return out, err
	}
	switch cfg.Type {
	case "directory":
		dir, err := directory.Open(cfg.Dir)
		if err != nil {
			return out, err
		}
		undo.add(dir.Close)
		out.objects.Buckets = dir
	case "s3":
		client := transfer.New(transfer.Options{Roots: roots})
		undo.add(func() error { client.Close(); return nil })
		if out.objects.Buckets, err = openS3(cfg, client); err != nil {
			return out, err
		}
	}
	requests, err := request.New(request.Config{Hosts: cfg.RequestHosts, Roots: roots})
	if err != nil {
		return out, usageError{fmt.Errorf("objects.request_hosts: %w", err)}
	}
	undo.add(func() error { requests.Close(); return nil })
	out.objects.Requests = requests
	return out, nil
}

func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read objects.ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read objects.ca_file: %s holds no certificate", path)
	}
	return roots, nil
}

func openS3(cfg config.Objects, client *transfer.Client) (objects.Store, error) {
	text, err := readSecretFile(cfg.CredentialsFile)
	if err != nil {
		return nil, fmt.Errorf("read objects.credentials_file: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n")
	if len(lines) != 2 || lines[0] == "" || lines[1] == "" {
		return nil, fmt.Errorf("read objects.credentials_file: %s is not two lines, the access key and the secret key", cfg.CredentialsFile)
	}
	return s3.New(s3.Config{
		Endpoint: cfg.Endpoint, Region: cfg.Region, AccessKey: strings.TrimSpace(lines[0]),
		SecretKey: secret.New([]byte(strings.TrimSpace(lines[1]))), Client: client, Now: time.Now,
	})
}

// maxSecretFile is the most bytes that a file with credentials has.
const maxSecretFile = 64 << 10

// readSecretFile reads a file that must be its owner's alone.
func readSecretFile(path string) (_ string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", fmt.Errorf("%s has mode %04o and is open to other users: run chmod 600 on it", path, perm)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	return string(text), err
}
