// SPDX-License-Identifier: Apache-2.0

package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"claviger/internal/secret"
)

// TestNoFormatShowsTheContents prints a secret in every way that a program might by mistake,
// alone and inside of structs, and looks for its bytes as text, hex and decimal numbers.
func TestNoFormatShowsTheContents(t *testing.T) {
	t.Parallel()
	s := secret.New([]byte("hunter2"))
	type hidden struct{ s secret.Bytes }
	type shown struct{ S secret.Bytes }
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "hidden", hidden{s}, "shown", shown{s})
	encoded, err := json.Marshal(map[string]any{"s": s, "shown": shown{s}, "hidden": hidden{s}})
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%T"} {
		for _, v := range []any{s, &s, hidden{s}, &hidden{s}, shown{s}, []secret.Bytes{s}, map[string]secret.Bytes{"k": s}} {
			out += fmt.Sprintf(verb, v) + "\n"
		}
	}
	for _, leak := range []string{"hunter2", "68756e74", "68756E74", "104 117 110", "150 165 156", "1101000 1110101"} {
		if strings.Contains(out, leak) {
			t.Errorf("the output shows %q", leak)
		}
	}
}

func TestWipeAndEqual(t *testing.T) {
	t.Parallel()
	a, b := secret.Copy([]byte("same")), secret.Copy([]byte("same"))
	if !a.Equal(b) || a.Equal(secret.New([]byte("other"))) || !(secret.Bytes{}).Equal(secret.Bytes{}) {
		t.Error("Equal is wrong")
	}
	a.Wipe()
	if a.Equal(b) || !bytes.Equal(a.Reveal(), make([]byte, 4)) {
		t.Errorf("Wipe left %q", a.Reveal())
	}
	if n := (secret.Bytes{}).Len(); n != 0 {
		t.Errorf("the zero value has %d bytes", n)
	}
}
