// SPDX-License-Identifier: Apache-2.0

package livetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Workspace is a directory in which a user runs Terraform with the provider's own binary.
type Workspace struct {
	Dir string

	terraform string
	env       []string
}

// Override is the CLI setting by which oracle/oci is the provider's binary in a directory.
func Override(dir string) string {
	return fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"oracle/oci\" = %q\n  }\n  direct {}\n}\n", dir)
}

// Mirror is the CLI setting by which providers come from a directory and from nowhere else.
func Mirror(dir string) string {
	return fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", dir)
}

// NewWorkspace makes an empty one, with CLI settings such as Override. The environment is env and what
// a program needs to run.
func NewWorkspace(t testing.TB, terraform, settings string, env map[string]string) *Workspace {
	t.Helper()
	dir := t.TempDir()
	rc := filepath.Join(t.TempDir(), "terraform.rc")
	if err := os.WriteFile(rc, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &Workspace{Dir: dir, terraform: terraform, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(),
		"TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0",
	}}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		w.env = append(w.env, name+"="+env[name])
	}
	return w
}

// Write puts a file into the workspace.
func (w *Workspace) Write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.Dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Copy puts all files of a directory into the workspace.
func (w *Workspace) Copy(t testing.TB, from string) {
	t.Helper()
	if err := os.CopyFS(w.Dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// Run runs Terraform and returns its output, standard error within it and without colours, and its exit
// code.
func (w *Workspace) Run(t testing.TB, args ...string) (output string, code int) {
	t.Helper()
	var both bytes.Buffer
	code = w.run(t, &both, &both, args)
	return regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(both.String(), ""), code
}

// Must runs Terraform, which must succeed, and returns its standard output.
func (w *Workspace) Must(t testing.TB, args ...string) string {
	t.Helper()
	var out, all bytes.Buffer
	if code := w.run(t, io.MultiWriter(&out, &all), &all, args); code != 0 {
		t.Fatalf("terraform %q ended with %d:\n%s", args, code, all.String())
	}
	return out.String()
}

func (w *Workspace) run(t testing.TB, stdout, stderr io.Writer, args []string) int {
	t.Helper()
	cmd := exec.Command(w.terraform, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.Dir, w.env, stdout, stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("terraform %q: %v", args, err)
	}
	return cmd.ProcessState.ExitCode()
}
