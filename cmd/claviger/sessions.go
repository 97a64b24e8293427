// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"claviger/internal/dialect/admin"
	"claviger/internal/dialect/alibaba"
	"claviger/internal/dialect/oci"
)

type credentialSessionCmd struct {
	adminFlags
	Principal string `required:"" help:"Whose rights the session has: its id, OCID or name." placeholder:"PRINCIPAL"`
	OCI       string `name:"oci" help:"Make an OCI session and write token, key and configuration into this directory. Again into the same directory renews it." placeholder:"DIR"`
	Alibaba   bool   `help:"Make an Alibaba session: access key, secret and security token. They are printed now and never again."`
	Name      string `help:"What the session is called in the logs." default:"claviger" placeholder:"NAME"`
	Duration  string `help:"How long it lasts, from 1s to 12h." default:"1h" placeholder:"SPAN"`
	Region    string `help:"Region that the OCI configuration names. Default: the server's first." placeholder:"REGION"`
}

// The files of an OCI session, as Oracle's own command names them.
const (
	sessionTokenFile  = "token"
	sessionPublicFile = "oci_api_key_public.pem"
	sessionConfigFile = "config"
)

// sessionFiles tells a program what was written.
type sessionFiles struct {
	ID          string    `json:"id"`
	Principal   string    `json:"principal"`
	Name        string    `json:"name"`
	ExpiresAt   time.Time `json:"expiresAt"`
	Fingerprint string    `json:"fingerprint"`
	ConfigFile  string    `json:"configFile"`
	TokenFile   string    `json:"securityTokenFile"`
	KeyFile     string    `json:"keyFile"`
}

// Run makes a session.
func (c *credentialSessionCmd) Run(a *app) error {
	if (c.OCI != "") == c.Alibaba {
		return usageError{errors.New("give either --oci DIR or --alibaba")}
	}
	client, err := c.client(a)
	if err != nil {
		return err
	}
	wish := admin.NewSession{Principal: c.Principal, Name: c.Name, Duration: c.Duration}
	if c.OCI != "" {
		return c.oci(a, client, wish)
	}
	s, err := client.CreateSession(a.ctx, wish)
	if err != nil {
		return err
	}
	return show(a, c.JSON, s, func() {
		// Fit for eval: none of the values holds a quote or a blank.
		for _, v := range [][2]string{{"ID", s.AccessKeyID}, {"SECRET", s.Secret}} {
			_, _ = fmt.Fprintf(a.out, "export ALIBABA_CLOUD_ACCESS_KEY_%s='%s'\n", v[0], v[1]) // nobody to tell
		}
		_, _ = fmt.Fprintf(a.out, "export ALIBABA_CLOUD_SECURITY_TOKEN='%s'\n", s.Token)
		_, _ = fmt.Fprintf(a.err, "The session %s of account %s ends at %s UTC. Nothing of it is stored: it cannot be shown again.\n",
			s.Name, s.TenantNames[alibaba.Name], stamp(s.ExpiresAt))
	})
}

// oci writes a session for clients of OCI. The key that a directory has is used again, so that
// clients that run on it need to read but the token anew.
func (c *credentialSessionCmd) oci(a *app, client *admin.Client, wish admin.NewSession) error {
	dir, err := filepath.Abs(c.OCI)
	if err != nil {
		return fmt.Errorf("directory of the session: %w", err)
	}
	if c.Region == "" {
		if c.Region, err = firstRegion(a, client); err != nil {
			return err
		}
	}
	files := sessionFiles{
		ConfigFile: filepath.Join(dir, sessionConfigFile), TokenFile: filepath.Join(dir, sessionTokenFile), KeyFile: filepath.Join(dir, apiKeyFile),
	}
	key, err := sessionKey(files.KeyFile)
	if err != nil {
		return err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key.spki})
	wish.PublicKey = string(public)
	s, err := client.CreateSession(a.ctx, wish)
	if err != nil {
		return err
	}
	files.ID, files.Principal, files.Name, files.ExpiresAt, files.Fingerprint = s.ID, s.Principal, s.Name, s.ExpiresAt, s.Fingerprint
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory of the session: %w", err)
	}
	config := fmt.Sprintf("[DEFAULT]\nfingerprint=%s\nkey_file=%s\ntenancy=%s\nregion=%s\nsecurity_token_file=%s\n",
		s.Fingerprint, files.KeyFile, s.TenantNames[oci.Name], c.Region, files.TokenFile)
	for _, f := range []struct {
		path    string
		content []byte
	}{
		{files.KeyFile, key.pem},
		{filepath.Join(dir, sessionPublicFile), public},
		{files.TokenFile, []byte(s.Token)},
		{files.ConfigFile, []byte(config)},
	} {
		if err := writeAtomic(f.path, f.content); err != nil {
			return fmt.Errorf("write session: %w", err)
		}
	}
	return show(a, c.JSON, files, func() {
		a.fields("session", files.Name, "ends", stamp(files.ExpiresAt), "config", files.ConfigFile, "token", files.TokenFile, "key", files.KeyFile)
		_, _ = fmt.Fprintf(a.err, "Use it with \"oci --auth security_token --config-file %s\", or with auth = \"SecurityToken\" in Terraform.\n", files.ConfigFile) // nobody to tell
	})
}

// sessionKey is the key of a directory's last session, or a new one.
func sessionKey(path string) (*apiKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newAPIKey()
	}
	if err != nil {
		return nil, fmt.Errorf("read session key: %w", err)
	}
	key, err := parseAPIKey(text)
	if err != nil {
		return nil, fmt.Errorf("read session key %s: %w", path, err)
	}
	return key, nil
}

// firstRegion is OCI's name of the first region that has one.
func firstRegion(a *app, client *admin.Client) (string, error) {
	info, err := client.Info(a.ctx)
	if err != nil {
		return "", err
	}
	for _, r := range append(info.Regions, slices.Sorted(maps.Keys(info.RegionNames))...) {
		if name := info.RegionNames[r][oci.Name]; name != "" {
			return name, nil
		}
	}
	return "", errors.New("the server has no region of OCI: give --region")
}

type principalTrustCmd struct {
	adminFlags
	Principal string `arg:"" help:"The principal that may be assumed: its id, OCID or name."`
	By        string `required:"" help:"Who may have sessions as it: its id, OCID or name." placeholder:"PRINCIPAL"`
	Remove    bool   `help:"Take that back. Sessions that rest on it end at once."`
}

// Run allows a principal to assume another, or takes that back.
func (c *principalTrustCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	return client.SetAssumable(a.ctx, c.Principal, c.By, !c.Remove)
}

type principalEndSessionsCmd struct {
	adminFlags
	Principal string `arg:"" help:"The principal: its id, OCID or name."`
}

// Run ends a principal's sessions.
func (c *principalEndSessionsCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	return client.EndSessions(a.ctx, c.Principal)
}
