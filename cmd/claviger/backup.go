// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"claviger/internal/archive"
	"claviger/internal/config"
	"claviger/internal/kms"
	"claviger/internal/seal"
	"claviger/internal/seal/file"
)

// backupOf is how backups are encrypted and opened, as cfg says.
func backupOf(cfg config.Backup) (kms.BackupConfig, error) {
	out := kms.BackupConfig{Software: version()}
	var err error
	if out.Recipients, err = archive.ParseRecipients(cfg.Recipients); err != nil {
		return out, usageError{fmt.Errorf("backup.recipients: %w", err)}
	}
	if cfg.IdentityFile == "" {
		return out, nil
	}
	if out.Identities, err = readIdentities(cfg.IdentityFile); err != nil {
		return out, fmt.Errorf("read backup.identity_file: %w", err)
	}
	return out, nil
}

func readIdentities(path string) (archive.Identities, error) {
	text, err := readSecretFile(path)
	if err != nil {
		return archive.Identities{}, err
	}
	out, err := archive.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return out, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

type backupCmd struct {
	Create  backupCreateCmd  `cmd:"" help:"Back up the whole store, while the server runs."`
	Restore backupRestoreCmd `cmd:"" help:"Restore the whole store from a backup, into a new database."`
	Inspect backupInspectCmd `cmd:"" help:"Show what a backup holds, and check it."`
}

type backupInspectCmd struct {
	Config   string `help:"Configuration of a server: its root key and its identities open the backup." placeholder:"FILE"`
	RootKey  string `help:"Root key that opens the backup." placeholder:"FILE"`
	Identity string `help:"Private keys of age, one of which opens the backup." placeholder:"FILE"`
	JSON     bool   `name:"json" help:"Print JSON, for programs."`
	File     string `arg:"" help:"The backup; - is standard input."`
}

// Run shows the manifest of a backup. With a key that opens it, it reads all of the backup.
func (c *backupInspectCmd) Run(a *app) (err error) {
	opener, given, err := c.opener(a)
	if err == nil && c.Config != "" && !given {
		err = errors.New("neither a root key nor an identity that the configuration names is there")
	}
	if err != nil {
		return err
	}
	if opener.Root != nil {
		defer func() { err = errors.Join(err, opener.Root.Close()) }()
	}
	in := a.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	var h *archive.Header
	if given {
		h, err = verifyBackup(a, in, opener)
	} else {
		h, err = archive.ReadHeader(in)
	}
	if err != nil {
		return fmt.Errorf("inspect backup: %w", err)
	}
	return c.show(a, h, given)
}

// opener is what the flags name that may open a backup, and whether they name anything.
func (c *backupInspectCmd) opener(a *app) (o archive.Opener, given bool, err error) {
	root, identity := c.RootKey, c.Identity
	var cfg *config.Config
	if c.Config != "" {
		if cfg, err = a.serverConfig(c.Config); err != nil {
			return o, false, err
		}
		if identity == "" {
			identity = cfg.Backup.IdentityFile
		}
	}
	if identity != "" {
		if o.Identities, err = readIdentities(identity); err != nil {
			return o, false, fmt.Errorf("read identities: %w", err)
		}
	}
	var key seal.Seal
	switch {
	case root != "":
		key, err = file.Open(root, rand.Reader)
	case cfg != nil:
		key, err = rootsOf(cfg)
	}
	if err != nil {
		return o, false, err
	}
	o.Root = key
	return o, key != nil || identity != "", nil
}

// rootsOf opens the root keys that a configuration names, the retired one for restores among them. The
// server's own may be yet to be made; nil where there is none at all.
func rootsOf(cfg *config.Config) (seal.Seal, error) {
	if exists(cfg.Seal.File) {
		return openSeal(cfg)
	}
	if cfg.Backup.RootFile != "" {
		return file.Open(cfg.Backup.RootFile, rand.Reader)
	}
	return nil, nil
}

// verifyBackup reads a whole backup.
func verifyBackup(a *app, in io.Reader, o archive.Opener) (*archive.Header, error) {
	buffered := bufio.NewReaderSize(in, 1<<20)
	// The line that says what it is of ends within what can be looked at ahead, or it is not a store's.
	if head, _ := buffered.Peek(buffered.Size()); isOfStore(head) {
		shown := a.progress("rows")
		defer shown.end()
		h, _, err := kms.CheckStoreBackup(a.ctx, buffered, o, shown.show)
		return h, err
	}
	r, err := archive.NewReader(a.ctx, buffered, o)
	if err != nil {
		return nil, err
	}
	defer r.Wipe()
	for a.ctx.Err() == nil {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header(), nil
		}
		if err != nil {
			return nil, err
		}
		rec.Wipe()
	}
	return nil, a.ctx.Err()
}

// isOfStore reports whether an archive that begins with head says that it is of a whole store.
func isOfStore(head []byte) bool {
	h, err := archive.ReadHeader(bytes.NewReader(head))
	return err == nil && h.Kind == archive.KindStore
}

// backupReport is what a backup says of itself.
type backupReport struct {
	archive.Manifest
	Root       string   `json:"root,omitempty"`
	Recipients []string `json:"recipients,omitempty"`
	Verified   bool     `json:"verified"`
}

func (c *backupInspectCmd) show(a *app, h *archive.Header, verified bool) error {
	out := backupReport{h.Manifest, h.Root, h.Recipients, verified}
	return show(a, c.JSON, out, func() {
		locked, checked := "root key "+h.Root, "yes: it is whole and unchanged"
		if h.Root == "" {
			locked = strings.Join(h.Recipients, ", ")
		}
		if !verified {
			checked = "no: give --config, --root-key or --identity"
		}
		tenants := make([]string, len(h.Tenants))
		for i, t := range h.Tenants {
			tenants[i] = t.Name
		}
		fields := []string{
			"backup", h.ID.String(), "of a", string(h.Kind), "made", h.CreatedAt.Format(time.RFC3339), "by", h.Software,
			"region", string(h.Region), "tenant", strings.Join(tenants, ", "),
		}
		for _, of := range []struct {
			noun  string
			named *archive.Named
		}{{"vault", h.Vault}, {"key", h.Key}} {
			if of.named != nil {
				fields = append(fields, of.noun, strings.TrimSpace(of.named.ID.String()+" "+of.named.Name))
			}
		}
		a.fields(append(fields, "keys", strconv.Itoa(h.Counts.Keys), "key versions", strconv.Itoa(h.Counts.Versions),
			"revision", strconv.FormatInt(h.Revision, 10), "encrypted to", locked, "verified", checked)...)
	})
}
