// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Strangers open many connections to a server that runs as it is configured, and send the header and all
// but the last byte of long bodies. It holds no more of them than limits.unverified_mib says, answers others
// meanwhile, refuses those that wait for too long, and forgets them all when they are gone.
func TestStrangersWithLongBodies(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	const connections, longest = 20, 256 << 10
	site, _ := newNodeSet(t, build(t), "", 1, "limits.unverified_mib = 1", `server.read_timeout = "10m"`)
	c, ctx := site.caller(t, 0), t.Context()
	key := must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	const held = 2 // of the longest: half of the bound, which they leave to others
	await := func(what string, bodies, waiting, refused int) {
		t.Helper()
		var got [3]string
		for range ticks(t, 250*time.Millisecond) {
			for i, name := range []string{"bytes", "waiting", "refused_total"} {
				got[i] = site.metric(t, 0, "claviger_unverified_"+name)
			}
			if bytes, err := strconv.Atoi(got[0]); err != nil || bytes > held*longest {
				t.Fatalf("%s bytes are held", got[0])
			}
			if got == [...]string{strconv.Itoa(bodies * longest), strconv.Itoa(waiting), strconv.Itoa(refused)} {
				return
			}
		}
		t.Fatalf("%s: bytes, requests that wait and refused ones are %v", what, got)
	}
	var strangers []net.Conn
	for range connections {
		conn, err := net.Dial("tcp", site.nodes[0].region)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		strangers = append(strangers, conn)
		go func() {
			_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
				setHost, longest, strings.Repeat("x", longest-1))
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
	for range 20 {
		must(t, "a small request meanwhile", c.encrypt(ctx, key, []byte("honest")))
	}
	await("two have room, and who waited for it is refused", held, 0, connections-held)
	must(t, "a small request after it", c.encrypt(ctx, key, []byte("honest")))
	for _, conn := range strangers {
		_ = conn.Close()
	}
	await("the strangers are gone", 0, 0, connections-held)
}
