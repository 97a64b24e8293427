// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"testing"
	"time"

	"claviger/internal/keys"
)

// TestLateRotationPolicy shortens the interval so that the next rotation is past: it has run when
// the answer is there.
func TestLateRotationPolicy(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "EnableAutomaticRotation=true", "RotationInterval=8760h")
	first := c.oneVersion(t, key)
	c.Clock.Add(20 * keys.Day)
	c.must(t, "UpdateRotationPolicy", "KeyId="+key, "EnableAutomaticRotation=true", "RotationInterval=604800s")
	r := c.must(t, "DescribeKey", "KeyId="+key)
	if r.at("KeyMetadata.PrimaryKeyVersion") == first || r.at("KeyMetadata.LastRotationDate") != "2026-01-22T03:04:05Z" ||
		r.at("KeyMetadata.NextRotationDate") != "2026-01-29T03:04:05Z" || r.at("KeyMetadata.RotationInterval") != "604800s" {
		t.Errorf("%s", r)
	}
	if r := c.must(t, "ListKeyVersions", "KeyId="+key); r.at("TotalCount") != "2" || r.at("KeyVersions.KeyVersion.1.CreationDate") != "2026-01-22T03:04:05Z" {
		t.Errorf("versions: %s", r)
	}
	if r := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk="); r.at("KeyVersionId") == first {
		t.Errorf("sealed by the old version: %s", r)
	}
}

// TestRotationIntervals is every form of the interval, and what lies just outside of it.
func TestRotationIntervals(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for in, want := range map[string]string{
		"7d": "604800s", "168h": "604800s", "10080m": "604800s", "604800s": "604800s", "730d": "63072000s", "63072000s": "63072000s", "10081m": "604860s",
		"604799s": "", "63072001s": "", "731d": "", "6d": "", "167h": "", "7": "", "d": "", "7D": "", "+7d": "", " 7d": "", "7 d": "", "0x7d": "", "9999999999d": "",
	} {
		r := c.call(t, "CreateKey", "EnableAutomaticRotation=true", "RotationInterval="+in)
		if want == "" {
			if r.code() != isInvalid {
				t.Errorf("%s: %s", in, r)
			}
			continue
		}
		if r.at("KeyMetadata.RotationInterval") != want || r.at("KeyMetadata.AutomaticRotation") != "Enabled" {
			t.Errorf("%s: %s, want %s", in, r, want)
		}
	}
}

// TestRotationOfWhatDoesNotRotate asks for it in both directions.
func TestRotationOfWhatDoesNotRotate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ec := c.newKey(t, "KeySpec=EC_P256")
	for _, params := range [][]string{{"EnableAutomaticRotation=false"}, {"EnableAutomaticRotation=true", "RotationInterval=30d"}} {
		r := c.call(t, "UpdateRotationPolicy", append(params, "KeyId="+ec)...)
		if r.code() != "400 Rejected.UnsupportedOperation" || r.at("Message") != "Unsupported operation." {
			t.Errorf("%v: %s", params, r)
		}
	}
	c.change(t, ec, func(k *keys.Key) {
		k.Rotation = keys.Rotation{Interval: 60 * keys.Day, Next: c.Now().Add(time.Hour)}
	})
	if r := c.must(t, "DescribeKey", "KeyId="+ec); r.at("KeyMetadata.AutomaticRotation") != "Enabled" || r.has("KeyMetadata.PrimaryKeyVersion") {
		t.Errorf("an asymmetric key that another cloud rotates: %s", r)
	}
	c.must(t, "UpdateRotationPolicy", "KeyId="+ec, "EnableAutomaticRotation=false")
	if r := c.must(t, "DescribeKey", "KeyId="+ec); r.at("KeyMetadata.AutomaticRotation") != "Disabled" {
		t.Errorf("switched off: %s", r)
	}
}
