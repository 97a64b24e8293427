// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const defaultProfile = "DEFAULT"

// profile is one section of the OCI CLI's configuration file.
type profile struct {
	file, name string
	found      bool              // the section is there
	values     map[string]string // by lower-case key
}

func (p profile) String() string {
	switch {
	case p.file == "":
		return "no file, since the user has no home directory"
	case !p.found:
		return fmt.Sprintf("%s, which has no profile %s", p.file, p.name)
	}
	return fmt.Sprintf("the profile %s of %s", p.name, p.file)
}

// loadProfile reads the profile name. A file or a profile that was not asked for by name may be absent.
func loadProfile(name string, s Surroundings) (profile, error) {
	p := profile{name: or(name, defaultProfile), file: expand(s.Getenv("OCI_CONFIG_FILE"), s.Home)}
	if p.file == "" && s.Home != "" {
		p.file = filepath.Join(s.Home, ".oci", "config")
	}
	if p.file == "" {
		return p, nil
	}
	raw, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) && name == "" {
		return p, nil
	}
	if err != nil {
		return p, &Problem{"config_file_profile", "Configuration of the OCI CLI not readable", err.Error()}
	}
	profiles := parseProfiles(string(raw))
	p.values, p.found = profiles[p.name]
	if !p.found && name != "" {
		names := make([]string, 0, len(profiles))
		for other := range profiles {
			names = append(names, other)
		}
		slices.Sort(names)
		return p, &Problem{"config_file_profile", "Unknown profile", fmt.Sprintf(
			"%s has no profile %s; it has: %s.", p.file, name, strings.Join(names, ", "))}
	}
	return p, nil
}

// parseProfiles reads sections of "key = value" lines. What is neither is passed over, as the CLI does;
// of two equal keys the later one counts.
func parseProfiles(text string) map[string]map[string]string {
	profiles := map[string]map[string]string{}
	var section map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			if name, ok = strings.CutSuffix(name, "]"); ok {
				if section = profiles[name]; section == nil {
					section = map[string]string{}
					profiles[name] = section
				}
			}
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section != nil {
			section[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return profiles
}
