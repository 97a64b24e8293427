// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Duration is a time span in a configuration file: Go's form such as "1h30m", or whole days
// such as "90d".
type Duration time.Duration

// UnmarshalText reads either form; negative spans are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes whole days as days and everything else in Go's form.
func (d Duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	if v > 0 && v%day == 0 {
		return append(strconv.AppendInt(nil, int64(v/day), 10), 'd'), nil
	}
	return []byte(v.String()), nil
}

// Std is d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// ParseDuration reads a span in either form of [Duration].
func ParseDuration(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 31)
		if err != nil || days > 36500 {
			return 0, fmt.Errorf("%q is not a number of days up to 36500", s)
		}
		return time.Duration(days) * day, nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf(`%q is not a time span such as "90s", "1h30m" or "7d"`, s)
	}
	if v < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return v, nil
}
