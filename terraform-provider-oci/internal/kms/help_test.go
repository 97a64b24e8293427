// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"regexp"
	"strings"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
)

// spaced finds a text however Terraform has broken its lines.
func spaced(text string) *regexp.Regexp {
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = regexp.QuoteMeta(word)
	}
	return regexp.MustCompile(strings.Join(words, `[\s│╷╵|]+`))
}

func sdkTime(t time.Time) *common.SDKTime { return &common.SDKTime{Time: t} }
