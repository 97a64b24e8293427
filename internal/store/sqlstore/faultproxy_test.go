// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

// faultProxy stands between a store and PostgreSQL and breaks connections that write, which it tells
// by what their start-up says. A step is what a client sends up to the message after which the server
// says that it is ready again: a statement that is prepared, one that is executed, a COMMIT.
type faultProxy struct {
	faults        // of which it uses the counting
	server string // address
	// refuse answers a step that would fail before its effect with this code, instead of breaking
	// the connection; "": it breaks.
	refuse string
}

// start listens, and answers where.
func (p *faultProxy) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return l.Addr().String()
}

// message reads one message; the first of a connection has no type.
func message(r io.Reader, typed bool) (kind byte, whole []byte, err error) {
	head := make([]byte, 5)
	if !typed {
		head = head[:4]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[len(head)-4:])
	whole = append(head, make([]byte, size-4)...)
	_, err = io.ReadFull(r, whole[len(head):])
	return whole[0], whole, err
}

// serve passes one connection on until it ends or is broken.
func (p *faultProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	_, begin, err := message(client, false)
	if err != nil {
		return
	}
	writes := !bytes.Contains(begin, []byte("statement_timeout\x00"))
	if !p.pass(client, server, "connect", begin, writes) {
		return
	}
	for {
		var sent []byte
		text := ""
		for {
			kind, m, err := message(client, true)
			if err != nil {
				return
			}
			sent = append(sent, m...)
			switch kind {
			case 'P', 'B': // Parse and Bind begin with a name, Query has its text alone
				name, rest, _ := strings.Cut(string(m[5:]), "\x00")
				other, _, _ := strings.Cut(rest, "\x00")
				if kind == 'P' {
					name = "prepare"
				}
				text = name + " " + other
			case 'Q':
				text = strings.TrimRight(string(m[5:]), "\x00")
			case 'X':
				_, _ = server.Write(sent)
				return
			}
			if kind == 'S' || kind == 'Q' {
				break
			}
		}
		if !p.pass(client, server, text, sent, writes) {
			return
		}
	}
}

// pass is one step; false says that the connection is over.
func (p *faultProxy) pass(client, server net.Conn, text string, sent []byte, writes bool) bool {
	fail, execute := false, true
	if writes {
		fail, execute = p.step(text)
	}
	if !execute {
		if p.refuse == "" || text == "connect" {
			return false
		}
		_, err := client.Write(refusal(p.refuse))
		return err == nil
	}
	if _, err := server.Write(sent); err != nil {
		return false
	}
	for {
		kind, m, err := message(server, true)
		if err != nil {
			return false
		}
		if !fail {
			if _, err := client.Write(m); err != nil {
				return false
			}
		}
		if kind == 'Z' {
			return !fail
		}
	}
}

// refusal is an error and the end of a step, within a transaction that has failed.
func refusal(code string) []byte {
	fields := "SERROR\x00VERROR\x00C" + code + "\x00Minjected fault\x00\x00"
	out := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields)))
	out = append(out, fields...)
	return append(out, 'Z', 0, 0, 0, 5, 'E')
}
