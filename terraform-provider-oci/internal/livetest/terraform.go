// SPDX-License-Identifier: Apache-2.0

package livetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// OpenTofu is built from a module of its own in tools/ where no binary is found.
const builtTofu = "github.com/opentofu/opentofu"

// Terraform finds a binary of Terraform or OpenTofu: the one that TF_ACC_TERRAFORM_PATH names,
// terraform or tofu on the PATH if it is new enough to have ephemeral resources, or OpenTofu, built
// once from source into .cache/bin below root. It returns the path and whether it is OpenTofu.
func Terraform(root string) (path string, tofu bool, err error) {
	if path = os.Getenv("TF_ACC_TERRAFORM_PATH"); path != "" {
		_, tofu, err = version(path)
		return path, tofu, err
	}
	for _, name := range []string{"terraform", "tofu"} {
		if path, err = exec.LookPath(name); err != nil {
			continue
		}
		if minor, tofu, err := version(path); err == nil && (minor >= 11 || minor == 10 && !tofu) {
			return path, tofu, nil
		}
	}
	path, err = buildTofu(root)
	return path, true, err
}

// version asks a binary what it is; minor is of 1.minor.
func version(path string) (minor int, tofu bool, err error) {
	cmd := exec.Command(path, "version", "-json")
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE=")
	out, err := cmd.Output()
	if err != nil {
		return 0, false, fmt.Errorf("%s version: %w", path, err)
	}
	var v struct {
		Number string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return 0, false, fmt.Errorf("%s version: %w", path, err)
	}
	parts := strings.SplitN(v.Number, ".", 3)
	if len(parts) < 2 || parts[0] != "1" {
		return 0, false, fmt.Errorf("%s is version %s, and 1.x is needed", path, v.Number)
	}
	if minor, err = strconv.Atoi(parts[1]); err != nil {
		return 0, false, fmt.Errorf("%s version: %w", path, err)
	}
	text, err := exec.Command(path, "version").Output()
	return minor, strings.Contains(string(text), "OpenTofu"), err
}

// buildTofu takes minutes, once for each version of OpenTofu and of Go.
func buildTofu(root string) (string, error) {
	module := filepath.Join(root, "tools", "tofu")
	listed, err := exec.Command("go", "list", "-C", module, "-m", "-f", "{{.Version}}", builtTofu).Output()
	if err != nil {
		return "", fmt.Errorf("find the version of OpenTofu: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(root, ".cache", "bin", "tofu-"+strings.TrimSpace(string(listed))+"-"+runtime.Version()))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	fmt.Fprintln(os.Stderr, "== building", path)
	cmd := exec.Command("go", "build", "-C", module, "-trimpath", "-ldflags=-s -w", "-o", path, builtTofu+"/cmd/tofu")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build OpenTofu: %w\n%s", err, out)
	}
	return path, nil
}
