// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Nobody's body is read who does not show the token: who asks before sending it is told so only with the token.
func TestBodiesOfStrangers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for authorization, want := range map[string]int{"Bearer " + token: http.StatusContinue, "Bearer wrong": http.StatusUnauthorized} {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.client.Endpoint, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "POST /admin/v1/tenants HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Length: 60000\r\nExpect: 100-continue\r\n\r\n", authorization); err != nil {
			t.Fatal(err)
		}
		var status int
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			t.Error(err)
		} else if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil || status != want {
			t.Errorf("with %q the first that is heard is %q, want %d", authorization, line, want)
		}
	}
}
